"""Models as ONNX Runtime's own quantizer exports them, in both of its formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
quantization = pytest.importorskip("onnxruntime.quantization", reason="onnxruntime is not installed")

from fxpgrad.importers.onnx_graph import import_onnx  # noqa: E402
from tests.importers.onnx_comparison import outputs_of, tensors_of  # noqa: E402
from tests.importers.onnx_models import Array, model, node, run, value  # noqa: E402


class Samples(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
    """Hands out calibration rows one by one."""

    def __init__(self, x: Array) -> None:
        self._rows = iter([{"x": x[i : i + 1]} for i in range(len(x))])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._rows, None)


def network(rng: np.random.Generator) -> Any:
    """Return a float network: three kinds of convolution, a sum, a pool, a concat, a dense layer."""

    def weights(*shape: int) -> Array:
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {
        **{name: weights(*shape) for name, shape in WEIGHTS.items()},
        **{
            f"{name}_b": (0.1 * rng.normal(size=shape[0])).astype(np.float32)
            for name, shape in WEIGHTS.items()
        },
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    nodes = [
        node("Conv", ["x", "w1", "w1_b"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2", "w2_b"], ["c2"], pads=[1, 1, 1, 1], group=8),
        node("Clip", ["c2", "zero", "six"], ["r2"]),
        node("Conv", ["r2", "w3", "w3_b"], ["c3"]),
        node("Add", ["c3", "r1"], ["a1"]),
        node("Relu", ["a1"], ["r3"]),
        node("MaxPool", ["r3"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w4", "w4_b"], ["c4"], pads=[0, 1, 1, 0], group=2, strides=[2, 1]),
        node("GlobalAveragePool", ["p1"], ["g1"]),
        node("Flatten", ["g1"], ["f1"]),
        node("Flatten", ["c4"], ["f2"]),
        node("Concat", ["f1", "f2"], ["f3"], axis=1),
        node("Gemm", ["f3", "w5", "w5_b"], ["y"], transB=1),
    ]
    inputs = [value("x", "float32", [None, 3, 8, 8])]
    return model(nodes, inputs, [value("y", "float32", [None, 10])], constants)


WEIGHTS = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (8, 8, 1, 1), "w4": (12, 4, 3, 3), "w5": (10, 80)}
# 8-bit products of mixed sign saturate in the runtime's AVX2 kernels unless the weights keep to 7 bits.
TYPES = {
    "s8s8": ("QInt8", "QInt8", {}),
    "u8u8": ("QUInt8", "QUInt8", {}),
    "u8s8 of 7 bits": ("QUInt8", "QInt8", {"reduce_range": True}),
}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_exported_model_equals_onnxruntime(form: str, types: str, per_channel: bool, tmp_path: Path) -> None:
    activation, weight, options = TYPES[types]
    if types == "u8u8" and per_channel:
        pytest.skip("the quantizer makes per-channel weights int8: u8s8")
    rng = np.random.default_rng(3)
    x = rng.normal(size=(24, 3, 8, 8)).astype(np.float32)
    source, target = tmp_path / "float.onnx", tmp_path / "quantized.onnx"
    onnx.save(network(rng), source)
    quantization.quantize_static(
        source,
        target,
        Samples(x[:8]),
        quant_format=quantization.QuantFormat[form],
        activation_type=quantization.QuantType[activation],
        weight_type=quantization.QuantType[weight],
        per_channel=per_channel,
        **options,
    )
    imported = import_onnx(target)
    made = onnx.load(target)
    np.testing.assert_array_equal(outputs_of(imported, {"x": x})["y"], run(made, {"x": x})["y"])
    for name, actual in tensors_of(imported, {"x": x}).items():
        if name.endswith(("_quantized", "_QuantizeLinear_Output")):
            np.testing.assert_array_equal(actual, run(made, {"x": x}, [name])[name], name)
