"""The prototype classifier in float: its loss is the integer objective's, runs are judged by new means."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import GraphError, InputError
from fxpgrad.experiments.backprop import adapt_backprop, graph_parameters, torch_forward
from fxpgrad.experiments.baselines import run_baseline
from fxpgrad.experiments.cell import Cell, run_cell
from fxpgrad.experiments.float_forward import FloatForward
from fxpgrad.experiments.method_preset import MethodPreset
from fxpgrad.experiments.preset import Preset
from fxpgrad.experiments.prototypes import features_node, leave_one_out_logits, prototype_logits
from fxpgrad.experiments.records import Record
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import PrototypeCrossEntropy
from fxpgrad.trainer.trainer import Trainer

torch = pytest.importorskip("torch", reason="torch is not installed")

SCALE, CLASSES, STEPS = 0.4, 4, 16


@cache
def backbone() -> Graph:
    """A small network of images 6x6x2 to 8 features."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("backbone")
    x = builder.input("x", (6, 6, 2))
    for name, inputs in (("first", 2), ("second", 8)):
        weights = (rng.normal(0, 1, (8, 3, 3, inputs)) / np.sqrt(9 * inputs)).astype(np.float32)
        bias = rng.normal(0, 0.3, 8).astype(np.float32)
        x = builder.conv2d(x, weights, bias, activation="relu", name=name)
    return builder.build(builder.global_average_pool2d(x, name="features"))


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(CLASSES), 8).astype(np.int32)
    patterns = rng.normal(0, 1, (CLASSES, 6, 6, 2))
    return (patterns[labels] + rng.normal(0, 0.7, (len(labels), 6, 6, 2))).astype(np.float32), labels


@cache
def quantized(bits: int) -> Graph:
    return quantize(backbone(), data()[0], bits, headroom=1.5)


def loss_by_hand(features: np.ndarray, labels: np.ndarray) -> float:
    total = 0.0
    for row, own in enumerate(labels):
        logits = []
        for label in range(labels.max() + 1):
            members = [f for k, f in enumerate(features) if labels[k] == label and k != row]
            logits.append(-SCALE * float(((features[row] - np.mean(members, axis=0)) ** 2).sum()))
        total += math.log(sum(math.exp(v - max(logits)) for v in logits)) + max(logits) - logits[own]
    return total


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 6))
def test_each_sample_is_left_out_of_its_own_mean(seed: int, classes: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), rng.integers(2, 5, classes)))
    features = rng.normal(0, 1, (len(labels), size))
    target = torch.as_tensor(labels)
    logits = leave_one_out_logits(torch.as_tensor(features), target, SCALE)
    found = float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
    assert found == pytest.approx(loss_by_hand(features, labels), rel=1e-9, abs=1e-9)


def test_the_loss_is_that_of_the_integer_objective() -> None:
    program, (x, y) = lower(quantized(8)), data()
    output = run_program(program, quantize_input(program.tensors["x"], x))
    objective = PrototypeCrossEntropy(CLASSES, SCALE)
    objective.prepare(program, len(y))
    real = dequantize_output(program, output)
    assert objective(output, y) / 2.0**24 == pytest.approx(loss_by_hand(real, y), rel=1e-4)


def test_logits_are_distances_to_class_means() -> None:
    support = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]], np.float32)
    logits = prototype_logits(np.array([[1.0, 1.0]]), support, np.array([0, 0, 1]), 0.5)
    np.testing.assert_array_equal(logits, [[-0.5, -5.0]])


@pytest.mark.parametrize(("scope", "choices"), [("ft", {}), ("affine", {}), ("last_k", {"last": 1})])
def test_backpropagation_follows_the_gradient(scope: str, choices: dict[str, Any]) -> None:
    """A small plain step lowers the loss by rate * |gradient|^2, which is |moved|^2 / rate."""
    x, y = data()
    rate = 1e-3
    after = adapt_backprop(backbone(), x, y, scope, 1, rate, "sgd", distance_scale=SCALE, **choices)
    start = graph_parameters(backbone())
    before, now = (
        loss_by_hand(torch_forward(backbone(), values, x).numpy().astype(np.float64), y) / len(y)
        for values in (start, after)
    )
    assert now < before
    if scope != "affine":  # where factors are multiplied in, what has moved is not the gradient
        moved = sum(float(((after[name] - start[name]).astype(np.float64) ** 2).sum()) for name in start)
        assert before - now == pytest.approx(moved / rate, rel=0.05)
    changed = {name.split("/")[0] for name in start if (after[name] != start[name]).any()}
    assert changed == ({"second"} if scope == "last_k" else {"first", "second"})


CONFIGS = {
    "ft": TrainerConfig(
        scope="ft", num_directions=3, epsilon=2e-2, learning_rate=1e-2, relative=True, seed=5
    ),
    "affine": TrainerConfig(scope="affine", num_directions=3, epsilon=6e-2, learning_rate=1e-2, seed=2),
}


@pytest.mark.parametrize("name", list(CONFIGS))
def test_float_and_integer_runs_take_nearly_the_same_steps(name: str) -> None:
    config, (x, y), program = CONFIGS[name], data(), lower(quantized(16))
    ours = FloatForward(backbone(), program, config, len(y), distance_scale=SCALE)
    theirs = Trainer(program, config, PrototypeCrossEntropy(CLASSES, SCALE), len(y))
    floats = ours.fit(x, y, STEPS)
    fixed = theirs.fit(quantize_input(program.tensors["x"], x), y, STEPS).steps
    losses = np.array([step.losses_plus + step.losses_minus for step in floats])
    same = np.array([step.losses_plus + step.losses_minus for step in fixed]) / 2.0**24
    np.testing.assert_allclose(losses, same, rtol=0.15, atol=0.3)
    signs = [np.array([step.scalars for step in run]).ravel() for run in (floats, fixed)]
    assert (signs[0] == signs[1]).mean() > 0.85


@pytest.mark.parametrize("name", ["bp_ft", "bp_affine", "ff_ft"])
def test_a_baseline_is_judged_by_the_means_of_its_new_features(name: str) -> None:
    x, y = data()
    run = run_baseline(name, backbone(), quantized(16), x, y, 8, 1e-2, distance_scale=SCALE)
    features = torch_forward(backbone(), run.parameters, x).numpy()
    np.testing.assert_array_equal(run.predict(x[:5]), prototype_logits(features[:5], features, y, SCALE))
    assert run.accuracy(x, y) == (prototype_logits(features, features, y, SCALE).argmax(axis=1) == y).mean()


def test_what_cannot_be_is_refused() -> None:
    x, y = data()
    for changes, message in (
        ({"scope": "lp"}, "has no weights of its own"),
        ({"scope": "affine", "whole_head": True}, "has no weights of its own"),
        ({"batch": 5}, "which must hold all 32 samples; got 5"),
        ({"y": np.where(y == 3, 4, y)}, "class 3 has 0"),
        ({"y": np.concatenate([[4], y[1:]])}, "class 4 has 1"),
        ({"y": y - 1}, "must be in 0"),
    ):
        arguments = {"scope": "ft", "y": y, "steps": 1, "learning_rate": 0.1, **changes}
        with pytest.raises(InputError, match=message):
            adapt_backprop(backbone(), x, distance_scale=SCALE, **arguments)
    with pytest.raises(InputError, match="is not for qat_ft"):
        run_baseline("qat_ft", backbone(), quantized(8), x, y, 1, 0.1, distance_scale=SCALE)
    config = TrainerConfig(scope="affine", rows="split", num_directions=4)
    with pytest.raises(InputError, match="needs all rows at once"):
        FloatForward(backbone(), lower(quantized(16)), config, 32, distance_scale=SCALE)
    builder = GraphBuilder("image")
    flat = builder.build(builder.average_pool2d(builder.input("x", (4, 4, 1)), (2, 2)))
    with pytest.raises(GraphError, match="must end in one vector of features"):
        features_node(flat)
    builder = GraphBuilder("identity")
    with pytest.raises(
        GraphError, match="must end in one vector of features for prototypes, not in its input"
    ):
        features_node(builder.build(builder.input("x", (4,))))
    builder = GraphBuilder("pool")
    pool = builder.build(builder.global_average_pool2d(builder.input("x", (6, 6, 2))))
    for scope, last in (("ft", None), ("affine", None), ("last_k", 1)):
        with pytest.raises(GraphError, match="pool has no layer with weights"):
            adapt_backprop(pool, x, y, scope, 1, 0.1, last=last, distance_scale=SCALE)


@pytest.mark.parametrize("scale", [0, 0.0, -1.0, math.nan, math.inf, True, "1", [1.0]])
def test_a_scale_of_distances_is_a_positive_number(scale: Any) -> None:
    x, y = data()
    for name in ("bp_ft", "bp_affine", "ff_ft"):
        with pytest.raises(InputError, match="distance_scale must be a positive finite number; got"):
            run_baseline(name, backbone(), quantized(16), x, y, 1, 0.1, distance_scale=scale)


def test_forward_gradients_of_a_last_layer_are_not_for_prototypes() -> None:
    x, y = data()
    with pytest.raises(InputError, match="has no weights of its own, for scope 'lp'"):
        run_baseline("ff_lp", backbone(), quantized(16), x, y, 1, 0.1, distance_scale=SCALE)


@pytest.mark.parametrize("name", ["bp_ft", "ff_ft"])
def test_features_of_a_dense_layer_may_be_fewer_than_classes(name: str) -> None:
    x, y = data()
    rng = np.random.default_rng(3)
    builder = GraphBuilder("dense")
    pooled = builder.average_pool2d(builder.input("x", (6, 6, 2)), (3, 3))
    weights = rng.normal(0, 1, (CLASSES - 1, 8)).astype(np.float32)
    graph = builder.build(
        builder.fully_connected(builder.reshape(pooled, (8,)), weights, None, name="features")
    )
    run = run_baseline(name, graph, quantize(graph, x, 16), x, y, 30, 1e-2, distance_scale=SCALE)
    features = torch_forward(graph, run.parameters, x).numpy()
    assert features.shape == (len(x), CLASSES - 1)
    start = torch_forward(graph, graph_parameters(graph), x).numpy()
    assert loss_by_hand(features.astype(np.float64), y) < loss_by_hand(start.astype(np.float64), y)


def one_cell(method: MethodPreset) -> Record:
    axes = {"set": ["omniglot"], "net": ["bundled"], "split": ["novel"], "task": [0]}
    preset = Preset(
        "few", "t", "few_shot", axes, (method,), forwards=12, batch=10, checkpoints=1,
        data={"ways": 5, "shots": 2, "queries": 4, "sensor": "noisy"},
    )  # fmt: skip
    task = {key: values[0] for key, values in axes.items()}
    return run_cell(preset, Cell("test", method, task, 0, method.rates[0]), ".")


def test_a_run_that_diverges_says_so() -> None:
    method = MethodPreset("bp", baseline="bp_ft", rates=[1e9], options={"optimizer": "sgd"})
    assert "diverged" in one_cell(method)["stopped"]


METHODS = {
    "integers": {"weight_bits": 16, "trainer": {"scope": "ft", "epsilon": 3e-3}},
    "affine": {"trainer": {"scope": "affine", "distribution": "rademacher", "epsilon": 3e-2}},
    "backpropagation": {"baseline": "bp_ft", "options": {"optimizer": "adam"}},
    "float": {"baseline": "ff_ft", "weight_bits": 16, "trainer": {"scope": "ft", "epsilon": 3e-3}},
}


@pytest.mark.parametrize("name", list(METHODS))
def test_a_cell_of_an_experiment(name: str) -> None:
    method = MethodPreset(name, loss="prototypes", rates=[1e-3], **METHODS[name])  # type: ignore[arg-type]
    record, again = one_cell(method), one_cell(method)
    assert record["loss"] == "prototypes"
    assert record["stopped"] == ""
    assert record["forwards_done"] == 12
    assert 0.2 < record["accuracy"] <= 1
    assert record["curve"][0][0] == 0
    assert (record["weights_sha256"], record["accuracy"]) == (again["weights_sha256"], again["accuracy"])
