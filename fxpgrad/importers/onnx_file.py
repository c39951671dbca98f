"""Read an .onnx file into plain data, trusting nothing that it says.

Only the protobuf parser of the `onnx` package is used. Its checker and its shape inference are C++ that
this project does not control; every rule that the importer relies on is checked here or by the Graph.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fxpgrad.errors import MissingExtraError, ModelFileError
from fxpgrad.importers.file_bytes import LARGEST_FILE, read_file_bytes
from fxpgrad.importers.onnx_model import (
    HIGHEST_RANK,
    LARGEST_CONSTANT,
    LONGEST_NAME,
    MOST_NODES,
    MOST_TENSORS,
    Array,
    OnnxModel,
    OnnxNode,
    OnnxValue,
    printable,
)

# onnx.TensorProto.DataType -> (NumPy name, the field that holds unpacked data)
_TYPES: dict[int, tuple[str, str]] = {
    1: ("float32", "float_data"),
    2: ("uint8", "int32_data"),
    3: ("int8", "int32_data"),
    4: ("uint16", "int32_data"),
    5: ("int16", "int32_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
    11: ("float64", "double_data"),
    12: ("uint32", "uint64_data"),
    13: ("uint64", "uint64_data"),
}
_OWN_DOMAINS = ("", "ai.onnx")
_LEAST_OPSET = 7
# onnx.AttributeProto.AttributeType
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8


def onnx_package() -> ModuleType:
    """Return the module `onnx`, or say how to install it."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise MissingExtraError("ONNX files need the package onnx: pip install 'fxpgrad[onnx]'") from None


def read_onnx_file(path: str | Path) -> OnnxModel:
    """Read the model at `path`; tensors stored in files beside it are read too.

    Raises
    ------
    ModelFileError
        The file cannot be read, is larger than 1 GiB, or is not a well-formed ONNX model.
    MissingExtraError
        The package `onnx` is not installed.
    """
    content = read_file_bytes(path, LARGEST_FILE)
    return parse_onnx(content, Path(path).resolve().parent)


def parse_onnx(content: bytes, folder: Path | None = None) -> OnnxModel:
    """Turn the bytes of an .onnx file into plain data.

    Parameters
    ----------
    content : bytes
        At most 1 GiB.
    folder : Path, optional
        Where files with the data of external tensors lie; without it such tensors are refused.

    Raises
    ------
    ModelFileError
        The content is not a well-formed ONNX model, or uses something that no importer could read.
    """
    onnx = onnx_package()
    decode_error = importlib.import_module("google.protobuf.message").DecodeError

    if len(content) > LARGEST_FILE:
        raise ModelFileError(f"the model is larger than {LARGEST_FILE} bytes, the limit for a model file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
        graph = model.graph
        if not graph.node and not graph.output:
            raise ModelFileError("this is not an ONNX model: it has neither nodes nor outputs")
        return _model(model, graph, folder)
    except (decode_error, UnicodeDecodeError, OSError, OverflowError, ValueError, TypeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"this is not a well-formed ONNX model: {error}") from error


def _model(model: Any, graph: Any, folder: Path | None) -> OnnxModel:
    if len(graph.node) > MOST_NODES:
        raise ModelFileError(f"the model has {len(graph.node)} nodes; the limit is {MOST_NODES}")
    if len(graph.initializer) > MOST_TENSORS:
        raise ModelFileError(f"the model has {len(graph.initializer)} constants; the limit is {MOST_TENSORS}")
    if graph.sparse_initializer:
        raise ModelFileError("sparse constants are not supported; store them as dense tensors")
    if model.functions:
        raise ModelFileError(
            "the model defines functions of its own; inline them with onnx.inliner.inline_local_functions"
        )
    opset = max((entry.version for entry in model.opset_import if entry.domain in _OWN_DOMAINS), default=0)
    if opset < _LEAST_OPSET:
        raise ModelFileError(f"opset {opset} is too old; the importer reads opset {_LEAST_OPSET} and later")
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        name = _name(tensor.name)
        if name in constants:
            raise ModelFileError(f"two constants are called {printable(name)}")
        constants[name] = _array(tensor, f"constant {printable(name)}", folder)
    nodes = [_node(index, node, folder) for index, node in enumerate(graph.node)]
    inputs = tuple(_value(value) for value in graph.input if value.name not in constants)
    outputs = tuple(_value(value) for value in graph.output)
    given = {value.name for value in inputs}
    if len(given) != len(inputs):
        raise ModelFileError("two inputs of the model have one name")
    ordered = _in_order(nodes, {*given, *constants})
    producer = f"{printable(model.producer_name)} {printable(model.producer_version)}".strip()
    return OnnxModel(
        printable(graph.name) or "model", producer, int(opset), ordered, inputs, outputs, constants
    )


def _name(text: str | bytes) -> str:
    if isinstance(text, bytes):
        raise ModelFileError("the model holds a name that is not UTF-8")
    if len(text) > LONGEST_NAME:
        raise ModelFileError(f"a name is longer than {LONGEST_NAME} characters")
    return text


def _node(index: int, node: Any, folder: Path | None) -> OnnxNode:
    domain = "" if node.domain in _OWN_DOMAINS else f"{printable(node.domain)}."
    op = domain + printable(node.op_type)
    where = f"node {printable(node.name) or index} ({op})"
    attributes = {
        printable(attribute.name): _attribute(attribute, where, folder) for attribute in node.attribute
    }
    names = [_name(name) for name in node.input], [_name(name) for name in node.output]
    return OnnxNode(index, printable(node.name), op, tuple(names[0]), tuple(names[1]), attributes)


def _attribute(attribute: Any, where: str, folder: Path | None) -> Any:
    kind, label = attribute.type, f"{where}: attribute {printable(attribute.name)}"
    readers: dict[int, Callable[[], Any]] = {
        _FLOAT: lambda: float(attribute.f),
        _INT: lambda: int(attribute.i),
        _STRING: lambda: attribute.s.decode("utf-8", "replace"),
        _TENSOR: lambda: _array(attribute.t, label, folder),
        _FLOATS: lambda: [float(item) for item in attribute.floats],
        _INTS: lambda: [int(item) for item in attribute.ints],
        _STRINGS: lambda: [item.decode("utf-8", "replace") for item in attribute.strings],
    }
    if kind not in readers:
        raise ModelFileError(
            f"{label} has the type {kind}; subgraphs (If, Loop, Scan), sparse tensors and functions are "
            "not supported"
        )
    return readers[kind]()


def _array(tensor: Any, where: str, folder: Path | None) -> Array:
    """Return a constant's values, checked against its shape before anything is allocated."""
    if tensor.data_type not in _TYPES:
        raise ModelFileError(
            f"{where} has the element type {tensor.data_type}; supported: "
            + ", ".join(name for name, _ in _TYPES.values())
        )
    dtype, unpacked = _TYPES[tensor.data_type]
    shape = tuple(int(extent) for extent in tensor.dims)
    if len(shape) > HIGHEST_RANK or any(extent < 0 for extent in shape):
        raise ModelFileError(f"{where} has the shape {list(shape)[:12]}; ranks up to {HIGHEST_RANK}")
    count = math.prod(shape)
    if count > LARGEST_CONSTANT:
        raise ModelFileError(f"{where} claims {count} elements; the limit is {LARGEST_CONSTANT}")
    wide = np.dtype(dtype).newbyteorder("<")
    if tensor.data_location == 1:
        raw: bytes | None = _external(tensor, where, folder, count * wide.itemsize)
    else:
        raw = tensor.raw_data if tensor.HasField("raw_data") else None
    if raw is not None:
        if len(raw) != count * wide.itemsize:
            raise ModelFileError(
                f"{where}: {list(shape)} {dtype} needs {count * wide.itemsize} bytes; got {len(raw)}"
            )
        values = np.frombuffer(raw, wide).astype(dtype)
    else:
        entries = getattr(tensor, unpacked)
        if len(entries) != count:
            raise ModelFileError(f"{where}: {list(shape)} needs {count} elements; got {len(entries)}")
        values = _unpacked(entries, dtype, where)
    return values.reshape(shape)


def _unpacked(entries: Any, dtype: str, where: str) -> Array:
    if dtype == "float16":
        return np.array(entries, np.int64).astype(np.uint16).view(np.float16)
    if dtype.startswith("float"):
        return np.array(entries, dtype)
    wide = np.array(entries, np.uint64 if dtype == "uint64" else np.int64)
    narrow: Array = wide.astype(dtype)
    if not np.array_equal(narrow.astype(wide.dtype), wide):
        raise ModelFileError(f"{where} holds values that {dtype} cannot hold")
    return narrow


def _external(tensor: Any, where: str, folder: Path | None, nbytes: int) -> bytes:
    """Read the bytes of a tensor that is stored in another file of the model's folder."""
    entries = {_name(entry.key): _name(entry.value) for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise ModelFileError(
            f"{where} is stored in the file {printable(location)}; import the model by its path"
        )
    plain = Path(location)
    if not location or plain.is_absolute() or ".." in plain.parts or "\0" in location:
        raise ModelFileError(f"{where} is stored in {printable(location)!r}, outside the model's folder")
    source = (folder / plain).resolve()
    if not source.is_relative_to(folder.resolve()) or not source.is_file():
        raise ModelFileError(f"{where}: its file {printable(location)} is missing from the model's folder")
    offset, length = int(entries.get("offset", 0)), int(entries.get("length", nbytes))
    if offset < 0 or length != nbytes or offset + length > source.stat().st_size:
        raise ModelFileError(f"{where}: {length} bytes at {offset} of {printable(location)} do not fit it")
    with source.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def _value(value: Any) -> OnnxValue:
    name, kind = _name(value.name), value.type
    if not kind.HasField("tensor_type"):
        if kind.WhichOneof("value") is None:
            return OnnxValue(name, "", None)
        raise ModelFileError(
            f"{printable(name)} is not a tensor; sequences, maps and optionals are unsupported"
        )
    tensor = kind.tensor_type
    dtype = _TYPES.get(tensor.elem_type, ("", ""))[0]
    if not tensor.HasField("shape"):
        return OnnxValue(name, dtype, None)
    extents: list[int | None] = []
    for axis in tensor.shape.dim:
        fixed = axis.WhichOneof("value") == "dim_value"
        extents.append(int(axis.dim_value) if fixed and axis.dim_value > 0 else None)
    if len(extents) > HIGHEST_RANK:
        raise ModelFileError(f"{printable(name)} has rank {len(extents)}; the limit is {HIGHEST_RANK}")
    return OnnxValue(name, dtype, tuple(extents))


def _in_order(nodes: list[OnnxNode], known: Iterable[str]) -> tuple[OnnxNode, ...]:
    """Return the nodes in an order in which each reads only what earlier ones made."""
    made_by: dict[str, int] = {}
    ready = set(known)
    for node in nodes:
        for name in node.outputs:
            if name and (name in made_by or name in ready):
                raise ModelFileError(f"{node.label} writes {printable(name)}, which already has a value")
            made_by[name] = node.index
    missing: list[int] = []
    readers: dict[int, list[int]] = {}
    for node in nodes:
        needed = {name for name in node.inputs if name and name not in ready}
        for name in needed:
            if name not in made_by:
                raise ModelFileError(f"{node.label} reads {printable(name)}, which nothing makes")
        sources = {made_by[name] for name in needed}
        missing.append(len(sources))
        for source in sources:
            readers.setdefault(source, []).append(node.index)
    todo = [node.index for node in reversed(nodes) if missing[node.index] == 0]
    ordered: list[OnnxNode] = []
    while todo:
        index = todo.pop()
        ordered.append(nodes[index])
        for reader in readers.get(index, ()):
            missing[reader] -= 1
            if missing[reader] == 0:
                todo.append(reader)
    if len(ordered) != len(nodes):
        stuck = next(node for node in nodes if missing[node.index])
        raise ModelFileError(f"{stuck.label} takes part in a cycle")
    return tuple(sorted(ordered, key=lambda node: node.index)) if _is_sorted(nodes, ready) else tuple(ordered)


def _is_sorted(nodes: list[OnnxNode], ready: set[str]) -> bool:
    known = set(ready)
    for node in nodes:
        if any(name and name not in known for name in node.inputs):
            return False
        known.update(node.outputs)
    return True
