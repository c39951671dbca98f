"""Operators element by element, of one and of two activations, and those over one axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fxpgrad.importers.onnx_constants import integers
from fxpgrad.importers.onnx_model import Array, OnnxNode, printable
from fxpgrad.importers.onnx_qdq import activation_named, clamp_of, file_kind
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import (
    FLOAT,
    ActivationValue,
    ConstantValue,
    Kind,
    Order,
    Value,
    channels_last,
    identity,
)

_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul"}
_UNARY = {
    "Abs": "abs",
    "Exp": "exp",
    "HardSwish": "hard_swish",
    "Neg": "neg",
    "Sigmoid": "logistic",
    "Tanh": "tanh",
}


def binary(
    translation: Translation, node: OnnxNode, op: str, pair: tuple[Value, Value], target: Target
) -> None:
    """Add an operator on two values that broadcast as in ONNX; a constant becomes a node of its own."""
    if not any(isinstance(value, ActivationValue) for value in pair):
        raise node.refuse("both of its inputs are constants")
    ranks = [
        len(value.order) if isinstance(value, ActivationValue) else _constant_rank(translation, node, value)
        for value in pair
    ]
    rank = max(ranks)
    order = _common_order(translation, pair, rank)
    tensors = []
    for place, (value, own) in enumerate(zip(pair, ranks, strict=True)):
        if isinstance(value, ConstantValue):
            tensors.append(_constant_operand(translation, node, value, rank, order, place))
        elif own == rank:
            tensors.append(translation.writer.ordered(node, value, order))
        else:
            raise node.refuse(
                f"its inputs have {ranks[0] + translation.lead} and {ranks[1] + translation.lead} axes: "
                "the batch of one would meet another axis of the other"
            )
    if op == "add" and _repeats_inside(translation, pair):
        tensors.reverse()
    attributes = {} if op not in ("add", "sub", "mul") else {"activation": target.activation}
    translation.emit(node, op, tensors, target, order, attributes)


def _repeats_inside(translation: Translation, pair: tuple[Value, Value]) -> bool:
    """Whether the first operand repeats along the innermost axis of the second.

    ONNX Runtime then adds the operands in the other order, which float32 can notice.
    """
    shapes = [
        translation.onnx_shape(value) if isinstance(value, ActivationValue) else value.array.shape
        for value in pair
    ]
    rank = max(len(shape) for shape in shapes)
    first, second = ((1,) * (rank - len(shape)) + shape for shape in shapes)
    for a, b in zip(reversed(first), reversed(second), strict=True):
        if (a, b) != (1, 1):
            return a == 1
    return isinstance(pair[0], ConstantValue)


def _constant_rank(translation: Translation, node: OnnxNode, value: ConstantValue) -> int:
    shape = value.array.shape
    activations = [
        translation.values[name]
        for name in node.inputs
        if isinstance(translation.values.get(name), ActivationValue)
    ]
    full = max((len(item.order) for item in activations if isinstance(item, ActivationValue)), default=0)
    if len(shape) > full + translation.lead:
        raise node.refuse(f"a constant of the shape {list(shape)} would change the number of axes")
    if translation.lead and len(shape) == full + 1 and shape[0] != 1:
        raise node.refuse(f"a constant of the shape {list(shape)} differs from row to row")
    return min(len(shape), full)


def _common_order(translation: Translation, pair: tuple[Value, Value], rank: int) -> Order:
    """Return the order of the first activation of full rank; one that repeats nothing goes first."""
    found = [value for value in pair if isinstance(value, ActivationValue) and len(value.order) == rank]
    found.sort(key=lambda value: -int(np.prod(translation.writer.shape(value.tensor), dtype=np.int64)))
    return found[0].order if found else identity(rank)


def _constant_operand(
    translation: Translation, node: OnnxNode, value: ConstantValue, rank: int, order: Order, place: int
) -> str:
    shape = value.array.shape
    own = shape[len(shape) - rank :] if len(shape) > rank else (1,) * (rank - len(shape)) + shape
    name = printable(node.input(place)) or f"{node.outputs[0]}/constant"
    if not translation.quantized:
        real = value.real().astype(np.float32).reshape(own).transpose(order)
        return translation.writer.constant(name, real, FLOAT)
    quantization = value.quantization
    if quantization is None:
        raise node.refuse(f"its constant {name} is not quantized; put it behind DequantizeLinear")
    kind = file_kind(node, quantization.scale, quantization.zero_point)
    data = value.array
    if kind.unsigned:
        data = (data.astype(np.int16) - 128).astype(np.int8)
    return translation.writer.constant(name, data.reshape(own).transpose(order), kind)


def _binary(translation: Translation, node: OnnxNode) -> None:
    if node.outputs[0] in translation.values:  # the bias of the product before it
        return
    op = _BINARY[node.op]
    target = translation.target(node, fuses=True)
    pair = (_operand(translation, node, 0), _operand(translation, node, 1))
    binary(translation, node, op, pair, target)


def _operand(translation: Translation, node: OnnxNode, position: int) -> Value:
    value = translation.value(node, position)
    return translation.real_activation(node, position) if isinstance(value, ActivationValue) else value


def unary(
    translation: Translation,
    node: OnnxNode,
    op: str,
    source: ActivationValue,
    target: Target,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Add an operator on one value, element by element."""
    translation.emit(node, op, (source.tensor,), target, source.order, attributes)


def _unary(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    attributes: dict[str, Any] = {}
    if node.op == "Elu" and float(node.attributes.get("alpha", 1.0)) != 1:
        raise node.refuse("alpha must be 1")
    if node.op == "LeakyRelu":
        attributes["alpha"] = float(node.attributes.get("alpha", 0.01))
    if node.op in ("Gelu", "com.microsoft.Gelu"):
        attributes["approximate"] = int(node.attributes.get("approximate", "none") == "tanh")
    names = {**_UNARY, "Elu": "elu", "LeakyRelu": "leaky_relu", "Gelu": "gelu", "com.microsoft.Gelu": "gelu"}
    unary(translation, node, names[node.op], source, translation.target(node, fuses=False), attributes)


def _clamp(translation: Translation, node: OnnxNode) -> None:
    if node.outputs[0] in translation.values:  # fused into its producer
        return
    source = translation.real_activation(node, 0)
    bounds = clamp_of(translation, node)
    if bounds is None:
        raise node.refuse("its bounds must be constants")
    target = translation.target(node, fuses=False)
    name = activation_named(bounds)
    if name is None and translation.quantized and _covers(bounds, target.kind):
        name = "none"
    if name is None:
        raise node.refuse(
            f"a clamp to {list(bounds)} is not supported; supported: [0, inf), [0, 6], [-1, 1], [0, 1]"
        )
    tensor = source.tensor
    if translation.quantized and not translation.writer.kind(tensor).same(target.kind):
        # Rounding is monotone: quantizing first and clamping then gives the same integers.
        wanted = f"{target.name}/quantized"
        tensor = translation.writer.emit(node, "quantize", wanted, (tensor,), {}, {}, target.kind)
    if name == "none":
        translation.assign(node, tensor, target, source.order)
        return
    translation.emit(node, "activation", (tensor,), target, source.order, {"activation": name})


def _covers(bounds: tuple[float, float], kind: Kind) -> bool:
    """Whether every value that the integers can express lies within the bounds."""
    limits = np.iinfo(kind.dtype)
    low, high = ((limit - kind.zero_point) * kind.scale for limit in (limits.min, limits.max))
    return bounds[0] <= low and high <= bounds[1]


def _prelu(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    slope = _operand(translation, node, 1)
    binary(translation, node, "prelu", (source, slope), translation.target(node, fuses=False))


def _batch_norm(translation: Translation, node: OnnxNode) -> None:
    if translation.quantized:
        raise node.refuse("a batch normalization in a quantized model; fold it before quantizing")
    if int(node.attributes.get("training_mode", 0)) or len([name for name in node.outputs if name]) > 1:
        raise node.refuse("it is in training mode; export the model after model.eval()")
    source = translation.activation(node, 0)
    rank = len(source.order)
    if rank < 1:
        raise node.refuse("its input has no channel axis")
    order = channels_last(rank) if rank > 1 else identity(1)
    if order[-1] != 1 - translation.lead:
        raise node.refuse("its channels are not axis 1")
    tensor = translation.writer.ordered(node, source, order)
    roles = ("gamma", "beta", "mean", "variance")
    constants: dict[str, tuple[Array, None]] = {}
    for position, role in enumerate(roles, 1):
        array = translation.array(node, position)
        if array is None:
            raise node.refuse(f"its {role} is missing")
        constants[role] = (array.astype(np.float32), None)
    epsilon = {"epsilon": float(node.attributes.get("epsilon", 1e-5))}
    translation.emit(
        node, "batch_norm", (tensor,), translation.target(node, fuses=False), order, epsilon, constants
    )


def over_axis(
    translation: Translation, node: OnnxNode, op: str, source: ActivationValue, target: Target
) -> None:
    """Add softmax or log_softmax over the axis that the node names."""
    rank = len(source.order)
    coerced = translation.model.opset < 13
    axis = translation.axis(node, int(node.attributes.get("axis", 1 if coerced else -1)), source)
    if coerced and axis != rank - 1:
        raise node.refuse("before opset 13 only a softmax over the last axis is supported")
    order = source.order
    if order[-1] != axis:
        order = (*(other for other in range(rank) if other != axis), axis)
    tensor = translation.writer.ordered(node, source, order)
    attributes = {"beta": 1.0} if op == "softmax" else {}
    translation.emit(node, op, (tensor,), target, order, attributes)


def _softmax(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    op = "softmax" if node.op == "Softmax" else "log_softmax"
    over_axis(translation, node, op, source, translation.target(node, fuses=False))


def _reduce_mean(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    axes = integers(node, translation.constant_inputs(node), 1, "axes")
    if not axes:
        raise node.refuse("its axes must be constants")
    own = sorted({translation.axis(node, axis, source) for axis in axes})
    keep = int(node.attributes.get("keepdims", 1))
    order = source.order
    if not keep:
        left = [axis for axis in order if axis not in own]
        order = tuple(sorted(left).index(axis) for axis in left)
    places = tuple(sorted(source.position(axis) for axis in own))
    attributes = {"axes": places, "keep_dims": keep}
    translation.emit(node, "mean", (source.tensor,), translation.target(node, fuses=False), order, attributes)


RULES: dict[str, Rule] = {
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys((*_UNARY, "Elu", "LeakyRelu", "Gelu", "com.microsoft.Gelu"), _unary),
    **dict.fromkeys(("Relu", "Clip"), _clamp),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "PRelu": _prelu,
    "BatchNormalization": _batch_norm,
    "ReduceMean": _reduce_mean,
}
