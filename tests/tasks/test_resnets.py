"""ResNet12 and ResNet18 backbones from arrays by PyTorch name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import StoreError
from fxpgrad.graph.float_execution import run_float_outputs
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.tasks.backbone import backbone_graph, distance_scale

WIDTHS = (4, 6, 8, 10)
RNG = np.random.default_rng(0)


def random_backbone(convolutions: dict[str, tuple[int, int, int]]) -> dict[str, Any]:
    """Return arrays for convolutions given as name: (out, in, size), each with its batch norm."""
    state: dict[str, Any] = {"distance_scale": np.float32(0.5)}
    for name, (outputs, inputs, size) in convolutions.items():
        norm = name.replace("conv", "bn").replace("downsample.0", "downsample.1")
        spread = np.sqrt(2 / (inputs * size * size))
        state[f"{name}.weight"] = RNG.normal(0, spread, (outputs, inputs, size, size)).astype(np.float32)
        for field in ("weight", "running_var"):
            state[f"{norm}.{field}"] = RNG.uniform(0.8, 1.2, outputs).astype(np.float32)
        for field in ("bias", "running_mean"):
            state[f"{norm}.{field}"] = RNG.normal(0, 0.1, outputs).astype(np.float32)
    return state


def resnet12(channels: int) -> dict[str, Any]:
    convolutions = {}
    for stage, (inputs, width) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False), 1):
        for i in (1, 2, 3):
            convolutions[f"layer{stage}.conv{i}"] = (width, inputs if i == 1 else width, 3)
        convolutions[f"layer{stage}.downsample.0"] = (width, inputs, 1)
    return random_backbone(convolutions)


def resnet18(channels: int) -> dict[str, Any]:
    convolutions = {"conv1": (WIDTHS[0], channels, 3)}
    for stage, (inputs, width) in enumerate(zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False), 1):
        for block, first in ((0, inputs), (1, width)):
            convolutions[f"layer{stage}.{block}.conv1"] = (width, first, 3)
            convolutions[f"layer{stage}.{block}.conv2"] = (width, width, 3)
        if stage > 1:
            convolutions[f"layer{stage}.0.downsample.0"] = (width, inputs, 1)
    return random_backbone(convolutions)


@pytest.fixture(params=["resnet12", "resnet18"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.npz"
    np.savez(path, **{"resnet12": resnet12, "resnet18": resnet18}[request.param](3))
    return path


@pytest.mark.parametrize(("side", "last"), [(32, 4), (84, None)])
def test_graph_is_made_for_any_size(saved: Path, side: int, last: int | None) -> None:
    graph = backbone_graph(saved, (side, side, 3))
    assert graph.name == saved.stem
    assert graph.tensors[graph.outputs[0]].shape == (WIDTHS[-1],)
    (name,) = (node.inputs[0] for node in graph.nodes if node.op == "global_average_pool2d")
    wanted = last if last is not None else {"resnet12": 10, "resnet18": 11}[saved.stem]
    assert graph.tensors[name].shape == (wanted, wanted, WIDTHS[-1])
    assert distance_scale(saved) == 0.5


def test_resnet18_has_twenty_convolutions_three_of_them_shortcuts(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", **resnet18(3))
    graph = backbone_graph(tmp_path / "net.npz", (32, 32, 3))
    names = [node.name for node in graph.nodes if node.op == "conv2d"]
    assert len(names) == 17 + 3
    assert sum("downsample" in name for name in names) == 3


@pytest.mark.parametrize("side", [32, 21])
def test_graph_computes_what_the_trained_network_does(saved: Path, repository: Path, side: int) -> None:
    torch = pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location(
        "pretrain", repository / "examples" / "pretrain_few_shot.py"
    )
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    network = example.NETWORKS[saved.stem](WIDTHS).eval()
    with np.load(saved) as arrays:
        state = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "distance_scale"}
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)
    x = np.random.default_rng(1).normal(size=(2, side, side, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    (ours,) = run_float_outputs(backbone_graph(saved, (side, side, 3)), x)
    np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-4)


def test_backbone_is_quantized_and_lowered_like_any_graph(saved: Path) -> None:
    graph = backbone_graph(saved, (16, 16, 3))
    x = np.random.default_rng(2).normal(size=(8, 16, 16, 3)).astype(np.float32)
    program = lower(quantize(graph, x, 16, "min_max"), "tflite_double")
    info = program.tensors[program.outputs[0]]
    out = run_program(program, quantize_input(program.tensors[program.inputs[0]], x))
    (wanted,) = run_float_outputs(graph, x)
    error = (out.astype(np.float64) - info.zero_point) * info.scale - wanted
    assert np.abs(error).mean() < 0.05 * np.abs(wanted).mean()


def test_backbone_for_other_channels_is_refused(saved: Path) -> None:
    with pytest.raises(StoreError, match="must have shape"):
        backbone_graph(saved, (32, 32, 1))


def test_backbone_without_its_shortcut_is_refused(tmp_path: Path) -> None:
    state = resnet18(3)
    del state["layer2.0.downsample.0.weight"]
    np.savez(tmp_path / "net.npz", **state)
    with pytest.raises(StoreError, match=r"no array 'layer2\.0\.downsample\.0\.weight'"):
        backbone_graph(tmp_path / "net.npz", (32, 32, 3))
