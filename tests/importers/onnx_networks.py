"""Small quantized networks in QDQ form, as quantizers export them, with scales from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.importers.onnx_models import Array, integers, model, node, value, zero_point


class QdqNetwork:
    """Collects DequantizeLinear, operator, QuantizeLinear; scales are powers of two if `ties`."""

    def __init__(self, seed: int, dtype: str, ties: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.ties = ties
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def scale(self, low: float, high: float) -> np.float32:
        real = float(self.rng.uniform(low, high))
        return np.float32(2.0 ** round(np.log2(real))) if self.ties else np.float32(real)

    def quantize(self, name: str, low: float, high: float, *, relu: bool = False) -> str:
        """Quantize the float `name`; return the dequantized value's name."""
        limits = np.iinfo(self.dtype)
        self.constants[f"{name}_s"] = self.scale(low, high)
        zero = np.array(limits.min, self.dtype) if relu else zero_point(self.rng, self.dtype)
        self.constants[f"{name}_z"] = zero
        return self.again(name, f"{name}_s", f"{name}_z")

    def again(self, name: str, scale: str, zero: str) -> str:
        """Quantize the float `name` at a scale that is there already."""
        self.nodes.append(node("QuantizeLinear", [name, scale, zero], [f"{name}_q"]))
        self.nodes.append(node("DequantizeLinear", [f"{name}_q", scale, zero], [f"{name}_d"]))
        return f"{name}_d"

    def weights(self, name: str, shape: tuple[int, ...], source: str, per_channel: bool) -> list[str]:
        """Add dequantized int8 weights and an int32 bias; `source` names the input's scale."""
        count = shape[0] if per_channel else 1
        scales = np.array([self.scale(0.002, 0.02) for _ in range(count)], np.float32)
        bias_scale = scales * self.constants[source]
        fields = {"axis": 0} if per_channel else {}
        parts = {
            name: (integers(self.rng, "int8", *shape), scales, np.zeros(count, np.int8)),
            f"{name}_b": (
                self.rng.integers(-2000, 2000, shape[0]).astype(np.int32),
                bias_scale,
                np.zeros(count, np.int32),
            ),
        }
        for key, (array, scale, zero) in parts.items():
            own = {"": array, "_s": scale, "_z": zero}
            for suffix, item in own.items():
                whole = item if suffix == "" or per_channel else item.reshape(())
                self.constants[key + suffix] = whole
            self.nodes.append(node("DequantizeLinear", [key, f"{key}_s", f"{key}_z"], [f"{key}_d"], **fields))
        return [f"{name}_d", f"{name}_b_d"]

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, [output], **attributes))
        return output


def residual_network(seed: int, dtype: str, ties: bool, per_channel: bool) -> Any:
    """Return a network with every operator that the importer knows in QDQ form, float in and out."""
    net = QdqNetwork(seed, dtype, ties)
    x = net.quantize("x", 0.01, 0.03)
    w = net.weights("w1", (8, 3, 3, 3), "x_s", per_channel)
    stem = net.quantize(
        net.add("Relu", [net.add("Conv", [x, *w], "c1", pads=[1, 1, 1, 1])], "r1"), 0.02, 0.06, relu=True
    )
    w = net.weights("w2", (8, 1, 3, 3), "r1_s", per_channel)
    deep = net.quantize(net.add("Conv", [stem, *w], "c2", pads=[1, 1, 1, 1], group=8), 0.02, 0.06)
    total = net.quantize(net.add("Add", [deep, stem], "a1"), 0.03, 0.08)
    net.add("MaxPool", [total], "p1", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    pooled = net.again("p1", "a1_s", "a1_z")
    gate = net.quantize(net.add("LeakyRelu", [pooled], "s1", alpha=0.2), 0.02, 0.05)
    gated = net.quantize(net.add("Mul", [pooled, gate], "m1"), 0.03, 0.08)
    joined = net.quantize(net.add("Concat", [gated, pooled], "j1", axis=1), 0.03, 0.08)
    w = net.weights("w3", (12, 4, 3, 3), "j1_s", per_channel)
    small = net.quantize(net.add("Conv", [joined, *w], "c3", strides=[2, 2], group=4), 0.05, 0.2)
    means = net.quantize(net.add("GlobalAveragePool", [small], "g1"), 0.05, 0.2)
    flat_means = net.add("Flatten", [means], "f1")
    transposed = net.add("Transpose", [small], "t1", perm=[0, 2, 3, 1])
    turned = net.add("Reshape", [transposed, "turn"], "f2")
    net.constants["turn"] = np.array([0, -1], np.int64)
    flat = net.add("Flatten", [small], "f3")
    net.add("Concat", [flat_means, turned, flat], "j2", axis=1)
    features = net.quantize("j2", 0.05, 0.2)
    w = net.weights("w4", (10, 12 + 48 + 48), "j2_s", per_channel)
    y = net.quantize(net.add("Gemm", [features, *w], "y0", transB=1), 0.1, 0.5)
    net.add("Identity", [y], "y")
    inputs = [value("x", "float32", [None, 3, 9, 9])]
    return model(net.nodes, inputs, [value("y", "float32", [None, 10])], net.constants)


def network_inputs(seed: int, rows: int = 16) -> Array:
    return np.random.default_rng(seed).normal(0, 1.5, (rows, 3, 9, 9)).astype(np.float32)


def integer_tensors(made: Any) -> list[str]:
    """Return the names of all that QuantizeLinear makes."""
    return [entry.output[0] for entry in made.graph.node if entry.op_type == "QuantizeLinear"]
