"""Write trained values back into a .tflite file: the same bytes, with other numbers in them.

Nothing is laid out anew: weights, biases and scales are written over the old ones, so that operators,
names, metadata and alignment stay what the converter made. The result is read again and compared
with what was wanted before anybody gets it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_file import parse_tflite
from fxpgrad.importers.tflite_graph import translate_tflite
from fxpgrad.importers.tflite_model import TfliteModel, TfliteOperator

_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_WEIGHTS, _BIAS = 1, 2  # their input positions
_BUFFER_DATA, _SCALES = 4, 8  # places in the schema's tables: 4 + 2 * the field's number
_WRITABLE = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32}


@dataclass(frozen=True, slots=True, eq=False)
class LayerValues:
    """New values of one layer; None leaves what is there.

    weights: int8 or int16, of the layer's shape. bias: int32 [channels]. gain: float64 [channels] or [1], the
    factors of the weight scales (and so of the real multipliers).
    """

    weights: NDArray[Any] | None = None
    bias: NDArray[np.int32] | None = None
    gain: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    data: NDArray[Any] | None = None
    scales: NDArray[np.float32] | None = None


def layers_without_bias(content: bytes) -> frozenset[str]:
    """Return the layers (by the name of their output) whose bias the file leaves out: none can be written."""
    model = parse_tflite(content)
    return frozenset(
        name
        for name, operator in _layers(model).items()
        if len(operator.inputs) <= _BIAS or operator.inputs[_BIAS] < 0
    )


def write_layers(content: bytes, layers: Mapping[str, LayerValues]) -> bytes:
    """Return a .tflite file with other numbers in some of its layers.

    Parameters
    ----------
    content : bytes
        A model that `import_tflite` reads.
    layers : mapping
        New values by the name of a layer's output, which is the name of its node and of its call.

    Raises
    ------
    ModelFileError
        A layer is not in the file, has no bias or weights that can be written, or shares its storage
        with another tensor.
    """
    model = parse_tflite(content)
    operators = _layers(model)
    patches: dict[int, _Patch] = {}
    for name, values in layers.items():
        if name not in operators:
            raise ModelFileError(f"the file has no layer called {name}; it is not the model that was trained")
        for index, patch in _patches(model, operators[name], values).items():
            if index in patches:
                raise ModelFileError(f"tensor {_name(model, index)} belongs to two layers that were trained")
            patches[index] = patch
    written = _written(content, patches)
    _compare(model, parse_tflite(written), patches)
    return written


def _layers(model: TfliteModel) -> dict[str, TfliteOperator]:
    """Return the operators with weights, by the name that their output has in the Graph."""
    graph_names = translate_tflite(model, "model").tensors
    found = {}
    for operator in model.subgraphs[0].operators:
        name = graph_names[operator.outputs[0]] if operator.outputs else None
        if operator.name in _LAYERS and name is not None:
            found[name] = operator
    return found


def _patches(model: TfliteModel, operator: TfliteOperator, values: LayerValues) -> dict[int, _Patch]:
    tensors = model.subgraphs[0].tensors
    index = operator.inputs[_WEIGHTS]
    old = tensors[index].scales
    scales = None
    if values.gain is not None:
        if values.gain.size not in (1, old.size):
            raise ModelFileError(
                f"layer {operator.label} has {old.size} weight scales; got {values.gain.size} gains"
            )
        with np.errstate(over="ignore"):
            scales = (old * values.gain).astype(np.float32)
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise ModelFileError(f"the gains of layer {operator.label} leave the range of float32")
    patches = {index: _Patch(_typed(model, index, values.weights), scales)}
    if values.bias is None and scales is None:
        return patches
    place = operator.inputs[_BIAS] if len(operator.inputs) > _BIAS else -1
    if place < 0:
        if values.bias is not None:
            raise ModelFileError(f"layer {operator.label} has no bias in the file; train it without one")
        return patches
    bias_scales = None
    stored = tensors[place].scales
    if scales is not None and stored.size:
        factor = values.gain if values.gain is not None else 1.0
        bias_scales = (stored * factor).astype(np.float32) if stored.size in (1, old.size) else None
    patches[place] = _Patch(_typed(model, place, values.bias), bias_scales)
    return patches


def _typed(model: TfliteModel, index: int, values: NDArray[Any] | None) -> NDArray[Any] | None:
    """Check new data of a tensor against its type and size."""
    if values is None:
        return None
    tensor = model.subgraphs[0].tensors[index]
    kind = _WRITABLE.get(tensor.type)
    if kind is None or tensor.data is None or tensor.is_sparse:
        raise ModelFileError(
            f"tensor {tensor.name} is {tensor.type}{' and sparse' if tensor.is_sparse else ''}: only INT8, "
            "INT16 and INT32 constants can be written back; train the scope affine"
        )
    if values.dtype != kind or values.size != tensor.elements:
        raise ModelFileError(
            f"tensor {tensor.name} holds {tensor.elements} {tensor.type}; got {values.size} {values.dtype}"
        )
    return np.ascontiguousarray(values)


def _name(model: TfliteModel, index: int) -> str:
    return model.subgraphs[0].tensors[index].name


def _written(content: bytes, patches: Mapping[int, _Patch]) -> bytes:
    """Write over the numbers. The file was parsed before, so that every offset lies inside it."""
    import tflite  # noqa: PLC0415 - an extra, and `parse_tflite` has said so if it is missing

    new = bytearray(content)
    root = tflite.Model.GetRootAs(content, 0)
    graph = root.Subgraphs(0)
    for index, patch in patches.items():
        tensor = graph.Tensors(index)
        if patch.data is not None:
            _overwrite(new, root.Buffers(tensor.Buffer()), _BUFFER_DATA, 1, patch.data)
        if patch.scales is not None:
            _overwrite(new, tensor.Quantization(), _SCALES, 4, patch.scales)
    return bytes(new)


def _overwrite(new: bytearray, table: Any, field: int, itemsize: int, values: NDArray[Any]) -> None:
    """Write an array over a table's vector of as many bytes."""
    at = table._tab.Offset(field)
    start, length = table._tab.Vector(at), table._tab.VectorLen(at)
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    if at == 0 or length * itemsize != len(raw) or start + len(raw) > len(new):
        raise ModelFileError(f"the file stores {length * itemsize} bytes where {len(raw)} must go")
    struct.pack_into(f"{len(raw)}s", new, start, raw)


def _compare(old: TfliteModel, new: TfliteModel, patches: Mapping[int, _Patch]) -> None:
    """Refuse a result in which anything but the patched tensors has changed."""
    for number, (before, after) in enumerate(zip(old.subgraphs, new.subgraphs, strict=True)):
        for tensor, written in zip(before.tensors, after.tensors, strict=True):
            patch = patches.get(tensor.index, _Patch()) if number == 0 else _Patch()
            data = tensor.data if patch.data is None else patch.data.reshape(-1).view(np.uint8)
            scales = tensor.scales if patch.scales is None else patch.scales.astype(np.float64)
            stored = (True, b"") if data is None else (False, data.tobytes())
            found = (True, b"") if written.data is None else (False, written.data.tobytes())
            if stored != found or not np.array_equal(scales, written.scales):
                raise ModelFileError(
                    f"tensor {tensor.name} shares its storage with one that was trained; convert the model "
                    "so that each layer has its own constants"
                )
