"""CIFAR files and the published CIFAR ResNets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxpgrad.errors import GraphError, InputError, StoreError
from fxpgrad.graph.float_execution import run_float_outputs
from fxpgrad.tasks.cifar_resnet import load_cifar, normalize, resnet_graph
from tests.data_folder import DATA, needs_data


def small_resnet(blocks: int) -> dict[str, np.ndarray]:
    """Return random arrays of a CIFAR ResNet of widths 2, 4, 8."""
    rng = np.random.default_rng(0)
    state: dict[str, np.ndarray] = {}

    def add(name: str, norm: str, outputs: int, inputs: int) -> None:
        state[f"{name}.weight"] = rng.normal(0, 0.4, (outputs, inputs, 3, 3)).astype(np.float32)
        state[f"{norm}.weight"] = np.ones(outputs, np.float32)
        state[f"{norm}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        state[f"{norm}.running_mean"] = np.zeros(outputs, np.float32)
        state[f"{norm}.running_var"] = np.ones(outputs, np.float32)

    add("conv1", "bn1", 2, 3)
    inputs = 2
    for stage, width in ((1, 2), (2, 4), (3, 8)):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            add(f"{name}.conv1", f"{name}.bn1", width, inputs)
            add(f"{name}.conv2", f"{name}.bn2", width, width)
            inputs = width
    state["linear.weight"] = rng.normal(size=(10, 8)).astype(np.float32)
    state["linear.bias"] = np.zeros(10, np.float32)
    return state


@pytest.mark.parametrize("blocks", [1, 3])
def test_depth_is_read_off_the_names(tmp_path: Path, blocks: int) -> None:
    np.savez(tmp_path / "net.npz", **small_resnet(blocks))
    graph = resnet_graph(tmp_path / "net.npz")
    assert sum(node.op == "conv2d" for node in graph.nodes) == 1 + 6 * blocks + 2
    assert graph.tensors[graph.outputs[0]].shape == (10,)
    assert graph.tensors["layer3.0.shortcut"].shape == (8, 8, 8)


def test_shortcut_takes_every_second_pixel_between_zero_channels(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", **small_resnet(1))
    graph = resnet_graph(tmp_path / "net.npz")
    filters = graph.tensors["layer2.0.shortcut/weights"].data
    assert filters is not None
    np.testing.assert_array_equal(filters[:, 0, 0], np.eye(4, 2, -1))


def test_normalization_is_that_of_the_authors() -> None:
    x = normalize(np.array([[[0, 128, 255]]], np.uint8))
    wanted = (np.array([0, 128 / 255, 1]) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, 0], wanted, rtol=1e-6)


@needs_data("cifar10/cifar10_test.npz", "models/cifar10_resnet20.npz")
def test_published_resnet20_classifies_the_test_part() -> None:
    data = load_cifar(DATA / "cifar10" / "cifar10_test.npz", 60)
    graph = resnet_graph(DATA / "models" / "cifar10_resnet20.npz")
    logits = run_float_outputs(graph, normalize(data.images))[0]
    assert (logits.argmax(axis=1) == data.labels).mean() >= 0.85
    assert data.images.shape == (60, 32, 32, 3)


def test_broken_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.npz"):
        resnet_graph(tmp_path / "none.npz")
    state = small_resnet(1)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="must hold a CIFAR ResNet"):
        resnet_graph(tmp_path / "other.npz")
    np.savez(tmp_path / "less.npz", **{name: a for name, a in state.items() if name != "layer2.0.bn2.bias"})
    with pytest.raises(InputError, match=r"lacks the array 'layer2\.0\.bn2\.bias'"):
        resnet_graph(tmp_path / "less.npz")
    np.savez(tmp_path / "wide.npz", **{**state, "conv1.weight": np.zeros((2, 3, 5, 5))})
    with pytest.raises(InputError, match=r"'conv1\.weight' .* must be \[out, in, 3, 3\]"):
        resnet_graph(tmp_path / "wide.npz")
    np.savez(tmp_path / "bent.npz", **{**state, "linear.weight": np.zeros((10, 7))})
    with pytest.raises(GraphError):
        resnet_graph(tmp_path / "bent.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 28, 28, 3), np.uint8)}, r"must be uint8 \[n, 32, 32, 3\]"),
        ({"images": np.zeros((4, 32, 32, 3), np.float32)}, "must be uint8"),
        ({"labels": np.zeros(3, int)}, "must be 4 integers"),
        ({"labels": np.zeros(4)}, "must be 4 integers"),
        ({"labels": np.full(4, 10)}, r"must be in 0\.\.9; got 10\.\.10"),
        ({"labels": None}, "lacks the array 'labels'"),
    ],
)
def test_broken_image_files_are_refused(tmp_path: Path, change, message) -> None:
    arrays = {"images": np.zeros((4, 32, 32, 3), np.uint8), "labels": np.arange(4)} | change
    np.savez(tmp_path / "d.npz", **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(InputError, match=message):
        load_cifar(tmp_path / "d.npz")


def test_first_images_are_taken_and_no_more_than_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=np.zeros((4, 32, 32, 3), np.uint8), labels=np.arange(4, dtype="u1"))
    data = load_cifar(tmp_path / "d.npz", 3)
    assert data.labels.tolist() == [0, 1, 2]
    assert data.labels.dtype == np.int32
    with pytest.raises(InputError, match=r"first must be in 1\.\.4"):
        load_cifar(tmp_path / "d.npz", 5)
