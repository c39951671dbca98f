"""The float baseline: right values, right gradients, deterministic, and honest about memory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import GraphError, InputError, MissingExtraError
from fxpgrad.experiments.backprop import (
    adapt_backprop,
    backprop_scratch_bytes,
    graph_parameters,
    torch_forward,
)
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import (
    attach_prototype_head,
    class_prototypes,
    distance_scale,
    load_backbone,
    resnet12_graph,
)
from fxpgrad.tasks.episodes import sample_episode
from fxpgrad.tasks.omniglot import load_omniglot

HAS_TORCH = True
try:
    import torch
except ImportError:
    HAS_TORCH = False
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def small_graph(seed: int = 0) -> Graph:
    """Every operator and activation once or more, on 9x9x3 images, 4 classes."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    builder = GraphBuilder("small")
    x = builder.input("x", (9, 9, 3))
    x = builder.pad(x, (1, 0, 0, 2))
    x = builder.conv2d(x, draw(8, 3, 3, 3), draw(8), stride=(2, 2), activation="relu", name="first")
    y = builder.conv2d(x, draw(8, 3, 2, 4), draw(8), groups=2, activation="relu6", name="grouped")
    x = builder.add(x, y, activation="relu_n1_to_1")
    x = builder.depthwise_conv2d(x, draw(1, 3, 3, 8), draw(8), dilation=(2, 1), name="depth")
    x = builder.activation(x, "relu6")
    pooled = builder.max_pool2d(x, (2, 2), padding=(0, 1, 1, 0))
    averaged = builder.average_pool2d(x, (2, 2), padding=(0, 1, 1, 0), activation="relu")
    x = builder.concat([pooled, averaged], axis=2)
    flat = builder.reshape(x, (int(np.prod(builder.build(x).tensors[x].shape)),))
    x = builder.fully_connected(flat, draw(6, builder.build(flat).tensors[flat].shape[0]), draw(6))
    return builder.build(builder.fully_connected(x, draw(4, 6), draw(4), name="logits"))


def numpy_pool(x: np.ndarray, top: int, left: int, rule: Any) -> np.ndarray:
    """Pool 2x2 with stride 2 where window (i, j) starts at (2 i - top, 2 j - left)."""
    rows, columns = (x.shape[1] + 1) // 2, (x.shape[2] + 1) // 2
    out = np.empty((len(x), rows, columns, x.shape[3]), x.dtype)
    for i in range(rows):
        for j in range(columns):
            r, c = 2 * i - top, 2 * j - left
            out[:, i, j] = rule(x[:, max(r, 0) : r + 2, max(c, 0) : c + 2], axis=(1, 2))
    return out


def learnable(graph: Graph, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    y = np.arange(count) % graph.tensors[graph.outputs[0]].shape[0]
    x = rng.normal(0, 0.3, (count, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    x[np.arange(count), y, y] += 2.0
    return x, y


@needs_torch
def test_convolution_is_the_sum_over_taps() -> None:
    rng = np.random.default_rng(1)
    weights, bias = rng.normal(size=(4, 3, 2, 3)), rng.normal(size=4)
    builder = GraphBuilder("conv")
    name = builder.input("x", (6, 5, 3))
    graph = builder.build(builder.conv2d(name, weights, bias, stride=(2, 1), padding=(2, 1, 0, 1)))
    x = rng.normal(size=(2, 6, 5, 3))
    padded = np.pad(x, ((0, 0), (2, 1), (0, 1), (0, 0)))
    wanted = np.zeros((2, 4, 5, 4)) + bias
    for i in range(4):
        for j in range(5):
            window = padded[:, 2 * i : 2 * i + 3, j : j + 2]
            wanted[:, i, j] += np.einsum("nhwc,ohwc->no", window, weights)
    np.testing.assert_allclose(torch_forward(graph, {}, x).numpy(), wanted, atol=1e-5)


@needs_torch
@pytest.mark.parametrize(("op", "rule"), [("max_pool2d", np.max), ("average_pool2d", np.mean)])
def test_pools_ignore_their_padding(op: str, rule: Any) -> None:
    builder = GraphBuilder("pool")
    name = builder.input("x", (5, 5, 2))
    graph = builder.build(getattr(builder, op)(name, (2, 2), padding=(1, 0, 0, 1)))
    x = -1 - np.abs(np.random.default_rng(2).normal(size=(3, 5, 5, 2)))
    wanted = numpy_pool(x, 1, 0, rule)
    np.testing.assert_allclose(torch_forward(graph, {}, x).numpy(), wanted, atol=1e-6)


@needs_torch
def test_depthwise_channel_reads_input_channel_over_multiplier() -> None:
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(1, 1, 1, 6))
    builder = GraphBuilder("depthwise")
    graph = builder.build(builder.depthwise_conv2d(builder.input("x", (2, 2, 3)), weights))
    x = rng.normal(size=(2, 2, 2, 3))
    wanted = np.repeat(x, 2, axis=3) * weights[0, 0, 0]
    np.testing.assert_allclose(torch_forward(graph, {}, x).numpy(), wanted, atol=1e-6)


@needs_torch
def test_bundled_backbone_equals_the_pretrained_network() -> None:
    state = {name: torch.as_tensor(value) for name, value in load_backbone().items()}
    data = load_omniglot()
    x = data.images(np.array([0, 700, 9000, 32000]))
    with torch.no_grad():
        wanted = reference_resnet12(state, torch.as_tensor(x).float().permute(0, 3, 1, 2)).numpy()
        got = torch_forward(fold_batch_norm(resnet12_graph()), {}, x).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def reference_resnet12(state: dict[str, Any], x: Any) -> Any:
    """The network by PyTorch's own layers, batch norm unfolded."""
    functional = torch.nn.functional

    def normed(x: Any, conv: str, norm: str) -> Any:
        weight = state[f"{conv}.weight"]
        x = functional.conv2d(x, weight, padding=weight.shape[2] // 2)
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return functional.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"])

    for i in (1, 2, 3, 4):
        y = torch.relu(normed(x, f"layer{i}.conv1", f"layer{i}.bn1"))
        y = torch.relu(normed(y, f"layer{i}.conv2", f"layer{i}.bn2"))
        shortcut = normed(x, f"layer{i}.downsample.0", f"layer{i}.downsample.1")
        x = torch.relu(normed(y, f"layer{i}.conv3", f"layer{i}.bn3") + shortcut)
        x = functional.max_pool2d(x, 2) if i < 4 else x
    return x.mean(dim=(2, 3))


@needs_torch
def test_bundled_backbone_solves_unseen_tasks() -> None:
    data, graph = load_omniglot(), fold_batch_norm(resnet12_graph())
    right = []
    for index in range(5):
        task = sample_episode(data, "evaluation", 5, 5, 5, 0, index)
        with torch.no_grad():
            support = torch_forward(graph, {}, task.support_x).numpy()
            headed = attach_prototype_head(graph, class_prototypes(support, task.support_y), distance_scale())
            right.append(torch_forward(headed, {}, task.query_x).numpy().argmax(axis=1) == task.query_y)
    assert np.mean(right) > 0.95


@needs_torch
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("scope", ["lp", "ft"])
def test_adaptation_learns_repeats_and_keeps_to_its_scope(scope: str, optimizer: str) -> None:
    graph = small_graph()
    x, y = learnable(graph)

    def loss(parameters: dict[str, np.ndarray]) -> float:
        logits = torch_forward(graph, parameters, x)
        return float(torch.nn.functional.cross_entropy(logits, torch.as_tensor(y)))

    adapted = adapt_backprop(graph, x, y, scope, 25, 0.02, optimizer)
    again = adapt_backprop(graph, x, y, scope, 25, 0.02, optimizer)
    before = graph_parameters(graph)
    assert loss(adapted) < loss(before)
    assert adapted.keys() == again.keys() == before.keys()
    for name, value in adapted.items():
        np.testing.assert_array_equal(value, again[name])
        trained = scope == "ft" or name.startswith("logits/")
        assert np.array_equal(value, before[name]) != trained, name


@needs_torch
def test_one_sgd_step_follows_the_numerical_gradient() -> None:
    graph = small_graph(4)
    x, y = learnable(graph)
    before = graph_parameters(graph)
    after = adapt_backprop(graph, x, y, "ft", 1, 1.0, "sgd")
    for name, index in (("first/weights", (3, 1, 2, 0)), ("depth/bias", (2,)), ("logits/weights", (1, 4))):
        losses = []
        for offset in (1e-2, -1e-2):
            moved = {name: before[name].copy()}
            moved[name][index] += offset
            logits = torch_forward(graph, moved, x).double()
            losses.append(float(torch.nn.functional.cross_entropy(logits, torch.as_tensor(y))))
        slope = (losses[0] - losses[1]) / 2e-2
        assert before[name][index] - after[name][index] == pytest.approx(slope, rel=0.05, abs=2e-3)


@needs_torch
def test_zero_steps_change_nothing_and_inputs_stay_untouched() -> None:
    graph = small_graph()
    x, y = learnable(graph)
    before, copies = graph_parameters(graph), (x.copy(), y.copy())
    for name, value in adapt_backprop(graph, x, y, "ft", 0, 0.1).items():
        np.testing.assert_array_equal(value, before[name])
    adapt_backprop(graph, x, y, "ft", 3, 0.1)
    for name, value in graph_parameters(graph).items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


@needs_torch
def test_a_batch_of_all_samples_is_the_full_batch() -> None:
    graph = small_graph()
    x, y = learnable(graph)
    full = adapt_backprop(graph, x, y, "ft", 4, 0.05, "sgd")
    for name, value in adapt_backprop(graph, x, y, "ft", 4, 0.05, "sgd", batch=len(y)).items():
        np.testing.assert_array_equal(value, full[name])
    small = adapt_backprop(graph, x, y, "ft", 4, 0.05, "sgd", batch=5, seed=1)
    again = adapt_backprop(graph, x, y, "ft", 4, 0.05, "sgd", batch=5, seed=1)
    other = adapt_backprop(graph, x, y, "ft", 4, 0.05, "sgd", batch=5, seed=2)
    for name, value in small.items():
        np.testing.assert_array_equal(value, again[name])
    assert any(not np.array_equal(small[name], other[name]) for name in small)


@needs_torch
def test_on_step_reports_every_step() -> None:
    graph = small_graph()
    x, y = learnable(graph)
    seen: list[tuple[int, np.ndarray]] = []
    final = adapt_backprop(
        graph, x, y, "lp", 3, 0.1, on_step=lambda step, now: seen.append((step, now["logits/bias"]))
    )
    assert [step for step, _ in seen] == [1, 2, 3]
    np.testing.assert_array_equal(seen[-1][1], final["logits/bias"])
    assert not np.array_equal(seen[0][1], seen[1][1])


def saved_bytes(graph: Graph, count: int, scope: str) -> int:
    """Measure what autograd keeps for one step: distinct storages that are no parameter or label."""
    parameters = {name: torch.tensor(value) for name, value in graph_parameters(graph).items()}
    own = {value.untyped_storage().data_ptr() for value in parameters.values()}
    head = next(node for node in reversed(graph.nodes) if node.op == "fully_connected")
    for name, value in parameters.items():
        value.requires_grad_(scope == "ft" or name in head.inputs)
    x, y = learnable(graph, count)
    labels = torch.as_tensor(y)
    own.add(labels.untyped_storage().data_ptr())
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = torch.nn.functional.cross_entropy(torch_forward(graph, parameters, x), labels)
    loss.backward()
    gradients = [value.grad for value in parameters.values() if value.grad is not None]
    return sum(t.numel() * t.element_size() for t in [*kept.values(), *gradients])


@needs_torch
@pytest.mark.parametrize("scope", ["lp", "ft"])
@pytest.mark.parametrize("name", ["small", "resnet12"])
def test_scratch_bytes_are_what_autograd_keeps(name: str, scope: str) -> None:
    graph = small_graph()
    if name == "resnet12":
        graph = attach_prototype_head(fold_batch_norm(resnet12_graph()), np.ones((5, 64)), 0.1)
    for count in (1, 20):
        assert backprop_scratch_bytes(graph, count, scope) == pytest.approx(
            saved_bytes(graph, count, scope), rel=0.03
        )


def test_scratch_bytes_of_a_linear_layer_by_hand() -> None:
    builder = GraphBuilder("linear")
    graph = builder.build(builder.fully_connected(builder.input("x", (10,)), np.ones((3, 10))))
    # per sample: 10 inputs and 3 log-probabilities; gradients: 30 weights and 3 biases
    assert backprop_scratch_bytes(graph, 7) == 4 * (7 * (10 + 3) + 33)
    assert backprop_scratch_bytes(graph, 7, "lp") == 4 * (7 * (10 + 3) + 33)


@needs_torch
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "all"}, "scope must be one of lp, last_k, ft, affine, not 'all'"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, momentum, adam"),
        ({"steps": -1}, "steps must not be negative"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"batch": "5"}, "batch must be at least 1, or None for all samples, not '5'"),
        ({"x": np.zeros((24, 9, 9, 1))}, r"\(9, 9, 3\), not of shape \(24, 9, 9, 1\)"),
        ({"x": np.zeros((0, 9, 9, 3))}, "at least one sample"),
        ({"y": np.zeros(23, np.int32)}, "24 integer labels"),
        ({"y": np.zeros(24)}, "24 integer labels"),
        ({"y": np.full(24, 4)}, r"y must be in 0\.\.3"),
        ({"y": np.full(24, -1)}, r"y must be in 0\.\.3"),
    ],
)
def test_unusable_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    graph = small_graph()
    x, y = learnable(graph)
    arguments = {"x": x, "y": y, "scope": "lp", "steps": 1, "learning_rate": 0.1, "optimizer": "sgd"}
    with pytest.raises(InputError, match=message):
        adapt_backprop(graph, **(arguments | change))


@needs_torch
def test_graphs_that_cannot_be_trained_are_refused() -> None:
    x, y = np.zeros((1, 28, 28, 1)), np.zeros(1, np.int32)
    with pytest.raises(GraphError, match="batch_norm; fold it"):
        adapt_backprop(resnet12_graph(), x, y, "lp", 1, 0.1)
    with pytest.raises(GraphError, match="no fully_connected"):
        adapt_backprop(fold_batch_norm(resnet12_graph()), x, y, "lp", 1, 0.1)
    with pytest.raises(GraphError, match="no tensor 'nothing'"):
        torch_forward(fold_batch_norm(resnet12_graph()), {}, x, until="nothing")


def test_missing_torch_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "fxpgrad\[torch\]"'):
        torch_forward(small_graph(), {}, np.zeros((1, 9, 9, 3)))
