"""Operators that only move values, within one shape or to another."""

from __future__ import annotations

import numpy as np

from fxpgrad.graph.check import quantization_of, same_quantization
from fxpgrad.importers.tflite_model import TfliteOperator
from fxpgrad.importers.tflite_numbers import quantization_of_tensor
from fxpgrad.importers.tflite_operators_windows import image_extents
from fxpgrad.importers.tflite_refusals import NeedsWholeShapesError, option, refuse
from fxpgrad.importers.tflite_translation import Translation

_MIRROR_MODES = {0: "reflect", 1: "symmetric"}


def reshape(state: Translation, operator: TfliteOperator) -> None:
    """Translate RESHAPE, SQUEEZE and EXPAND_DIMS: the output tensor says the shape."""
    if state.has(operator, 1) and not state.known(state.tensor(operator, 1)):
        refuse(operator, f"the shape {state.tensor(operator, 1).name} is computed while running")
    state.emit(operator, "reshape", (state.activation(operator, 0),))


def concat(state: Translation, operator: TfliteOperator) -> None:
    """Translate CONCATENATION."""
    if operator.options["fused_activation_function"] != 0:
        refuse(operator, "a fused activation is not supported; export it as an operator of its own")
    rank = len(state.output(operator).shape)
    inputs = [state.activation(operator, i, rank) for i in range(len(operator.inputs))]
    axis = state.axis(operator, option(operator, "axis"), rank)
    state.emit(operator, "concat", inputs, {"axis": axis})


def pack(state: Translation, operator: TfliteOperator) -> None:
    """Translate PACK: each input gets an axis of extent 1, along which they are joined."""
    result = state.output(operator)
    rank = len(result.shape)
    axis = state.axis(operator, option(operator, "axis"), rank)
    shape = state.shape(result)
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    inputs = []
    for i in range(len(operator.inputs)):
        source = state.activation(operator, i, rank - 1)
        inputs.append(state.reshaped(f"{state.names[result.index]}#part{i}", one, source))
    state.emit(operator, "concat", inputs, {"axis": axis})


def pad(state: Translation, operator: TfliteOperator) -> None:
    """Translate PAD (with the zero point), PADV2 (with a constant) and MIRROR_PAD."""
    source = state.activation(operator, 0)
    rank = len(state.tensor(operator, 0).shape)
    amounts = state.integer_list(operator, 1, 2 * rank)
    if not state.whole and amounts[:2] != [0, 0]:
        raise NeedsWholeShapesError
    padding = tuple(amounts if state.whole else amounts[2:])
    if operator.name == "MIRROR_PAD":
        mode = option(operator, "mode")
        if mode not in _MIRROR_MODES:
            refuse(operator, f"the mode must be REFLECT (0) or SYMMETRIC (1); got {mode}")
        attributes: dict[str, object] = {"padding": padding, "mode": _MIRROR_MODES[mode]}
        state.emit(operator, "mirror_pad", (source,), attributes)
        return
    value = int(quantization_of(state.tensors[source]).zero_point[0])
    if operator.name == "PADV2":
        tensor = state.tensor(operator, 2)
        if tensor.elements != 1 or tensor.type != state.tensor(operator, 0).type:
            refuse(operator, f"the value {tensor.name} must be one {state.tensor(operator, 0).type}")
        if not same_quantization(
            quantization_of_tensor(operator, tensor), state.tensors[source].quantization
        ):
            refuse(operator, f"the value {tensor.name} must have the scale and zero point of the input")
        value = int(state.values(operator, tensor).reshape(-1)[0])
    state.emit(operator, "pad", (source,), {"padding": padding, "value": value})


def transpose(state: Translation, operator: TfliteOperator) -> None:
    """Translate TRANSPOSE."""
    source = state.activation(operator, 0)
    rank = len(state.tensor(operator, 0).shape)
    order = [axis % rank if -rank <= axis < rank else axis for axis in state.integer_list(operator, 1, rank)]
    if not state.whole:
        if order[:1] != [0]:
            raise NeedsWholeShapesError
        order = [axis - 1 for axis in order[1:]]
    state.emit(operator, "transpose", (source,), {"permutation": tuple(order)})


def gather(state: Translation, operator: TfliteOperator) -> None:
    """Translate GATHER with constant places."""
    tensor = state.tensor(operator, 0)
    rank = len(tensor.shape)
    places = state.tensor(operator, 1)
    if places.index in state.placed:
        refuse(
            operator, f"the places {places.name} must be a constant; a table of embeddings is not supported"
        )
    indices = state.integers(operator, 1)
    if option(operator, "batch_dims") != 0:
        refuse(operator, f"batch_dims must be 0; got {option(operator, 'batch_dims')}")
    source = state.activation(operator, 0, rank)
    axis = state.axis(operator, option(operator, "axis"), rank)
    extent = state.tensors[source].shape[axis]
    if indices.size == 0 or indices.min() < 0 or indices.max() >= extent:
        refuse(operator, f"the places {places.name} must lie in [0, {extent - 1}]")
    like = quantization_of_tensor(operator, places)
    name = state.add_constant(
        f"{state.names[state.output(operator).index]}/indices", indices.astype(np.int32), like
    )
    state.emit(operator, "gather", (source, name), {"axis": axis})


def tile(state: Translation, operator: TfliteOperator) -> None:
    """Translate TILE."""
    source = state.activation(operator, 0)
    rank = len(state.tensor(operator, 0).shape)
    repeats = state.integer_list(operator, 1, rank)
    if rank == 0:
        refuse(operator, "it needs an axis, but its input is a scalar")
    state.emit(operator, "tile", (source,), {"repeats": state.per_axis(repeats, 1)})


def broadcast_to(state: Translation, operator: TfliteOperator) -> None:
    """Translate BROADCAST_TO: the output tensor says the shape."""
    if not state.known(state.tensor(operator, 1)):
        refuse(operator, f"the shape {state.tensor(operator, 1).name} is computed while running")
    rank = len(state.output(operator).shape)
    state.emit(operator, "broadcast_to", (state.activation(operator, 0, rank),))


def blocks(state: Translation, operator: TfliteOperator) -> None:
    """Translate DEPTH_TO_SPACE and SPACE_TO_DEPTH."""
    image_extents(operator, state.tensor(operator, 0))
    op = "depth_to_space" if operator.name == "DEPTH_TO_SPACE" else "space_to_depth"
    state.emit(operator, op, (state.activation(operator, 0),), {"block": option(operator, "block_size")})


def resize(state: Translation, operator: TfliteOperator) -> None:
    """Translate RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR."""
    image_extents(operator, state.tensor(operator, 0))
    height, width, _ = image_extents(operator, state.output(operator))
    size = state.integer_list(operator, 1, 2)
    if size != [height, width]:
        refuse(operator, f"the size {size} does not agree with the output's {[height, width]}")
    attributes = {name: int(bool(operator.options[name])) for name in ("align_corners", "half_pixel_centers")}
    op = "resize_bilinear" if operator.name == "RESIZE_BILINEAR" else "resize_nearest"
    state.emit(operator, op, (state.activation(operator, 0),), attributes)


RULES = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), reshape),
    "CONCATENATION": concat,
    "PACK": pack,
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), pad),
    "TRANSPOSE": transpose,
    "GATHER": gather,
    "TILE": tile,
    "BROADCAST_TO": broadcast_to,
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), blocks),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), resize),
}
