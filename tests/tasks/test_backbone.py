"""The bundled backbone as a Graph, and the prototype head."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fxpgrad.errors import InputError, StoreError
from fxpgrad.graph.check import check_graph
from fxpgrad.tasks.backbone import (
    attach_prototype_head,
    class_prototypes,
    distance_scale,
    load_backbone,
    resnet12_graph,
)


def test_bundled_backbone_is_finite_float32_of_the_expected_size() -> None:
    state = load_backbone()
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in state.values())
    weights = sum(array.size for name, array in state.items() if array.ndim == 4)
    assert weights == sum(
        9 * width * (inputs + 2 * width) + width * inputs
        for inputs, width in ((1, 16), (16, 32), (32, 48), (48, 64))
    )
    assert 0 < distance_scale() < 100


def test_graph_is_a_checked_float_resnet12() -> None:
    graph = resnet12_graph()
    check_graph(graph)
    counts = {op: sum(node.op == op for node in graph.nodes) for op in {node.op for node in graph.nodes}}
    assert counts == {
        "conv2d": 16,
        "batch_norm": 16,
        "activation": 8,
        "add": 4,
        "max_pool2d": 3,
        "global_average_pool2d": 1,
    }
    assert graph.tensors[graph.inputs[0]].shape == (28, 28, 1)
    assert graph.tensors[graph.outputs[0]].shape == (64,)
    shapes = [graph.tensors[f"layer{i}.add"].shape for i in (1, 2, 3, 4)]
    assert shapes == [(28, 28, 16), (14, 14, 32), (7, 7, 48), (3, 3, 64)]


def test_head_ranks_by_distance_to_the_prototypes() -> None:
    rng = np.random.default_rng(3)
    prototypes, x, scale = rng.normal(size=(7, 64)), rng.normal(size=(50, 64)), 0.3
    graph = attach_prototype_head(resnet12_graph(), prototypes, scale)
    head = graph.nodes[-1]
    assert graph.outputs == (head.output,)
    weights, bias = (graph.tensors[name].data for name in head.inputs[1:])
    assert weights is not None
    assert bias is not None
    logits = x @ weights.T + bias
    wanted = -scale * ((x[:, None] - prototypes) ** 2).sum(axis=2)
    constant = logits - wanted
    np.testing.assert_allclose(constant, np.repeat(constant[:, :1], 7, axis=1), atol=1e-4)


def test_head_leaves_the_graph_below_untouched() -> None:
    graph = resnet12_graph()
    headed = attach_prototype_head(graph, np.zeros((5, 64)), 1.0)
    assert headed.nodes[:-1] == graph.nodes
    assert "head" not in graph.tensors


def test_prototypes_are_class_means() -> None:
    x = np.array([[0.0, 2.0], [4.0, 4.0], [2.0, 0.0]])
    np.testing.assert_array_equal(class_prototypes(x, np.array([0, 1, 0])), [[1.0, 1.0], [4.0, 4.0]])
    with pytest.raises(InputError, match=r"\[1\] do not occur"):
        class_prototypes(x, np.array([0, 2, 0]))
    with pytest.raises(InputError, match="labels"):
        class_prototypes(x, np.array([0, 1]))


@pytest.mark.parametrize(
    ("prototypes", "scale", "message"),
    [
        (np.zeros((5, 63)), 1.0, r"\[classes, 64\], not of shape \(5, 63\)"),
        (np.zeros((0, 64)), 1.0, "prototypes must be"),
        (np.full((5, 64), np.nan), 1.0, "finite"),
        (np.zeros((5, 64)), 0.0, "positive"),
        (np.zeros((5, 64)), float("inf"), "finite"),
    ],
)
def test_unusable_heads_are_refused(prototypes: np.ndarray, scale: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attach_prototype_head(resnet12_graph(), prototypes, scale)


def test_a_second_head_needs_rank_one_of_64() -> None:
    headed = attach_prototype_head(resnet12_graph(), np.zeros((5, 64)), 1.0)
    with pytest.raises(InputError, match=r"\[classes, 5\]"):
        attach_prototype_head(headed, np.zeros((5, 64)), 1.0)


def test_broken_files_are_store_errors(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing\.npz cannot be read"):
        load_backbone(tmp_path / "missing.npz")
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, **load_backbone())
    assert distance_scale(whole) == distance_scale()
    (tmp_path / "half.npz").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"half\.npz cannot be read"):
        load_backbone(tmp_path / "half.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(StoreError, match=r"text\.npz cannot be read"):
        load_backbone(tmp_path / "text.npz")
    np.savez_compressed(tmp_path / "short.npz", distance_scale=np.float32(1))
    with pytest.raises(StoreError, match=r"no array 'layer1\.conv1\.weight'"):
        resnet12_graph(tmp_path / "short.npz")
    state = load_backbone()
    state["layer2.bn1.bias"] = state["layer2.bn1.bias"][:-1]
    np.savez_compressed(tmp_path / "shape.npz", **state)
    with pytest.raises(StoreError, match=r"'layer2\.bn1\.bias'.*\(32,\), not \(31,\)"):
        resnet12_graph(tmp_path / "shape.npz")


def test_tasks_do_not_import_torch() -> None:
    program = "import sys, fxpgrad.tasks.backbone, fxpgrad.tasks.episodes, fxpgrad.tasks.statistics as s;"
    program += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
