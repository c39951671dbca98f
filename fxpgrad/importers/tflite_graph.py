"""From a TFLite model to a quantized Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fxpgrad.errors import GraphError, ModelFileError
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph
from fxpgrad.importers import (
    tflite_operators_elementwise,
    tflite_operators_movement,
    tflite_operators_products,
    tflite_operators_reduction,
    tflite_operators_slices,
    tflite_operators_state,
    tflite_operators_windows,
)
from fxpgrad.importers.tflite_file import parse_tflite, read_tflite_file
from fxpgrad.importers.tflite_folding import FOLDED_OPERATORS, fold
from fxpgrad.importers.tflite_model import TfliteModel, TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_operators_state import finish_variables
from fxpgrad.importers.tflite_refusals import (
    FLOATS,
    NeedsWholeShapesError,
    label,
    refuse,
    refuse_type,
    shortened,
)
from fxpgrad.importers.tflite_translation import Translation

_RULES: dict[str, Callable[[Translation, TfliteOperator], None]] = {
    **tflite_operators_elementwise.RULES,
    **tflite_operators_movement.RULES,
    **tflite_operators_products.RULES,
    **tflite_operators_reduction.RULES,
    **tflite_operators_slices.RULES,
    **tflite_operators_state.RULES,
    **tflite_operators_windows.RULES,
}
SUPPORTED_OPERATORS: tuple[str, ...] = tuple(sorted(_RULES))


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModel:
    """A Graph, and where the tensors of the file are in it.

    Attributes
    ----------
    graph : Graph
        Quantized. uint8 tensors are int8 here (value and zero point less 128) and marked unsigned.
    tensors : tuple of (str or None)
        For each tensor of the file's subgraph 0, by index, the Graph tensor that holds its values. None for
        constants, for what was computed while importing, and for the real-valued edges that were dropped.
        Where `has_batch`, the Graph's shape lacks the first axis, which is 1 in the file.
    has_batch : bool
        Whether a row of the Graph is one entry of the file's first axis; if not, a row is a whole tensor.
    real_inputs, real_outputs : tuple of str
        Inputs and outputs of the Graph that the file has in float32, with a QUANTIZE or DEQUANTIZE between.
    """

    graph: Graph
    tensors: tuple[str | None, ...]
    has_batch: bool
    real_inputs: tuple[str, ...] = ()
    real_outputs: tuple[str, ...] = ()


def import_tflite(source: str | Path | bytes, name: str | None = None) -> ImportedModel:
    """Import a quantized TFLite model.

    Parameters
    ----------
    source : path or bytes
        A .tflite file with int8, uint8 or int16 activations, at most 1 GiB; or its content.
    name : str, optional
        The Graph's name; by default the file's name without its ending.

    Raises
    ------
    ModelFileError
        The file is corrupt, or has something that is not supported; the message names it.
    MissingExtraError
        The extra `tflite` is not installed.
    """
    if isinstance(source, bytes):
        return translate_tflite(parse_tflite(source), name or "model")
    return translate_tflite(read_tflite_file(source), name or Path(source).stem or "model")


def translate_tflite(model: TfliteModel, name: str) -> ImportedModel:
    """Translate a model that was read: cut into rows along the first axis where that is possible.

    Raises
    ------
    ModelFileError
        Something is not supported, or not well formed; the message names it.
    """
    try:
        return _translated(Translation(model, whole=False), name)
    except NeedsWholeShapesError:
        return _translated(Translation(model, whole=True), name)


def _translated(state: Translation, name: str) -> ImportedModel:
    subgraph = state.model.subgraphs[0]
    _require_supported(state)
    for index in dict.fromkeys(subgraph.inputs):
        tensor = state.file_tensors[index]
        if tensor.type != "FLOAT32":  # a float input must meet a QUANTIZE
            state.place(None, tensor)
    for operator in subgraph.operators:
        if not fold(state, operator):
            _require(operator.name in _RULES, operator)
            _RULES[operator.name](state, operator)
    finish_variables(state)
    outputs = _unique(state, subgraph.outputs, state.real_outputs)
    graph = Graph(
        name,
        state.tensors,
        tuple(state.nodes),
        _unique(state, subgraph.inputs, state.real_inputs),
        outputs,
        tuple(state.variables),
    )
    try:
        check_graph(graph)
    except GraphError as error:
        raise ModelFileError(shortened(str(error))) from error
    tensors = tuple(state.placed.get(tensor.index) for tensor in state.file_tensors)
    real = tuple(state.real_inputs.values()), tuple(dict.fromkeys(state.real_outputs.values()))
    return ImportedModel(graph, tensors, not state.whole, *real)


def _require_supported(state: Translation) -> None:
    """Refuse a model for its first foreign operator, before anything smaller; floats go first."""
    for operator in state.model.subgraphs[0].operators:
        if operator.name in _RULES or operator.name in FOLDED_OPERATORS:
            continue
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and state.file_tensors[index].type in FLOATS:
                refuse_type(operator, state.file_tensors[index])
        _require(False, operator)


def _require(supported: bool, operator: TfliteOperator) -> None:
    if not supported:
        refuse(operator, f"it is not supported; supported: {', '.join(SUPPORTED_OPERATORS)}")


def _unique(state: Translation, indices: tuple[int, ...], real: Mapping[int, str]) -> tuple[str, ...]:
    """Return the Graph tensors at an edge of the model, each once."""
    return tuple(dict.fromkeys(_edge(state, state.file_tensors[index], real) for index in indices))


def _edge(state: Translation, tensor: TfliteTensor, real: Mapping[int, str]) -> str:
    """Return the Graph tensor behind an input or output of the model, or refuse."""
    if tensor.index in real:
        return real[tensor.index]
    if tensor.index in state.placed:
        return state.placed[tensor.index]
    if tensor.type == "FLOAT32":
        refuse_type(None, tensor)
    refuse(
        None,
        f"{label(tensor)} is an input or output of the model, but it is a constant or no operator makes it; "
        f"export the model again",
    )
