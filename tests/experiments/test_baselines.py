"""Every baseline by its name: it learns, repeats, counts its forwards, and trains what its scope says."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.experiments.backprop import adapt_backprop, graph_parameters, torch_forward
from fxpgrad.experiments.baselines import BASELINES, BaselineRun, run_baseline
from fxpgrad.graph.graph import Graph
from fxpgrad.program.execute import run_program
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.trainer.config import TrainerConfig
from tests.experiments.small_networks import learnable_data, residual_graph

torch = pytest.importorskip("torch", reason="torch is not installed")

RATES = {"bp": 0.02, "qat": 0.02, "ff": 1e-2}
COST = {"ff_lp": 6, "ff_ft": 6, "ff_affine": 2, "ff_exact_lp": 1}
LAYERS = ("first", "second", "depth", "hidden", "logits")


@cache
def integer_graph() -> Graph:
    return quantize(residual_graph(), learnable_data()[0], 8)


def run(name: str, steps: int = 8, **changes: Any) -> BaselineRun:
    graph, (x, y) = residual_graph(), learnable_data()
    choices: dict[str, Any] = {"batch": 16, "last": 2 if name.endswith("last_k") else None, **changes}
    rate = 1.0 if name == "ff_exact_lp" else RATES[name.split("_", maxsplit=1)[0]]
    return run_baseline(name, graph, integer_graph(), x, y, steps, rate, **choices)


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(torch.nn.functional.cross_entropy(torch.as_tensor(logits), torch.as_tensor(labels).long()))


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_learns_repeats_and_counts(name: str) -> None:
    x, y = learnable_data()
    seen: list[tuple[int, int, float]] = []
    after = run(name, on_step=lambda now: seen.append((now.steps, now.forwards, loss(now.predict(x), y))))
    again = run(name)
    before = run(name, steps=0)
    assert loss(after.predict(x), y) < loss(before.predict(x), y)
    for key, value in after.parameters.items():
        np.testing.assert_array_equal(value, again.parameters[key])
    cost = COST.get(name, 3)
    assert [entry[:2] for entry in seen] == [(step, cost * step) for step in range(1, 9)]
    assert seen[-1][2] == loss(after.predict(x), y) < seen[0][2]
    assert (after.steps, after.batch, after.forwards) == (8, 16, 8 * cost)
    assert after.predict(x).shape == (64, 4)
    assert after.predict(x).dtype == np.float32


@pytest.mark.parametrize("name", BASELINES)
def test_only_the_scope_is_trained(name: str) -> None:
    before, after = graph_parameters(residual_graph()), run(name, 3).parameters
    moved = {key.split("/")[0] for key in before if not np.array_equal(before[key], after[key])}
    scope = name.split("_", 1)[1]
    wanted = {"lp": LAYERS[-1:], "exact_lp": LAYERS[-1:], "last_k": LAYERS[-2:]}.get(scope, LAYERS)
    assert moved == set(wanted)


def ratios(before: np.ndarray, after: np.ndarray, channel_axis: int) -> np.ndarray:
    return np.moveaxis(after / before, channel_axis, 0).reshape(before.shape[channel_axis], -1)


@pytest.mark.parametrize("name", ["bp_affine", "ff_affine"])
def test_affine_scales_whole_channels(name: str) -> None:
    before, after = graph_parameters(residual_graph()), run(name, 3).parameters
    for layer, axis in (("first", 0), ("depth", 3), ("hidden", 0)):
        found = ratios(before[f"{layer}/weights"], after[f"{layer}/weights"], axis)
        np.testing.assert_allclose(found, found[:, :1] * np.ones_like(found), rtol=1e-4)
        assert np.unique(found[:, 0].round(7)).size > 1
    head = ratios(before["logits/weights"], after["logits/weights"], 0)
    assert (np.ptp(head, axis=1).max() < 1e-4) == (name == "bp_affine")


def test_whole_head_trains_the_last_layer_itself() -> None:
    before, after = graph_parameters(residual_graph()), run("bp_affine", 3, whole_head=True).parameters
    assert np.ptp(ratios(before["logits/weights"], after["logits/weights"], 0), axis=1).max() > 1e-4
    assert np.ptp(ratios(before["hidden/weights"], after["hidden/weights"], 0), axis=1).max() < 1e-4


def test_affine_backprop_is_the_gradient_by_the_factors() -> None:
    graph, (x, y) = residual_graph(), learnable_data(16)
    before = graph_parameters(graph)
    after = adapt_backprop(graph, x, y, "affine", 1, 1e-3, "sgd")
    moved = after["second/weights"][3].ravel() / before["second/weights"][3].ravel() - 1
    losses = []
    for factor in (1.01, 0.99):
        probe = {name: before[name].copy() for name in ("second/weights", "second/bias")}
        for value in probe.values():
            value[3] *= factor
        losses.append(loss(torch_forward(graph, probe, x).numpy(), y))
    slope = (losses[0] - losses[1]) / 0.02
    assert np.median(moved) == pytest.approx(-1e-3 * slope, rel=0.05, abs=2e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_linear_schedule_takes_smaller_steps_to_the_end(optimizer: str) -> None:
    graph, (x, y) = residual_graph(), learnable_data(16)
    sizes = {}
    for schedule in ("constant", "linear"):
        path = [graph_parameters(graph)["hidden/weights"]]
        adapt_backprop(
            graph, x, y, "ft", 8, 1e-3, optimizer, schedule=schedule,
            on_step=lambda _, now, path=path: path.append(now["hidden/weights"]),
        )  # fmt: skip
        sizes[schedule] = [float(np.abs(b - a).sum()) for a, b in pairwise(path)]
    assert sizes["linear"][0] == pytest.approx(sizes["constant"][0], rel=1e-4)
    assert sizes["linear"][-1] < 0.3 * sizes["constant"][-1]


def test_momentum_goes_further_along_a_constant_gradient() -> None:
    graph, (x, y) = residual_graph(), learnable_data(16)
    start = graph_parameters(graph)["hidden/weights"]
    far, near = (
        np.abs(adapt_backprop(graph, x, y, "ft", 5, 1e-4, name)["hidden/weights"] - start).sum()
        for name in ("momentum", "sgd")
    )
    assert far / near == pytest.approx((1 + 1.9 + 2.71 + 3.439 + 4.0951) / 5, rel=0.1)


def test_last_k_of_all_layers_is_full_fine_tuning() -> None:
    graph, (x, y) = residual_graph(), learnable_data(16)
    full = adapt_backprop(graph, x, y, "ft", 3, 0.01, "sgd", batch=8)
    same = adapt_backprop(graph, x, y, "last_k", 3, 0.01, "sgd", batch=8, last=5)
    for name, value in full.items():
        np.testing.assert_allclose(value, same[name], atol=1e-6)


def test_integers_of_a_simulated_run_predict_the_same() -> None:
    x, y = learnable_data()
    after = run("qat_ft", 40, optimizer="adam")
    assert after.quantized is not None
    program = with_accumulator_output(lower(after.quantized))
    accumulators = run_program(program, quantize_input(program.tensors["x"], x))
    found = dequantize_output(program, accumulators).argmax(axis=1)
    assert (found == y).mean() > 0.7
    assert (found == after.predict(x).argmax(axis=1)).mean() > 0.95
    assert run("bp_ft", 1).quantized is None


def test_the_usual_batch_is_at_most_fifty() -> None:
    x, y = learnable_data(64)
    graph = residual_graph()
    result = run_baseline("ff_affine", graph, integer_graph(), x, y, 1, 1e-2)
    assert result.batch == 50


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bp_all", {}, "name must be one of bp_lp"),
        ("bp_last_k", {"last": None}, "goes with scope 'last_k' alone"),
        ("bp_ft", {"last": 2}, "goes with scope 'last_k' alone"),
        ("bp_last_k", {"last": 6}, r"last must be in 1\.\.5"),
        ("bp_ft", {"whole_head": True}, "goes with scope 'affine' alone"),
        ("bp_ft", {"config": TrainerConfig()}, "config is for forward gradients"),
        ("bp_ft", {"schedule": "cosine"}, "schedule must be one of constant, linear"),
        ("bp_ft", {"momentum": 1.0}, "momentum must be in"),
        ("ff_ft", {"last": 2}, "choices of backpropagation"),
        ("ff_ft", {"config": TrainerConfig(scope="lp")}, "needs a configuration of scope 'ft'"),
        ("ff_lp", {"config": TrainerConfig(scope="lp", head="exact")}, "head 'exact'"),
        ("ff_ft", {"schedule": "cosine"}, "schedule must be one of constant, linear"),
    ],
)
def test_choices_that_do_not_fit_are_refused(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(name, 1, **change)
