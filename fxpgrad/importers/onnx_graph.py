"""Import an ONNX model: float, QDQ or QLinear, into a Graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from fxpgrad.errors import FxpgradError, GraphError, InputError, ModelFileError
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph
from fxpgrad.importers import (
    onnx_elementwise,
    onnx_movement,
    onnx_products,
    onnx_qdq,
    onnx_qlinear,
    onnx_windows,
)
from fxpgrad.importers.onnx_constants import fold
from fxpgrad.importers.onnx_file import parse_onnx, read_onnx_file
from fxpgrad.importers.onnx_imported import ImportedOnnx, Location
from fxpgrad.importers.onnx_inputs import add_input
from fxpgrad.importers.onnx_model import Array, OnnxModel, OnnxNode, printable
from fxpgrad.importers.onnx_translation import Rule, Translation, refuse_unknown
from fxpgrad.importers.onnx_values import (
    ActivationValue,
    ConstantValue,
)

RULES: dict[str, Rule] = {
    **onnx_elementwise.RULES,
    **onnx_movement.RULES,
    **onnx_products.RULES,
    **onnx_qdq.RULES,
    **onnx_qlinear.RULES,
    **onnx_windows.RULES,
}
# What malformed nodes make the rules raise; each becomes one ModelFileError.
_CORRUPT = (
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    OverflowError,
    ZeroDivisionError,
    AttributeError,
    MemoryError,
    RecursionError,
)


def import_onnx(
    source: str | Path | bytes,
    name: str | None = None,
    *,
    constants: Mapping[str, ArrayLike] | None = None,
    outputs: Sequence[str] | None = None,
    batch_axis: bool = True,
    folder: Path | None = None,
) -> ImportedOnnx:
    """Import an ONNX model.

    Parameters
    ----------
    source : str or Path or bytes
        The file, or its content.
    name : str, optional
        Of the Graph; by default the name that the file gives.
    constants : mapping, optional
        Values of model inputs that are to be constants (weights or scales given as inputs), or other
        values for initializers.
    outputs : sequence of str, optional
        Names of values at which to end, instead of the model's outputs; what lies behind is dropped.
    batch_axis : bool
        Whether axis 0 of every input and output counts rows. Without, a row of the Graph is a whole run
        of the model.
    folder : Path, optional
        Where files with large tensors lie, if `source` is the content; by default beside the file.

    Returns
    -------
    ImportedOnnx
        Its Graph is float if the model has no operator on integers, else quantized.

    Raises
    ------
    ModelFileError
        The file is corrupt, or holds something that is not supported; the message names it.
    MissingExtraError
        The package `onnx` is not installed.
    """
    model = parse_onnx(source, folder) if isinstance(source, bytes) else read_onnx_file(source)
    model = model if name is None else replace(model, name=name)
    given = {key: np.asarray(value) for key, value in (constants or {}).items()}
    for key in given:
        if key not in model.constants and key not in {value.name for value in model.inputs}:
            raise InputError(f"the model has no input or constant called {key!r}")
    wanted = tuple(value.name for value in model.outputs) if outputs is None else tuple(outputs)
    nodes = _live(model, wanted)
    quantized = any(_is_integer(node) for node in nodes)
    translation = Translation(model, int(batch_axis), None, quantized, wanted)
    translation.target_ahead = onnx_qdq.target_ahead
    for key, array in {**model.constants, **given}.items():
        translation.values[key] = ConstantValue(array)
    for node in nodes:
        for key in set(node.inputs):
            translation.consumers.setdefault(key, []).append(node)
    try:
        with np.errstate(all="ignore"):
            return _translated(translation, nodes, given)
    except _CORRUPT as error:
        if isinstance(error, FxpgradError):
            raise
        raise ModelFileError(f"the model is malformed: {error}") from error


def _is_integer(node: OnnxNode) -> bool:
    return node.op in onnx_qdq.RULES or node.op in onnx_qlinear.RULES


def _live(model: OnnxModel, outputs: Sequence[str]) -> list[OnnxNode]:
    """Return the nodes that the outputs depend on."""
    made_by = {name: node for node in model.nodes for name in node.outputs if name}
    known = {*made_by, *(value.name for value in model.inputs), *model.constants}
    if not outputs:
        raise ModelFileError("the model has no outputs")
    for name in outputs:
        if name not in known:
            raise ModelFileError(f"output {printable(name)} is made by no node")
    todo, live = [name for name in outputs], set[int]()
    while todo:
        node = made_by.get(todo.pop())
        if node is not None and node.index not in live:
            live.add(node.index)
            todo += [name for name in node.inputs if name]
    return [node for node in model.nodes if node.index in live]


def _translated(translation: Translation, nodes: list[OnnxNode], given: Mapping[str, Array]) -> ImportedOnnx:
    model = translation.model
    _fold_constants(translation, nodes)
    inputs = [value for value in model.inputs if value.name not in given]
    live = [value for value in inputs if value.name in translation.consumers]
    if not live:
        raise ModelFileError("no input of the model reaches its outputs")
    firsts = {value.shape[0] for value in live if value.shape} if translation.lead else set()
    fixed = firsts - {None}
    if len(fixed) > 1:
        raise ModelFileError(
            f"the inputs have {sorted(extent for extent in fixed if extent)} rows; axis 0 must be the batch "
            "(batch_axis=False imports a model without one)"
        )
    translation.batch = next(iter(fixed), None) if None not in firsts else None
    for value in live:
        add_input(translation, value)
    for node in nodes:
        _translate(translation, node)
    graph = _graph(translation, [value.name for value in live])
    values = {
        name: _location(translation, value)
        for name, value in translation.values.items()
        if isinstance(value, ActivationValue) and value.tensor in graph.tensors
    }
    names = tuple(value.name for value in live)
    return ImportedOnnx(graph, model, values, names, translation.outputs, tuple(translation.notes))


def _fold_constants(translation: Translation, nodes: list[OnnxNode]) -> None:
    """Give values to all that is made of constants alone, so that rules can look at it ahead of time."""
    for node in nodes:
        names = [name for name in node.inputs if name]
        if all(isinstance(translation.values.get(name), ConstantValue) for name in names):
            _fold_one(translation, node)


def _fold_one(translation: Translation, node: OnnxNode) -> bool:
    if node.op in onnx_qdq.DEQUANTIZE:
        RULES[node.op](translation, node)
        return True
    first = translation.values.get(node.input(0))
    if isinstance(first, ConstantValue) and first.quantization is not None:
        moved = _moved_constant(node, first)
        if moved is not None:
            translation.values[node.outputs[0]] = moved
            return True
    result = fold(node, translation.constant_inputs(node))
    if result is not None and node.outputs:
        translation.values[node.outputs[0]] = ConstantValue(result)
    return result is not None


def _moved_constant(node: OnnxNode, value: ConstantValue) -> ConstantValue | None:
    """Return a quantized constant that is only transposed (or passed on), with its quantization."""
    own = value.quantization
    assert own is not None
    if node.op == "Identity":
        return value
    if node.op != "Transpose":
        return None
    permutation = node.attributes.get("perm", list(reversed(range(value.array.ndim))))
    axis = None if own.axis is None else list(permutation).index(own.axis)
    return ConstantValue(value.array.transpose(permutation), replace(own, axis=axis))


def _translate(translation: Translation, node: OnnxNode) -> None:
    if not node.outputs or all(name in translation.values for name in node.outputs if name):
        return
    try:
        if node.op == "Shape" and isinstance(translation.value(node, 0), ActivationValue):
            _shape(translation, node)
            return
        names = [name for name in node.inputs if name]
        if all(isinstance(translation.values.get(name), ConstantValue) for name in names) and _fold_one(
            translation, node
        ):
            return
        if node.op not in RULES:
            raise refuse_unknown(node, tuple(RULES))
        RULES[node.op](translation, node)
    except _CORRUPT as error:
        if isinstance(error, FxpgradError):
            raise
        raise node.refuse(f"malformed: {type(error).__name__} {error}") from error


def _shape(translation: Translation, node: OnnxNode) -> None:
    whole = translation.whole_shape(translation.activation(node, 0))
    start, end = (int(node.attributes.get(name, default)) for name, default in (("start", 0), ("end", 2**31)))
    translation.values[node.outputs[0]] = ConstantValue(np.array(whole[start:end], np.int64))


def _location(translation: Translation, value: ActivationValue) -> Location:
    kind = translation.writer.kind(value.tensor)
    batched = bool(translation.lead)
    if kind.quantization is None:
        return Location(value.tensor, value.order, kind.dtype, batched)
    dtype = "uint8" if kind.unsigned else kind.dtype
    zero_point = kind.zero_point + (128 if kind.unsigned else 0)
    return Location(value.tensor, value.order, dtype, batched, kind.scale, zero_point)


def _graph(translation: Translation, inputs: list[str]) -> Graph:
    outputs = []
    for name in translation.outputs:
        value = translation.values.get(name)
        if not isinstance(value, ActivationValue):
            raise ModelFileError(f"output {printable(name)} does not depend on the inputs")
        if value.tensor in outputs:
            raise ModelFileError(f"output {printable(name)} is the same tensor as another output; drop one")
        outputs.append(value.tensor)
    sources = []
    for name in inputs:
        source = translation.values[name]
        assert isinstance(source, ActivationValue)
        sources.append(source.tensor)
    tensors, nodes = translation.writer.live(outputs)
    graph = Graph(translation.model.name, tensors, nodes, tuple(sources), tuple(outputs))
    try:
        check_graph(graph)
    except GraphError as error:
        raise ModelFileError(f"the model makes no valid Graph: {error}") from error
    return graph
