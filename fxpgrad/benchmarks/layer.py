"""One quantized layer with its operands: the same integers for every candidate, and their exact sums."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph, Quantization
from fxpgrad.quantize.quantize_graph import quantize_graph

Kind = Literal["dense", "conv", "depthwise"]
_INPUT_SCALE, _INPUT_ZERO_POINT = 0.1, 3
_OUTPUT_DEVIATIONS = 4.0  # the output range in standard deviations of the sums: little is clipped
# A rounded output lies this close to the real one under every rounding rule; a 16-bit one is the product with
# a multiplier of 16 bits, whose own error shows in its finer steps.
_ROUNDED = {8: 0.52, 16: 1.5}
FINE = 128  # steps of a 16-bit output in one of the 8-bit output
_LIMIT = 127


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of a layer.

    A dense layer has `batch` rows of `in_channels`; the others have images of `size` x `size`. A depthwise
    layer has as many channels out as in. Padding is TensorFlow's SAME.
    """

    kind: Kind
    batch: int
    in_channels: int
    out_channels: int
    size: int = 1
    kernel: int = 1
    stride: int = 1

    @property
    def out_size(self) -> int:
        """Height and width of the output."""
        return -(-self.size // self.stride)

    @property
    def macs(self) -> int:
        """Multiply-adds, those with padding counted."""
        inner = 1 if self.kind == "depthwise" else self.in_channels
        return self.batch * self.out_size**2 * self.kernel**2 * inner * self.out_channels

    @property
    def large(self) -> bool:
        """Whether it is a product of at least 48 rows, with sums of at least 128 products."""
        rows = self.batch * self.out_size**2
        return self.kind != "depthwise" and rows >= 48 and self.kernel**2 * self.in_channels >= 128

    @property
    def label(self) -> str:
        """The geometry in words."""
        if self.kind == "dense":
            return f"{self.batch}x{self.in_channels}x{self.out_channels}"
        window = f"{self.kernel}x{self.kernel}" + (f" /{self.stride}" if self.stride > 1 else "")
        ends = f"{self.size}² {self.in_channels}"
        if self.kind == "conv":
            ends += f"→{self.out_channels}"
        return f"{window}, {ends}, batch {self.batch}"

    @property
    def padding(self) -> tuple[int, int]:
        """Rows (and columns) of padding before and after."""
        total = max((self.out_size - 1) * self.stride + self.kernel - self.size, 0)
        return total // 2, total - total // 2


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A geometry with full-range random operands and their quantization; the bias is zero.

    x: int8 [rows, in] or [batch, size, size, in]; weights: int8 or int16, [out, in], [out, k, k, in] or
    [1, k, k, out], symmetric, one scale a channel.
    """

    geometry: Geometry
    graph: Graph
    x: NDArray[np.int8]
    weights: NDArray[Any]
    weight_scale: NDArray[np.float64]
    input: Quantization
    output: Quantization

    @property
    def input_zero_point(self) -> int:
        """Zero point of x."""
        return int(self.input.zero_point[0])

    @property
    def input_scale(self) -> float:
        """Scale of x."""
        return float(self.input.scale[0])

    @property
    def output_zero_point(self) -> int:
        """Zero point of the output."""
        return int(self.output.zero_point[0])

    @property
    def output_scale(self) -> float:
        """Scale of the output."""
        return float(self.output.scale[0])

    def real_outputs(self) -> NDArray[np.float64]:
        """Return the outputs in steps of the output scale, neither rounded nor clipped."""
        factor = self.input_scale * self.weight_scale / self.output_scale
        return exact_sums(self) * factor + self.output_zero_point


def make_layer(geometry: Geometry, weight_bits: int = 8, seed: int = 0) -> Layer:
    """Return a layer with random operands.

    8-bit weights are uniform over their whole range, where inexact multiply-adds show; 16-bit ones are
    normal, as trained ones are, so that the sums of reasonable layers fit 32 bits.
    """
    rng = np.random.default_rng(seed)
    g = geometry
    name = "layer"
    builder = GraphBuilder(name)
    shape: tuple[int, ...]
    rows: tuple[int, ...]
    if g.kind == "dense":
        x = builder.input("x", (g.in_channels,))
        shape, rows = (g.out_channels, g.in_channels), (g.batch, g.in_channels)
        y = builder.fully_connected(x, _weights(rng, shape, weight_bits), name=name)
    else:
        x = builder.input("x", (g.size, g.size, g.in_channels))
        rows = (g.batch, g.size, g.size, g.in_channels)
        pair = (g.stride, g.stride)
        if g.kind == "conv":
            shape = (g.out_channels, g.kernel, g.kernel, g.in_channels)
            y = builder.conv2d(x, _weights(rng, shape, weight_bits), stride=pair, name=name)
        else:
            shape = (1, g.kernel, g.kernel, g.out_channels)
            y = builder.depthwise_conv2d(x, _weights(rng, shape, weight_bits), stride=pair, name=name)
    graph = builder.build(y)
    inner = int(np.prod(shape)) // g.out_channels
    weights = graph.tensors[f"{name}/weights"].data
    assert weights is not None
    spread = _OUTPUT_DEVIATIONS * float(np.sqrt(inner * 74**2 * np.mean(np.square(weights)))) * _INPUT_SCALE
    low, high = (_INPUT_SCALE * (end - _INPUT_ZERO_POINT) for end in (-128, 127))
    quantized = quantize_graph(graph, {x: (low, high), y: (-spread, spread)}, weight_bits)
    constant = quantized.tensors[f"{name}/weights"]
    source, target = quantized.tensors[x].quantization, quantized.tensors[y].quantization
    assert constant.data is not None
    assert constant.quantization is not None
    assert source is not None
    assert target is not None
    values = rng.integers(-128, 128, rows).astype(np.int8)
    return Layer(g, quantized, values, np.asarray(constant.data), constant.quantization.scale, source, target)


def _weights(rng: np.random.Generator, shape: tuple[int, ...], weight_bits: int) -> NDArray[np.float32]:
    if weight_bits == 8:
        return (rng.integers(-_LIMIT, _LIMIT + 1, shape) / _LIMIT).astype(np.float32)
    return rng.normal(0, 1, shape).astype(np.float32)


def exact_sums(layer: Layer) -> NDArray[np.float64]:
    """Return the sums of (x - zero point) * w: whole numbers below 2**53, so that float64 is exact."""
    g = layer.geometry
    x = layer.x.astype(np.float64) - layer.input_zero_point
    weights = layer.weights.astype(np.float64)
    if g.kind == "dense":
        return np.asarray(x @ weights.T)
    padded = np.pad(x, ((0, 0), g.padding, g.padding, (0, 0)))
    sums = np.zeros((g.batch, g.out_size, g.out_size, g.out_channels))
    end = (g.out_size - 1) * g.stride + 1
    for row in range(g.kernel):
        for column in range(g.kernel):
            part = padded[:, row : row + end : g.stride, column : column + end : g.stride]
            if g.kind == "conv":
                sums += part @ weights[:, row, column].T
            else:
                sums += part * weights[0, row, column]
    return sums


def compare_sums(layer: Layer, sums: NDArray[Any]) -> str:
    """Tell "exact", or how many integer sums differ from the exact ones."""
    exact = exact_sums(layer)
    wrong = np.abs(sums.reshape(exact.shape).astype(np.float64) - exact)
    return _verdict(wrong > 0, wrong, "sums")


def compare_outputs(layer: Layer, outputs: NDArray[Any]) -> str:
    """Tell "exact", or how many int8 outputs cannot be the exact sum under any rounding rule."""
    return _compare_rounded(outputs, layer.real_outputs(), 8)


def compare_fine_outputs(layer: Layer, outputs: NDArray[Any]) -> str:
    """The same of int16 outputs, whose steps are `FINE` times smaller, with zero point 0."""
    return _compare_rounded(outputs, (layer.real_outputs() - layer.output_zero_point) * FINE, 16)


def compare_real(layer: Layer, values: NDArray[Any]) -> str:
    """Tell the largest error of a float peer on the same integers, relative to the largest output."""
    exact = exact_sums(layer) * (layer.input_scale * layer.weight_scale)
    error = float(np.abs(values.reshape(exact.shape) - exact).max() / np.abs(exact).max())
    return f"float, error {error:.0e}"


def _compare_rounded(outputs: NDArray[Any], real: NDArray[np.float64], bits: int) -> str:
    half = 2.0 ** (bits - 1)
    distance = np.abs(outputs.reshape(real.shape).astype(np.float64) - np.clip(real, -half, half - 1))
    return _verdict(distance > _ROUNDED[bits], np.rint(distance), "outputs")


def _verdict(wrong: NDArray[np.bool_], sizes: NDArray[np.float64], what: str) -> str:
    if not wrong.any():
        return "exact"
    share = 100 * float(wrong.mean())
    text = f"{share:.0f}" if share >= 1 else f"{share:.2g}"
    return f"inexact: {text} % of {what}, by ≤ {sizes.max():.0f}"


@functools.lru_cache(maxsize=4)
def cached_layer(geometry: Geometry, weight_bits: int = 8) -> Layer:
    """Return the same layer again while its candidates are built."""
    return make_layer(geometry, weight_bits)


def unsigned(x: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return int8 values as uint8, 128 more, which with a zero point 128 more are the same numbers."""
    return (x.astype(np.int16) + 128).astype(np.uint8)


def channels_first(array: NDArray[Any]) -> NDArray[Any]:
    """Return images [B, H, W, C] as [B, C, H, W]."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))
