"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V and UNPACK: a node with one output for each part."""

from __future__ import annotations

from collections.abc import Sequence

from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_refusals import NeedsWholeShapesError, option, refuse
from fxpgrad.importers.tflite_translation import Translation


def strided_ranges(
    operator: TfliteOperator, shape: Sequence[int], lists: Sequence[Sequence[int]]
) -> tuple[list[range], list[int]]:
    """Return the places that STRIDED_SLICE takes along each axis, and the axes that it drops.

    lists: begin, end and strides, one entry for each axis of `shape`.
    """
    for name in ("ellipsis_mask", "new_axis_mask"):
        if option(operator, name):
            refuse(operator, f"{name} is not supported; slice and reshape instead")
    if operator.options["offset"]:
        refuse(operator, "an end that is relative to the begin is not supported")
    begin_mask, end_mask, shrink = (
        option(operator, name) for name in ("begin_mask", "end_mask", "shrink_axis_mask")
    )
    ranges, dropped = [], []
    for axis, (extent, begin, end, stride) in enumerate(zip(shape, *lists, strict=True)):
        if stride == 0:
            refuse(operator, f"the stride of axis {axis} is 0")
        first = None if begin_mask >> axis & 1 else begin
        last = None if end_mask >> axis & 1 else end
        places = range(extent)[slice(first, last, stride)]
        if shrink >> axis & 1:
            dropped.append(axis)
            start = range(extent)[slice(first, None, stride)]
            places = start[:1]
        if len(places) == 0:
            refuse(operator, f"it takes nothing of axis {axis}, which has {extent} values")
        ranges.append(places)
    return ranges, dropped


def _emit_slice(
    state: Translation, operator: TfliteOperator, source: str, ranges: Sequence[range], result: TfliteTensor
) -> None:
    """Emit the slice of whole-shape `ranges`, and a reshape where the result has another shape."""
    if not state.whole:
        if list(ranges[0]) != [0]:
            raise NeedsWholeShapesError
        ranges = ranges[1:]
    attributes = {
        "begin": tuple(places[0] for places in ranges),
        "size": tuple(len(places) for places in ranges),
        "stride": tuple(places.step if len(places) > 1 else 1 for places in ranges),
    }
    if state.shape(result) == attributes["size"]:
        state.emit(operator, "slice", (source,), attributes, result)
        return
    part = state.temporary(f"{state.names[result.index]}#slice", attributes["size"], source)
    state.add_node("slice", (source,), part, attributes)
    state.emit(operator, "reshape", (part,), {}, result)


def strided_slice(state: Translation, operator: TfliteOperator) -> None:
    """Translate STRIDED_SLICE."""
    source, shape = state.activation(operator, 0), state.tensor(operator, 0).shape
    lists = [state.integer_list(operator, position, len(shape)) for position in (1, 2, 3)]
    ranges, _ = strided_ranges(operator, shape, lists)
    _emit_slice(state, operator, source, ranges, state.output(operator))


def plain_slice(state: Translation, operator: TfliteOperator) -> None:
    """Translate SLICE; a size of -1 means everything from the begin."""
    source, shape = state.activation(operator, 0), state.tensor(operator, 0).shape
    begins, sizes = (state.integer_list(operator, position, len(shape)) for position in (1, 2))
    ranges = []
    for axis, (extent, begin, size) in enumerate(zip(shape, begins, sizes, strict=True)):
        end = extent if size == -1 else begin + size
        if not 0 <= begin < end <= extent:
            refuse(operator, f"the slice {begin} to {end} leaves axis {axis} of {extent} values")
        ranges.append(range(begin, end))
    _emit_slice(state, operator, source, ranges, state.output(operator))


def split(state: Translation, operator: TfliteOperator) -> None:
    """Translate SPLIT and SPLIT_V; the output tensors say the sizes."""
    position, axis_position = (1, 0) if operator.name == "SPLIT" else (0, 2)
    source, shape = state.activation(operator, position), state.tensor(operator, position).shape
    (axis,) = state.integer_list(operator, axis_position, 1)
    if not -len(shape) <= axis < len(shape):
        refuse(operator, f"the axis {axis} is not one of {len(shape)} axes")
    axis %= len(shape)
    results = [state.file_tensors[index] for index in operator.outputs]
    sizes = [result.shape[axis] if len(result.shape) == len(shape) else 0 for result in results]
    if sum(sizes) != shape[axis] or 0 in sizes:
        refuse(operator, f"the parts {sizes[:8]} do not fill axis {axis} of {shape[axis]} values")
    if operator.name == "SPLIT_V":
        wanted = state.integer_list(operator, 1, len(results))
        if any(want not in (size, -1) for want, size in zip(wanted, sizes, strict=True)):
            refuse(operator, f"the sizes {wanted[:8]} do not agree with the parts {sizes[:8]}")
    elif len(set(sizes)) != 1:
        refuse(operator, f"the parts {sizes[:8]} must have one size")
    begin = 0
    for result, size in zip(results, sizes, strict=True):
        ranges = [range(extent) for extent in shape]
        ranges[axis] = range(begin, begin + size)
        _emit_slice(state, operator, source, ranges, result)
        begin += size


def unpack(state: Translation, operator: TfliteOperator) -> None:
    """Translate UNPACK: one part for each place of an axis, which disappears."""
    source, shape = state.activation(operator, 0), state.tensor(operator, 0).shape
    axis = option(operator, "axis")
    if not -len(shape) <= axis < len(shape):
        refuse(operator, f"the axis {axis} is not one of {len(shape)} axes")
    axis %= len(shape)
    if len(operator.outputs) != shape[axis]:
        refuse(
            operator, f"axis {axis} has {shape[axis]} values, but there are {len(operator.outputs)} outputs"
        )
    for place, index in enumerate(operator.outputs):
        ranges = [range(extent) for extent in shape]
        ranges[axis] = range(place, place + 1)
        if not state.whole and axis == 0:
            raise NeedsWholeShapesError
        _emit_slice(state, operator, source, ranges, state.file_tensors[index])


RULES = {
    "SLICE": plain_slice,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split,
    "UNPACK": unpack,
}
