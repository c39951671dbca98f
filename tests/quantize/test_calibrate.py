"""Calibration: exact extremes, percentiles to a bin, MSE never worse than min-max, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.float_execution import run_float
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize import asymmetric_int8, calibrate, dequantize_array, fold_batch_norm, quantize_array
from fxpgrad.quantize.calibrate import METHODS, Histogram, histogram_mse, mse_range, percentile_range
from tests.graph.random_graphs import random_batch, random_graph


def values_of(seed: int) -> np.ndarray:
    """Samples of a random kind: two-sided, one-sided, with outliers, constant, far from 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=2000) * 10.0 ** rng.integers(-4, 5)
    kind = seed % 5
    if kind == 1:
        values = np.maximum(values, 0)
    elif kind == 2:
        values[:3] *= 300
    elif kind == 3:
        values[:] = values[0]
    elif kind == 4:
        values += 20 * np.abs(values).max() * rng.choice((-1, 1))
    return values.astype(np.float32)


def histogram_of(values: np.ndarray, bins: int = 2048) -> tuple[Histogram, tuple[float, float]]:
    extremes = (float(values.min()), float(values.max()))
    histogram = Histogram.empty(*extremes, bins)
    histogram.update(values[:700])
    histogram.update(values[700:])
    return histogram, extremes


def true_mse(values: np.ndarray, bounds: tuple[float, float]) -> float:
    quantization = asymmetric_int8(*bounds)
    restored = dequantize_array(quantize_array(values, quantization), quantization)
    return float(((restored - values) ** 2).mean())


@given(st.integers(0, 2**32 - 1))
def test_min_max_covers_every_activation_exactly(seed: int) -> None:
    graph = fold_batch_norm(random_graph(seed))
    data = random_batch(graph, seed, count=7)
    ranges = calibrate(graph, data, batch_size=7)
    for name, values in run_float(graph, data).items():
        assert ranges[name] == (values.min(), values.max())


@given(st.integers(0, 2**32 - 1))
def test_batch_size_changes_nothing_but_rounding(seed: int) -> None:
    graph = fold_batch_norm(random_graph(seed))
    data = random_batch(graph, seed, count=5)
    whole, pieces = calibrate(graph, data), calibrate(graph, data, batch_size=2)
    size = 1 + max(abs(bound) for bounds in whole.values() for bound in bounds)
    for name, bounds in whole.items():
        np.testing.assert_allclose(pieces[name], bounds, rtol=0, atol=1e-5 * size)


@given(st.integers(0, 2**32 - 1))
def test_mse_range_is_never_worse_than_min_max(seed: int) -> None:
    values = values_of(seed)
    histogram, extremes = histogram_of(values)
    chosen = mse_range(histogram, extremes)
    assert histogram_mse(histogram, chosen) <= histogram_mse(histogram, extremes) * (1 + 1e-9)
    # On the values themselves the histogram's bins add an error of at most their own width.
    width = (extremes[1] - extremes[0]) / 2048
    assert true_mse(values, chosen) ** 0.5 <= true_mse(values, extremes) ** 0.5 + width


@given(st.integers(0, 2**32 - 1))
def test_mse_range_lies_inside_the_extremes_and_zero(seed: int) -> None:
    histogram, extremes = histogram_of(values_of(seed))
    low, high = mse_range(histogram, extremes)
    assert min(extremes[0], 0) <= low <= 0 <= high <= max(extremes[1], 0)


@pytest.mark.parametrize("kind", ["normal", "laplace", "relu", "skewed", "outlier"])
def test_mse_range_is_near_the_best_of_a_full_grid(kind: str) -> None:
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.normal(size=20_000),
        "laplace": rng.laplace(size=20_000),
        "relu": np.maximum(rng.laplace(size=20_000), 0),
        "skewed": np.where(rng.random(20_000) < 0.5, -rng.random(20_000), rng.exponential(size=20_000) ** 2),
        "outlier": np.append(np.tile(rng.normal(size=5000), 100), 15.0),
    }[kind].astype(np.float32)
    histogram, extremes = histogram_of(values)
    chosen = histogram_mse(histogram, mse_range(histogram, extremes))
    grid = np.linspace(0.1, 1, 46)
    best = min(histogram_mse(histogram, (extremes[0] * a, extremes[1] * b)) for a in grid for b in grid)
    assert chosen <= 1.05 * best
    if kind == "outlier":
        assert chosen < 0.9 * histogram_mse(histogram, extremes)


@given(st.integers(0, 2**32 - 1), st.sampled_from((60.0, 99.0, 99.9, 100.0)))
def test_percentile_range_is_right_to_a_bin(seed: int, percentile: float) -> None:
    values = values_of(seed)
    histogram, extremes = histogram_of(values)
    low, high = percentile_range(histogram, extremes, percentile)
    width = (histogram.edges[-1] - histogram.edges[0]) / histogram.counts.size * 1.01
    ordered = np.sort(values)
    # as many values lie at or below each bound as its percentile asks, bins apart
    below = (ordered < low - width).sum()
    above = (ordered > high + width).sum()
    allowed = (1 - percentile / 100) * values.size + 1e-6
    assert below <= allowed
    assert above <= allowed
    assert (ordered <= low + width).sum() >= allowed - 1
    assert (ordered >= high - width).sum() >= allowed - 1
    assert extremes[0] <= low <= high <= extremes[1]


def test_percentile_100_is_min_max() -> None:
    graph = fold_batch_norm(random_graph(3))
    data = random_batch(graph, 3)
    assert calibrate(graph, data, "percentile", percentile=100) == calibrate(graph, data)


@pytest.mark.parametrize("method", METHODS)
def test_every_activation_gets_a_range(method: str) -> None:
    graph = fold_batch_norm(random_graph(9))
    ranges = calibrate(graph, random_batch(graph, 9), method)
    assert set(ranges) == {*graph.inputs, *(node.output for node in graph.nodes)}
    assert all(low <= high for low, high in ranges.values())


def linear() -> Graph:
    builder = GraphBuilder("g")
    return builder.build(builder.fully_connected(builder.input("x", (2,)), np.full((1, 2), 2.0)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(InputError, match="NaN or infinity"):
        calibrate(linear(), np.array([[1.0, bad]], np.float32))


def test_wrong_data_and_arguments_are_refused() -> None:
    data = np.ones((3, 2), np.float32)
    with pytest.raises(InputError, match="empty"):
        calibrate(linear(), data[:0])
    with pytest.raises(InputError, match="must have the shape"):
        calibrate(linear(), data[:, :1])
    with pytest.raises(InputError, match="not finite on the calibration data"), np.errstate(over="ignore"):
        calibrate(linear(), np.full((1, 2), 3e38, np.float32))
    with pytest.raises(InputError, match="did you mean min_max"):
        calibrate(linear(), data, "minmax")
    with pytest.raises(InputError, match="percentile must be"):
        calibrate(linear(), data, "percentile", percentile=50)
    with pytest.raises(InputError, match="bins"):
        calibrate(linear(), data, bins=100)
    with pytest.raises(InputError, match="batch_size"):
        calibrate(linear(), data, batch_size=0)
