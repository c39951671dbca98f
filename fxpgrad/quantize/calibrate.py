"""Observe a float Graph on data and choose the range of real values that each activation must cover."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.graph.attributes import nearest
from fxpgrad.graph.float_execution import Feed, FloatArray, feed_arrays, iterate_activations
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize.affine import Range, asymmetric_int8, dequantize_array, quantize_array

METHODS: tuple[str, ...] = ("min_max", "percentile", "mse")
# Fractions of the full range that the mse search tries as a bound.
_SHRINKS: NDArray[np.float64] = np.linspace(1.0, 0.05, 96)


@dataclass(slots=True)
class Histogram:
    """How often which values occur between two bounds, in bins of equal width.

    edges: float64 [n + 1]; counts, sums: float64 [n], the number of values in each bin and their sum.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def empty(cls, low: float, high: float, bins: int) -> Histogram:
        """Return a histogram of `bins` bins without values; a single value gets a bin around it."""
        if low == high:
            high = low + max(abs(low), 1.0) * 1e-6
        return cls(np.linspace(low, high, bins + 1), np.zeros(bins), np.zeros(bins))

    def update(self, values: FloatArray) -> None:
        """Count `values`, any shape; what lies outside the bounds goes to the nearest bin."""
        flat = values.ravel()
        bins, low, high = self.counts.size, float(self.edges[0]), float(self.edges[-1])
        places = (flat.astype(np.float64) - low) * (bins / (high - low))
        index = np.clip(places, 0, bins - 1).astype(np.int64)
        self.counts += np.bincount(index, minlength=bins)
        self.sums += np.bincount(index, weights=flat, minlength=bins)

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean value of each occupied bin and its count."""
        occupied = self.counts > 0
        return self.sums[occupied] / self.counts[occupied], self.counts[occupied]


def calibrate(
    graph: Graph,
    data: Feed,
    method: str = "min_max",
    *,
    percentile: float = 99.9,
    bins: int = 2048,
    batch_size: int = 100,
) -> dict[str, Range]:
    """Return the range (low, high) of each activation, the graph's inputs included.

    Parameters
    ----------
    graph : Graph
        A float Graph, folded: a range observed before a fused clamp would be too wide.
    data : ndarray of float32 [N, ...] or mapping of such
        Representative inputs, N >= 1; one array for each input if there are several.
    method : str
        "min_max": everything that occurs. "percentile": from the (100 - percentile)th to the
        percentile-th percentile. "mse": the range whose int8 quantization has the least mean
        squared error on a histogram; never worse than min_max on it. Ranges may exclude 0;
        `asymmetric_int8` extends them.
    percentile : float
        In (50, 100].
    bins : int
        Bins of each histogram, >= 256; percentile and mse run the data twice. A percentile is known
        to within one bin, (max - min) / bins.
    batch_size : int
        Samples that run at once; bounds memory, changes no result but by float rounding.

    Raises
    ------
    InputError
        The data are empty, hold NaN or infinity or have the wrong shape, an activation is not
        finite, or an argument is out of range.
    """
    if method not in METHODS:
        raise InputError(
            f"method must be one of {', '.join(METHODS)}; got {method!r}{nearest(method, METHODS)}"
        )
    if not 50 < percentile <= 100:
        raise InputError(f"percentile must be in (50, 100]; got {percentile}")
    if bins < 256 or batch_size < 1:
        raise InputError(f"bins must be >= 256 and batch_size >= 1; got {bins} and {batch_size}")
    arrays = feed_arrays(graph, data)
    for name, array in arrays.items():
        if array.shape[0] == 0:
            raise InputError(f"calibration data for {name} are empty; give at least one sample")
        if not np.isfinite(array).all():
            raise InputError(f"calibration data for {name} hold NaN or infinity; clean the data first")
    ranges = _extremes(graph, arrays, batch_size)
    if method == "min_max":
        return ranges
    histograms = {name: Histogram.empty(low, high, bins) for name, (low, high) in ranges.items()}
    for name, values in _observe(graph, arrays, batch_size):
        histograms[name].update(values)
    if method == "mse":
        return {name: mse_range(histogram, ranges[name]) for name, histogram in histograms.items()}
    return {
        name: percentile_range(histogram, ranges[name], percentile) for name, histogram in histograms.items()
    }


def _observe(
    graph: Graph, arrays: Mapping[str, FloatArray], batch_size: int
) -> Iterator[tuple[str, FloatArray]]:
    count = next(iter(arrays.values())).shape[0]
    for start in range(0, count, batch_size):
        yield from iterate_activations(
            graph, {name: array[start : start + batch_size] for name, array in arrays.items()}
        )


def _extremes(graph: Graph, arrays: Mapping[str, FloatArray], batch_size: int) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for name, values in _observe(graph, arrays, batch_size):
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(
                f"activation {name} is not finite on the calibration data; check the float graph"
            )
        before = ranges.get(name, (low, high))
        ranges[name] = (min(low, before[0]), max(high, before[1]))
    return ranges


def percentile_range(histogram: Histogram, extremes: Range, percentile: float) -> Range:
    """Return the values below which (100 - percentile) and percentile per cent of all values lie.

    Linear inside a bin, and never outside `extremes`, the true minimum and maximum.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(histogram.counts)])
    shares = np.array([1 - percentile / 100, percentile / 100]) * cumulative[-1]
    # Empty bins make the cumulative count flat: from below take its last point, from above its first.
    first = np.searchsorted(cumulative, shares[0], side="right") - 1
    last = np.searchsorted(cumulative, shares[1], side="left")
    bounds = []
    for found, share in ((first, shares[0]), (last - 1, shares[1])):
        index = min(max(int(found), 0), histogram.counts.size - 1)
        width = histogram.edges[index + 1] - histogram.edges[index]
        part = (share - cumulative[index]) / max(histogram.counts[index], 1.0)
        bounds.append(float(np.clip(histogram.edges[index] + width * part, *extremes)))
    return (bounds[0], max(bounds))


def mse_range(histogram: Histogram, extremes: Range) -> Range:
    """Return a range whose int8 quantization has little squared error: `extremes`, with 0, or inside it.

    Shrinks both bounds together first, then one at a time, twice; every step keeps the best so far,
    so the result is never worse than `extremes` under `histogram_mse`.
    """
    points, counts = histogram.points()
    best = extremes = (min(extremes[0], 0.0), max(extremes[1], 0.0))
    for moves_low, moves_high in ((True, True), (False, True), (True, False), (False, True), (True, False)):
        lows = extremes[0] * _SHRINKS if moves_low else np.full(_SHRINKS.size, best[0])
        highs = extremes[1] * _SHRINKS if moves_high else np.full(_SHRINKS.size, best[1])
        lows, highs = np.append(lows, best[0]), np.append(highs, best[1])
        errors = _clipping_errors(points, counts, lows, highs)
        choice = int(np.argmin(errors))
        if errors[choice] < errors[-1]:
            best = (float(lows[choice]), float(highs[choice]))
    return best


def histogram_mse(histogram: Histogram, bounds: Range) -> float:
    """Return the mean squared error of int8 quantization over `bounds`, each bin at its mean value."""
    points, counts = histogram.points()
    quantization = asymmetric_int8(*bounds)
    restored = dequantize_array(quantize_array(points, quantization), quantization)
    return float(((restored - points) ** 2 * counts).sum() / counts.sum())


def _clipping_errors(
    points: NDArray[np.float64],
    counts: NDArray[np.float64],
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the summed squared error of int8 quantization for each candidate range, all at once."""
    low, high = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    scale = high / 255 - low / 255
    scale = np.where(scale < np.finfo(np.float64).tiny, 1.0, scale)[:, None]
    zero_point = np.clip(np.rint(-128 - low[:, None] / scale), -128, 127)
    integers = np.clip(np.rint(points[None, :] / scale), -128 - zero_point, 127 - zero_point)
    errors: NDArray[np.float64] = ((integers * scale - points[None, :]) ** 2) @ counts
    return errors
