"""Operators that take and give integers, with scales and zero points among their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.onnx_elementwise import binary, over_axis, unary
from fxpgrad.importers.onnx_model import OnnxNode
from fxpgrad.importers.onnx_movement import joined
from fxpgrad.importers.onnx_products import batch_product, dense
from fxpgrad.importers.onnx_qdq import check_reading, dequantized, file_kind, symmetric
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import ActivationValue, ConstantValue, Kind, Value
from fxpgrad.importers.onnx_weights import Weights
from fxpgrad.importers.onnx_windows import convolution, global_pool, pool, unrolled_convolution


def _source(translation: Translation, node: OnnxNode, at: int) -> ActivationValue:
    """Return the integer activation at input `at`, whose scale and zero point follow it."""
    value = translation.activation(node, at)
    scale, zero = translation.array(node, at + 1), translation.array(node, at + 2)
    check_reading(translation, node, value, scale, zero)
    return value


def _kind(translation: Translation, node: OnnxNode, at: int) -> Kind:
    """Return what the output holds, whose scale is input `at` and zero point the next."""
    return file_kind(node, translation.array(node, at), translation.array(node, at + 1))


def _target(translation: Translation, node: OnnxNode, at: int) -> Target:
    return Target(node.outputs[0], _kind(translation, node, at), False)


def _weights(translation: Translation, node: OnnxNode, at: int, axis: int) -> Weights:
    """Return weights at input `at`; more than one scale counts along `axis`."""
    value = translation.constant(node, at)
    scale, zero = translation.array(node, at + 1), translation.array(node, at + 2)
    if value is None or scale is None or value.quantization is not None:
        raise node.refuse("its weights must be integer constants with a scale")
    many = axis if scale.size > 1 else None
    if many is not None and (value.array.ndim <= axis or scale.size != value.array.shape[axis]):
        raise node.refuse(f"{scale.size} scales do not fit weights of the shape {list(value.array.shape)}")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise node.refuse("every scale must be finite and above zero")
    array = symmetric(node, value.array, zero, many)
    return Weights(array, scale.reshape(-1).astype(np.float64), many)


def _bias(translation: Translation, node: OnnxNode, at: int) -> ConstantValue | None:
    value = translation.constant(node, at)
    if value is not None and value.array.dtype != np.int32:
        raise node.refuse(f"its bias must be int32; got {value.array.dtype.name}")
    return value


def _conv(translation: Translation, node: OnnxNode) -> None:
    source, weights = _source(translation, node, 0), _weights(translation, node, 3, 0)
    convolution(
        translation, node, source, weights, _bias(translation, node, 8), _target(translation, node, 6)
    )


def _mat_mul(translation: Translation, node: OnnxNode) -> None:
    source, target = _source(translation, node, 0), _target(translation, node, 6)
    if isinstance(translation.value(node, 3), ActivationValue):
        batch_product(translation, node, source, _source(translation, node, 3), target)
        return
    weights = _weights(translation, node, 3, 1)
    dense(translation, node, source, weights, None, target)


def _gemm(translation: Translation, node: OnnxNode) -> None:
    if int(node.attributes.get("transA", 0)) or float(node.attributes.get("alpha", 1.0)) != 1:
        raise node.refuse("transA must be 0 and alpha 1")
    if not node.input(7):
        raise node.refuse("a float output is not supported; give it an output scale")
    transposed = bool(node.attributes.get("transB", 0))
    weights = _weights(translation, node, 3, 0 if transposed else 1)
    bias, target = _bias(translation, node, 6), _target(translation, node, 7)
    dense(translation, node, _source(translation, node, 0), weights, bias, target, transposed=transposed)


def _binary(translation: Translation, node: OnnxNode) -> None:
    target = _target(translation, node, 6)
    pair = (_operand(translation, node, 0), _operand(translation, node, 3))
    op = "add" if node.op.endswith("Add") else "mul"
    binary(translation, node, op, pair, target)


def _operand(translation: Translation, node: OnnxNode, at: int) -> Value:
    value = translation.value(node, at)
    if isinstance(value, ActivationValue):
        return _source(translation, node, at)
    scale, zero = translation.array(node, at + 1), translation.array(node, at + 2)
    if scale is None:
        raise node.refuse("a scale is missing")
    return dequantized(node, value, scale, zero)


def _unary(translation: Translation, node: OnnxNode) -> None:
    source, target = _source(translation, node, 0), _target(translation, node, 3)
    if node.op.endswith("LeakyRelu"):
        alpha = {"alpha": float(node.attributes.get("alpha", 0.01))}
        unary(translation, node, "leaky_relu", source, target, alpha)
    else:
        unary(translation, node, "logistic", source, target)


def _softmax(translation: Translation, node: OnnxNode) -> None:
    over_axis(translation, node, "softmax", _source(translation, node, 0), _target(translation, node, 3))


def _refuse_channels_last(node: OnnxNode) -> None:
    if int(node.attributes.get("channels_last", 0)):
        raise node.refuse("channels_last is not supported; import the model as it was before optimization")


def _global_average_pool(translation: Translation, node: OnnxNode) -> None:
    _refuse_channels_last(node)
    global_pool(translation, node, _source(translation, node, 0), _target(translation, node, 3))


def _average_pool(translation: Translation, node: OnnxNode) -> None:
    _refuse_channels_last(node)
    source, kind = _source(translation, node, 0), _kind(translation, node, 3)
    if not kind.same(translation.writer.kind(source.tensor)):
        raise node.refuse("an average pool whose output has another scale than its input is not supported")
    pool(translation, node, "average_pool2d", source, kind)


def _concat(translation: Translation, node: OnnxNode) -> None:
    parts = [_source(translation, node, at) for at in range(2, len(node.inputs), 3)]
    if not parts or len({len(part.order) for part in parts}) != 1:
        raise node.refuse("its inputs must have one number of axes")
    axis = translation.axis(node, int(node.attributes.get("axis", 0)), parts[0])
    joined(translation, node, parts, axis, _target(translation, node, 0))


def _sums(translation: Translation, node: OnnxNode) -> tuple[ActivationValue, Weights, Target]:
    """Return input, weights and target of an operator that gives int32 sums at the scale 1."""
    source = translation.activation(node, 0)
    check_reading(translation, node, source, np.ones(1, np.float32), translation.array(node, 2))
    value, zero = translation.constant(node, 1), translation.array(node, 3)
    if value is None:
        raise node.refuse("its weights are missing")
    axis = 0 if node.op == "ConvInteger" else 1
    array = symmetric(node, value.array, zero, axis if zero is not None and zero.size > 1 else None)
    kind = Kind("int32", Quantization(np.ones(1), np.zeros(1, np.int64)))
    return source, Weights(array, np.ones(1)), Target(node.outputs[0], kind, False)


def _mat_mul_integer(translation: Translation, node: OnnxNode) -> None:
    source, weights, target = _sums(translation, node)
    dense(translation, node, source, weights, None, target)


def _conv_integer(translation: Translation, node: OnnxNode) -> None:
    """Gather the windows into rows and multiply: sums leave the device by a dense layer only."""
    source, weights, target = _sums(translation, node)
    unrolled_convolution(translation, node, source, weights, target)


_OURS: dict[str, Any] = {
    "QLinearAdd": _binary,
    "QLinearMul": _binary,
    "QLinearSigmoid": _unary,
    "QLinearLeakyRelu": _unary,
    "QLinearSoftmax": _softmax,
    "QLinearGlobalAveragePool": _global_average_pool,
    "QLinearAveragePool": _average_pool,
    "QLinearConcat": _concat,
    "QGemm": _gemm,
}
RULES: dict[str, Rule] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _mat_mul,
    "ConvInteger": _conv_integer,
    "MatMulInteger": _mat_mul_integer,
    **{f"com.microsoft.{name}": rule for name, rule in _OURS.items()},
}
