"""Weights and biases of an ONNX model: symmetric integers with the scales that a Graph wants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.onnx_model import Array, OnnxNode
from fxpgrad.importers.onnx_qdq import symmetric
from fxpgrad.importers.onnx_translation import Translation
from fxpgrad.importers.onnx_values import ConstantValue
from fxpgrad.importers.onnx_writer import Constants


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights in ONNX's axes: float32 without a scale, or integers whose zero point is 0.

    scale: float64 [1] or one for each entry of `axis`.
    """

    array: Array
    scale: Array | None = None
    axis: int | None = None


def weights_of(translation: Translation, node: OnnxNode, position: int) -> Weights:
    """Return a constant weight input of a float operator: dequantized integers in a quantized model."""
    value = translation.constant(node, position)
    if value is None:
        raise node.refuse("its weights are missing")
    if not translation.quantized:
        return Weights(value.real().astype(np.float32))
    if not isinstance(value, ConstantValue) or value.quantization is None:
        raise node.refuse("its weights are float32 in a quantized model; quantize them")
    own = value.quantization
    if value.array.dtype.name == "int16":
        translation.note(
            f"{node.label}: ONNX Runtime computes 16-bit weights in float32; results may differ by one where "
            "the exact value is near a tie"
        )
    array = symmetric(node, value.array, own.zero_point, own.axis)
    return Weights(array, own.scale.astype(np.float64), own.axis)


def bias_of(
    translation: Translation, node: OnnxNode, value: ConstantValue | None, channels: int, scale: Array | None
) -> Array:
    """Return the bias [channels]: float32, or int32 at `scale` (floats of the file are rounded)."""
    if value is None:
        return np.zeros(channels, np.float32 if scale is None else np.int32)
    if scale is None:
        return _one_each(node, value.real().astype(np.float32), channels)
    if value.array.dtype == np.int32:
        return _one_each(node, value.array, channels)
    real = _one_each(node, value.real().astype(np.float64), channels)
    steps = np.rint(real / scale)
    if not (np.abs(steps) < 2.0**31).all():
        raise node.refuse("its bias does not fit int32 at input scale times weight scale")
    translation.note(
        f"{node.label}: the bias is no int32 tensor; it is rounded to input scale x weight scale, "
        "where ONNX Runtime adds it in float32: results may differ by one at ties"
    )
    return steps.astype(np.int32)


def _one_each(node: OnnxNode, array: Array, channels: int) -> Array:
    flat = array.reshape(-1)
    if flat.size == 1 and channels > 1:
        flat = np.repeat(flat, channels)
    if flat.size != channels:
        raise node.refuse(f"its bias has the shape {list(array.shape)}, but there are {channels} outputs")
    return flat


def with_quantization(
    translation: Translation, source: str, weights: Array, own: Weights, axis: int, bias: Array
) -> Constants:
    """Return weights and bias as constants of a node; `axis` counts output channels in `weights`."""
    if own.scale is None:
        return {"weights": (weights, None), "bias": (bias, None)}
    many = own.scale.size > 1
    zeros = np.zeros(own.scale.size, np.int64)
    of_weights = Quantization(own.scale, zeros, axis if many else None)
    bias_scale = translation.writer.kind(source).scale * own.scale
    of_bias = Quantization(bias_scale, zeros, 0 if many else None)
    return {"weights": (weights, of_weights), "bias": (bias, of_bias)}
