"""Inputs of an ONNX model: in which order of axes and at which scale the Graph takes them."""

from __future__ import annotations

from fxpgrad.errors import ModelFileError
from fxpgrad.importers import onnx_qdq
from fxpgrad.importers.onnx_model import OnnxValue, printable
from fxpgrad.importers.onnx_translation import Translation
from fxpgrad.importers.onnx_values import (
    FLOAT,
    ActivationValue,
    Kind,
    Order,
    Shape,
    channels_last,
    identity,
)

_IMAGE_OPERATORS = (
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "BatchNormalization",
    "QLinearConv",
    "com.microsoft.QLinearGlobalAveragePool",
    "com.microsoft.QLinearAveragePool",
)
_SAME_AXES = (
    *onnx_qdq.QUANTIZE,
    *onnx_qdq.DEQUANTIZE,
    "Add",
    "Mul",
    "Sub",
    "Relu",
    "Clip",
    "Identity",
    "Pad",
)


def add_input(translation: Translation, value: OnnxValue) -> None:
    """Add the tensor of an input of the model: its shape, its order of axes and what it holds.

    Raises
    ------
    ModelFileError
        Its extents besides the batch are open, or its type is not supported.
    """
    name, dtype, shape = value.name, value.dtype, value.shape
    if shape is None or len(shape) < translation.lead:
        raise ModelFileError(f"input {printable(name)} has no shape with a batch axis in front")
    sample = shape[translation.lead :]
    if any(extent is None for extent in sample):
        raise ModelFileError(
            f"input {printable(name)} has open extents besides the batch ({list(shape)}); "
            "export it with fixed ones"
        )
    extents: Shape = tuple(int(extent) for extent in sample if extent is not None)
    order = _wanted_order(translation, name, len(extents), 32)
    if dtype == "float32":
        kind, real = FLOAT, True
        if translation.quantized:
            kind = _ahead(translation, name)
    elif dtype in ("int8", "uint8", "int16"):
        found = onnx_qdq.kind_of_input(translation, name, dtype)
        if found is None:
            raise ModelFileError(f"input {printable(name)} is {dtype}, but no node says at which scale")
        kind, real = found, False
    else:
        raise ModelFileError(
            f"input {printable(name)} is {dtype or 'of no known type'}; "
            "supported: float32, int8, uint8, int16"
        )
    tensor = translation.writer.input(name, tuple(extents[axis] for axis in order), kind)
    translation.values[name] = ActivationValue(tensor, order, real)


def _ahead(translation: Translation, name: str) -> Kind:
    """Return how a float input is quantized."""
    readers = translation.consumers[name]
    return onnx_qdq.target_ahead(translation, readers[0], name, False).kind


def _wanted_order(translation: Translation, name: str, rank: int, steps: int) -> Order:
    """Return the axis order in which the first operators want an input: channels last for images."""
    for reader in translation.consumers.get(name, ()):
        if reader.input(0) != name or steps == 0:
            continue
        if reader.op in _IMAGE_OPERATORS and rank >= 2:
            return channels_last(rank)
        permutation = reader.attributes.get("perm")
        if reader.op == "Transpose" and isinstance(permutation, list):
            own = [axis - translation.lead for axis in permutation[translation.lead :]]
            if sorted(own) == list(range(rank)):
                behind = _wanted_order(translation, reader.outputs[0], rank, steps - 1)
                return tuple(own[axis] for axis in behind)
        if reader.op in _SAME_AXES or "QLinearAdd" in reader.op or "QLinearMul" in reader.op:
            return _wanted_order(translation, reader.outputs[0], rank, steps - 1)
    return identity(rank)
