"""QuantizeLinear, DequantizeLinear, and what lies between them.

In a QDQ model an operator stands between DequantizeLinear nodes and a QuantizeLinear node. The integers that
the latter makes are the tensor of the Graph: to know its scale before the operator is translated, the
importer looks ahead from the operator's float result to the node that quantizes it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.onnx_constants import normalized
from fxpgrad.importers.onnx_model import Array, OnnxNode, printable
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import (
    ActivationValue,
    ConstantValue,
    FileQuantization,
    Kind,
    Value,
)

QUANTIZE = ("QuantizeLinear", "com.microsoft.QuantizeLinear")
DEQUANTIZE = ("DequantizeLinear", "com.microsoft.DequantizeLinear")
# Operators that move or select values: quantizing before or after them is the same.
MOVES: tuple[str, ...] = (
    "Dropout",
    "Flatten",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)
# Operators on integers without scales: their tensors have the scale 1.
SUMS: tuple[str, ...] = ("ConvInteger", "MatMulInteger")
_LONGEST_LOOK = 32
_SCALE_LOW, _SCALE_HIGH = 1e-38, 1e38


def file_kind(node: OnnxNode, scale: Array | None, zero: Array | None, dtype: str = "uint8") -> Kind:
    """Return what an activation quantized by constants of the file holds.

    `dtype` is that of the integers where the file leaves the zero point out.
    """
    if scale is None or scale.size != 1:
        raise node.refuse("activations must be quantized per tensor, by one constant scale")
    name = zero.dtype.name if zero is not None else dtype
    if name not in ("int8", "uint8", "int16"):
        raise node.refuse(f"activations of the type {name} are not supported; supported: int8, uint8, int16")
    value = float(scale.reshape(-1)[0])
    if not _SCALE_LOW < value < _SCALE_HIGH:
        raise node.refuse(f"a scale must be finite and above zero; got {value!r}")
    point = 0 if zero is None or zero.size == 0 else int(zero.reshape(-1)[0])
    if zero is not None and zero.size > 1:
        raise node.refuse("activations must be quantized per tensor, by one zero point")
    if name == "int16" and point:
        raise node.refuse(f"int16 activations must have the zero point 0; got {point}")
    unsigned = name == "uint8"
    quantization = Quantization(np.array([value]), np.array([point - 128 * unsigned], np.int64))
    return Kind("int16" if name == "int16" else "int8", quantization, unsigned)


def clamp_of(translation: Translation, node: OnnxNode) -> tuple[float, float] | None:
    """Return the bounds of a Relu or a Clip with constant bounds, None for other nodes."""
    if node.op == "Relu":
        return (0.0, math.inf)
    if node.op != "Clip":
        return None
    bounds = [float(node.attributes.get("min", -math.inf)), float(node.attributes.get("max", math.inf))]
    for position in (1, 2):
        name = node.input(position)
        value = translation.values.get(name)
        if name and isinstance(value, ConstantValue) and value.real().size == 1:
            bounds[position - 1] = float(value.real().reshape(-1)[0])
        elif name:
            return None
    return (bounds[0], math.inf if bounds[1] > 3e38 else bounds[1])


def activation_named(bounds: tuple[float, float]) -> str | None:
    """Return the Graph's name of a clamp, or None if it has none."""
    return next((name for name, known in ACTIVATION_BOUNDS.items() if known == bounds), None)


def target_ahead(translation: Translation, node: OnnxNode, name: str, fuses: bool) -> Target:
    """Return where the float value `name` is quantized, or refuse the node that makes it."""
    target = _look(translation, name, fuses, _LONGEST_LOOK)
    if target is None:
        readers = ", ".join(reader.label for reader in translation.consumers.get(name, ())) or "the output"
        raise node.refuse(
            f"its float result {printable(name)} is read by {readers} and not quantized by one "
            "QuantizeLinear; quantize it, or name earlier tensors in `outputs`"
        )
    return replace(target, name=target.name or name)


def _look(translation: Translation, name: str, fuses: bool, steps: int) -> Target | None:
    """Follow a float value to its quantization; a target without a name takes that of the value."""
    readers = [reader for reader in translation.consumers.get(name, ()) if reader.op != "Shape"]
    kinds = [_quantizer_kind(translation, reader) for reader in readers if reader.op in QUANTIZE]
    if name in translation.outputs or steps == 0 or (len(readers) != 1 and len(kinds) != len(readers)):
        return None
    if kinds:
        return Target(readers[0].outputs[0], kinds[0], True) if _agree(kinds) else None
    if not readers:
        return None
    reader = readers[0]
    bounds = clamp_of(translation, reader)
    goes_on = bounds is not None or reader.op in (*MOVES, "Concat")
    further = _look(translation, reader.outputs[0], False, steps - 1) if goes_on else None
    if further is None:
        return None
    activation = None if bounds is None or not fuses else activation_named(bounds)
    if activation is not None:
        return replace(further, activation=activation, aliases=(reader.outputs[0],))
    return replace(further, name="", activation="none", aliases=())


def _agree(kinds: list[Kind]) -> bool:
    return all(kind.same(kinds[0]) for kind in kinds)


def _quantizer_kind(translation: Translation, node: OnnxNode) -> Kind:
    scale, zero = translation.array(node, 1), translation.array(node, 2)
    names = {2: "uint8", 3: "int8", 5: "int16"}
    wanted = names.get(int(node.attributes.get("output_dtype", 0)), "uint8")
    return file_kind(node, scale, zero, wanted)


def quantize_linear(translation: Translation, node: OnnxNode) -> None:
    """Translate QuantizeLinear of an activation: nothing, if the tensor holds these integers already."""
    value = translation.real_activation(node, 0)
    kind = _quantizer_kind(translation, node)
    own = translation.writer.kind(value.tensor)
    if own.same(kind):
        translation.values[node.outputs[0]] = replace(value, real=False)
        return
    if own.quantization is None:
        raise node.refuse("a float tensor in the middle of a quantized model; quantize every operator")
    target = Target(node.outputs[0], kind, False)
    translation.emit(node, "quantize", (value.tensor,), target, value.order)


def dequantize_linear(translation: Translation, node: OnnxNode) -> None:
    """Translate DequantizeLinear: of a constant, or of integers that hold these real numbers already."""
    value = translation.value(node, 0)
    scale, zero = translation.array(node, 1), translation.array(node, 2)
    if scale is None:
        raise node.refuse("its scale is missing")
    if int(node.attributes.get("block_size", 0)):
        raise node.refuse("blocked quantization is not supported")
    if isinstance(value, ConstantValue):
        translation.values[node.outputs[0]] = dequantized(node, value, scale, zero)
        return
    check_reading(translation, node, value, scale, zero)
    translation.values[node.outputs[0]] = replace(value, real=True)


def dequantized(node: OnnxNode, value: ConstantValue, scale: Array, zero: Array | None) -> ConstantValue:
    """Return a constant with its quantization, checked."""
    array = value.array
    if value.quantization is not None or array.dtype.kind not in "iu":
        raise node.refuse("only integers can be dequantized")
    axis = None
    if scale.size > 1:
        axis = normalized(node, int(node.attributes.get("axis", 1)), max(array.ndim, 1))
        if scale.shape != (array.shape[axis],):
            raise node.refuse(f"{scale.size} scales for {array.shape[axis]} channels")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise node.refuse("every scale must be finite and above zero")
    points = np.zeros(scale.shape, array.dtype) if zero is None else zero
    if points.size != scale.size:
        raise node.refuse(f"{points.size} zero points for {scale.size} scales")
    return ConstantValue(array, FileQuantization(scale.reshape(-1), points.reshape(-1), axis))


def check_reading(
    translation: Translation, node: OnnxNode, value: ActivationValue, scale: Array | None, zero: Array | None
) -> None:
    """Refuse a node that reads integers with another scale than they were written with."""
    own = translation.writer.kind(value.tensor)
    if value.real or own.quantization is None:
        raise node.refuse("it reads a float where integers are needed")
    default = "uint8" if own.unsigned else own.dtype
    if not file_kind(node, scale, zero, default).same(own):
        raise node.refuse(
            "it reads its input with another scale, zero point or type than the input was made with"
        )


def readings(node: OnnxNode) -> tuple[int, ...]:
    """Return the positions of a node's integer inputs that scale and zero point follow."""
    if node.op == "com.microsoft.QLinearConcat":
        return tuple(range(2, len(node.inputs), 3))
    if node.op in DEQUANTIZE:
        return (0,)
    if "QLinear" not in node.op and node.op != "com.microsoft.QGemm":
        return ()
    pairs = ("Conv", "MatMul", "Add", "Mul", "QGemm")
    return (0, 3) if node.op.endswith(pairs) else (0,)


def kind_of_input(translation: Translation, name: str, dtype: str, steps: int = _LONGEST_LOOK) -> Kind | None:
    """Return what an integer input of the model holds, from the first node that says so."""
    for reader in translation.consumers.get(name, ()):
        for at in readings(reader):
            if reader.input(at) == name:
                scale, zero = translation.array(reader, at + 1), translation.array(reader, at + 2)
                return file_kind(reader, scale, zero, dtype)
        if reader.op in SUMS and reader.input(0) == name:
            return file_kind(reader, np.ones(1, np.float32), translation.array(reader, 2), dtype)
        if reader.op in MOVES and steps:
            found = kind_of_input(translation, reader.outputs[0], dtype, steps - 1)
            if found is not None:
                return found
    return None


def symmetric(
    node: OnnxNode, array: Array, zero: Array | None, axis: int | None, label: str = "weights"
) -> Array:
    """Return weights with their zero points taken off: int8 if every one fits, else int16."""
    if array.dtype.name not in ("int8", "uint8", "int16"):
        raise node.refuse(f"{label} of the type {array.dtype.name}; supported: int8, uint8, int16")
    centred = array.astype(np.int64)
    if zero is not None and zero.size:
        shape = [1] * array.ndim
        if zero.size > 1:
            if axis is None or zero.size != array.shape[axis]:
                raise node.refuse(f"{zero.size} zero points do not fit the {label}")
            shape[axis] = -1
        centred = centred - zero.astype(np.int64).reshape(shape)
    for dtype in ("int8", "int16"):
        limits = np.iinfo(dtype)
        if centred.size == 0 or (centred.min() >= limits.min and centred.max() <= limits.max):
            return centred.astype(dtype)
    raise node.refuse(f"{label} minus their zero points do not fit 16 bits")


def as_constant(node: OnnxNode, value: Value) -> ConstantValue:
    """Return `value` if it is a quantized constant, or refuse."""
    if not isinstance(value, ConstantValue) or value.quantization is None:
        raise ModelFileError(f"{node.label}: its constant is not quantized; put it behind DequantizeLinear")
    return value


RULES: dict[str, Rule] = {
    **dict.fromkeys(QUANTIZE, quantize_linear),
    **dict.fromkeys(DEQUANTIZE, dequantize_linear),
}
