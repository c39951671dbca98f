"""FULLY_CONNECTED and BATCH_MATMUL."""

from __future__ import annotations

import numpy as np

from fxpgrad.importers.tflite_model import TfliteOperator
from fxpgrad.importers.tflite_refusals import NeedsWholeShapesError, activation_of, refuse
from fxpgrad.importers.tflite_translation import Translation
from fxpgrad.importers.tflite_weights import accumulator_scales, bias, weights


def fully_connected(state: Translation, operator: TfliteOperator) -> None:
    """Translate FULLY_CONNECTED: the input is read as rows of as many features as the weights have."""
    if operator.options["weights_format"] != 0:
        refuse(operator, "its weights are in a shuffled format; export the model with the default one")
    matrix, result = state.tensor(operator, 1), state.output(operator)
    if len(matrix.shape) != 2 or 0 in matrix.shape:
        refuse(operator, f"the weights {matrix.name} must be [out, in]; got {list(matrix.shape)}")
    outputs, features = matrix.shape
    if result.shape[-1:] != (outputs,):
        refuse(operator, f"the output {result.name} must have {outputs} features; got {list(result.shape)}")
    source = state.activation(operator, 0)
    shape = state.shape(result)
    if not shape:
        raise NeedsWholeShapesError  # an output [1]: rows are told apart by nothing but the batch
    name = f"{state.names[result.index]}#features"
    source = state.reshaped(name, (*shape[:-1], features), source)
    kernel, scales = weights(state, operator, 1, 0, zero_point_allowed=True)
    wide = state.tensors[source].dtype == "int16"
    addend = bias(state, operator, 2, outputs, accumulator_scales(state, source, scales), wide=wide)
    state.emit(operator, "fully_connected", (source, kernel, addend), {"activation": activation_of(operator)})


def batch_matmul(state: Translation, operator: TfliteOperator) -> None:
    """Translate BATCH_MATMUL; leading axes that differ are broadcast first."""
    rank = max(len(state.tensor(operator, 0).shape), len(state.tensor(operator, 1).shape))
    sources = [state.activation(operator, position, rank) for position in (0, 1)]
    shapes = [state.tensors[name].shape for name in sources]
    if min(map(len, shapes)) < 2:
        if state.whole:
            refuse(operator, f"both inputs must be matrices; got {list(shapes[0])} and {list(shapes[1])}")
        raise NeedsWholeShapesError
    try:
        leading = np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    except ValueError:
        refuse(operator, f"the leading axes of {list(shapes[0])} and {list(shapes[1])} do not fit")
    result = state.names[state.output(operator).index]
    for position, (name, shape) in enumerate(zip(sources, shapes, strict=True)):
        if shape[:-2] != leading:
            wide = state.temporary(f"{result}#{'ab'[position]}", (*leading, *shape[-2:]), name)
            state.add_node("broadcast_to", (name,), wide, {})
            sources[position] = wide
    attributes = {
        "adjoint_a": int(bool(operator.options["adj_x"])),
        "adjoint_b": int(bool(operator.options["adj_y"])),
    }
    state.emit(operator, "batch_matmul", sources, attributes)


RULES = {"FULLY_CONNECTED": fully_connected, "BATCH_MATMUL": batch_matmul}
