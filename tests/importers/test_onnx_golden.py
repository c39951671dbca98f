"""Stored networks: what ONNX Runtime and PyTorch computed, without either being installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fxpgrad.graph.float_execution import run_float_outputs
from fxpgrad.importers.onnx_float import float_deviation, quantize_onnx, run_onnx
from fxpgrad.importers.onnx_graph import import_onnx
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.quantize import dequantize_array, quantize, quantize_array
from tests.importers.onnx_comparison import outputs_of, tensors_of

GOLDEN = Path(__file__).parents[1] / "golden"
NETWORKS = np.load(GOLDEN / "onnxruntime_networks.npz")
TORCH = GOLDEN / "torch_network.onnx"
TORCH_IO = np.load(GOLDEN / "torch_network.npz")


@pytest.mark.parametrize("name", ["int8_per_channel", "int8_per_tensor"])
def test_every_stored_tensor_of_a_qdq_network(name: str) -> None:
    imported = import_onnx(GOLDEN / f"onnx_qdq_{name}.onnx")
    feed = {"x": NETWORKS["x"]}
    actual = {**tensors_of(imported, feed), **outputs_of(imported, feed)}
    stored = [key.split("/")[1] for key in NETWORKS.files if key.startswith(f"{name}/")]
    compared = [key for key in stored if key in actual]
    assert len(compared) >= 11
    for key in compared:
        np.testing.assert_array_equal(actual[key], NETWORKS[f"{name}/{key}"], key)


def test_the_network_of_pytorch_is_imported_whole() -> None:
    imported = import_onnx(TORCH)
    (output,) = run_float_outputs(imported.graph, imported.arrange(TORCH_IO["x"]))
    np.testing.assert_allclose(output, TORCH_IO["y"], atol=1e-5)


def test_the_runtime_agrees_with_the_imported_float_graph() -> None:
    imported = import_onnx(TORCH)
    assert float_deviation(imported, TORCH, {"x": TORCH_IO["x"]}) < 1e-5
    given = run_onnx(TORCH, {"x": TORCH_IO["x"]}, imported.outputs)
    np.testing.assert_allclose(given[imported.outputs[0]], TORCH_IO["y"], atol=1e-5)


@pytest.mark.parametrize("weight_bits", [8, 16])
def test_from_pytorch_to_a_program(weight_bits: int) -> None:
    imported = import_onnx(TORCH)
    images = imported.arrange(TORCH_IO["x"])
    graph = quantize(imported.graph, images, weight_bits)
    program = lower(graph)
    source, sink = (graph.tensors[name].quantization for name in (graph.inputs[0], graph.outputs[0]))
    assert source is not None
    assert sink is not None
    real = dequantize_array(run_program(program, quantize_array(images, source)), sink)
    assert np.abs(real - TORCH_IO["y"]).max() < 0.05 * np.abs(TORCH_IO["y"]).max()


def test_ranges_of_the_runtime_quantize_as_our_own() -> None:
    imported = import_onnx(TORCH)
    by_runtime = quantize_onnx(imported, TORCH, {"x": TORCH_IO["x"]})
    by_numpy = quantize(imported.graph, imported.arrange(TORCH_IO["x"]))
    assert set(by_runtime.tensors) == set(by_numpy.tensors)
    for name, tensor in by_runtime.tensors.items():
        other = by_numpy.tensors[name].quantization
        assert tensor.quantization is not None
        assert other is not None
        np.testing.assert_allclose(tensor.quantization.scale, other.scale, rtol=1e-4)
