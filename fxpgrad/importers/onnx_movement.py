"""Operators that only move values: most of them change names of axes, not memory."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fxpgrad.importers.onnx_constants import integers, normalized, slices
from fxpgrad.importers.onnx_model import OnnxNode
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import BATCH, ActivationValue, Shape, elements


def _alias(translation: Translation, node: OnnxNode) -> None:
    translation.values[node.outputs[0]] = translation.value(node, 0)


def _cast(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    if int(node.attributes.get("to", 0)) != 1:
        raise node.refuse("only casts of float32 to float32 are supported")
    translation.values[node.outputs[0]] = source


def _sample_shape(
    translation: Translation, node: OnnxNode, source: ActivationValue, wanted: list[int]
) -> Shape:
    """Return the sample's part of a whole ONNX shape that may hold -1 and `BATCH`."""
    count = elements(translation.onnx_shape(source))
    rest = wanted
    if translation.lead:
        if not wanted:
            raise node.refuse("it joins all rows into a scalar")
        batch, rest = wanted[0], wanted[1:]
        known = {BATCH, 0} if translation.batch is None else {BATCH, 0, translation.batch}
        if batch == -1 and -1 not in rest and BATCH not in rest:
            known.add(-1)
        if batch not in known:
            raise node.refuse(
                f"its shape {_shown(wanted)} does not keep the batch axis in front; "
                "import the model with batch_axis=False if it has none"
            )
    if BATCH in rest or rest.count(-1) > 1 or any(extent < -1 for extent in rest):
        raise node.refuse(f"the shape {_shown(wanted)} mixes rows")
    if -1 in rest:
        others = math.prod(extent for extent in rest if extent != -1)
        if others <= 0 or count % others:
            raise node.refuse(f"{count} elements do not fit {_shown(wanted)}")
        rest = [count // others if extent == -1 else extent for extent in rest]
    if any(extent < 1 for extent in rest) or math.prod(rest) != count:
        raise node.refuse(f"{count} elements of a row do not fit {_shown(wanted)}")
    return tuple(rest)


def _shown(wanted: list[int]) -> str:
    return "[" + ", ".join("batch" if extent == BATCH else str(extent) for extent in wanted[:12]) + "]"


def _reshape(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    wanted = integers(node, translation.constant_inputs(node), 1, "shape")
    if wanted is None:
        raise node.refuse("its shape must be a constant")
    whole = translation.whole_shape(source)
    if not int(node.attributes.get("allowzero", 0)):
        wanted = [
            whole[place] if extent == 0 and place < len(whole) else extent
            for place, extent in enumerate(wanted)
        ]
    translation.reshaped(node, source, _sample_shape(translation, node, source, wanted))


def _flatten(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    shape = translation.onnx_shape(source)
    axis = int(node.attributes.get("axis", 1))
    if axis < 0:
        axis += len(shape) + translation.lead
    cut = axis - translation.lead
    if not 0 <= cut <= len(shape):
        raise node.refuse(f"axis {axis} does not exist, or joins the rows")
    if translation.lead and cut:
        raise node.refuse(f"axis {axis} joins rows with other axes; only axis 1 keeps them apart")
    flat = (elements(shape),) if translation.lead else (elements(shape[:cut]), elements(shape[cut:]))
    translation.reshaped(node, source, flat)


def _squeeze(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    shape = translation.onnx_shape(source)
    axes = integers(node, translation.constant_inputs(node), 1, "axes")
    if axes is None:
        if translation.lead and translation.batch == 1:
            raise node.refuse("without axes it would drop the batch too; name the axes")
        gone = {axis for axis, extent in enumerate(shape) if extent == 1}
    else:
        gone = {translation.axis(node, axis, source) for axis in axes}
    if any(shape[axis] != 1 for axis in gone):
        raise node.refuse("it drops an axis of more than one value")
    translation.reshaped(node, source, tuple(e for axis, e in enumerate(shape) if axis not in gone))


def _unsqueeze(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    axes = integers(node, translation.constant_inputs(node), 1, "axes")
    if not axes:
        raise node.refuse("its axes must be constants")
    shape = list(translation.onnx_shape(source))
    rank = len(shape) + translation.lead + len(axes)
    places = sorted({normalized(node, axis, rank) for axis in axes})
    if len(places) != len(axes) or places[0] < translation.lead:
        raise node.refuse("it puts an axis before the batch, or one twice")
    for place in places:
        shape.insert(place - translation.lead, 1)
    translation.reshaped(node, source, tuple(shape))


def _transpose(translation: Translation, node: OnnxNode) -> None:
    """Rename axes: nothing moves until an operator needs them in another order."""
    source = translation.activation(node, 0)
    rank = len(source.order) + translation.lead
    permutation = node.attributes.get("perm", list(reversed(range(rank))))
    if not isinstance(permutation, list) or sorted(permutation) != list(range(rank)):
        raise node.refuse(f"perm must order the axes 0 to {rank - 1}; got {permutation}")
    if translation.lead and permutation[0] != 0:
        raise node.refuse("it moves the batch axis")
    own = [axis - translation.lead for axis in permutation[translation.lead :]]
    order = tuple(own.index(axis) for axis in source.order)
    translation.values[node.outputs[0]] = replace(source, order=order)


def _concat(translation: Translation, node: OnnxNode) -> None:
    parts = [translation.activation(node, place) for place in range(len(node.inputs))]
    if not parts or len({(len(part.order), part.real) for part in parts}) != 1:
        raise node.refuse("its inputs must have one number of axes, all floats or all integers")
    first = parts[0]
    axis = translation.axis(node, int(node.attributes.get("axis", 0)), first)
    kinds = [translation.writer.kind(part.tensor) for part in parts]
    target = Target(node.outputs[0], kinds[0], first.real)
    if any(not kind.same(kinds[0]) for kind in kinds):
        if not first.real:
            raise node.refuse("its inputs are integers of different scales")
        target = translation.target(node, fuses=False)
    joined(translation, node, parts, axis, target)


def joined(
    translation: Translation, node: OnnxNode, parts: list[ActivationValue], axis: int, target: Target
) -> None:
    """Add a concat, after quantize nodes for the inputs whose scale is not the output's."""
    order = parts[0].order
    tensors = []
    for part in parts:
        tensor = translation.writer.ordered(node, part, order)
        if not translation.writer.kind(tensor).same(target.kind):
            name = f"{tensor}/requantized"
            tensor = translation.writer.emit(node, "quantize", name, (tensor,), {}, {}, target.kind)
        tensors.append(tensor)
    translation.emit(node, "concat", tensors, target, order, {"axis": order.index(axis)})


def _pad(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    inputs = translation.constant_inputs(node)
    pads = integers(node, inputs, 1, "pads")
    rank = len(source.order)
    axes = integers(node, inputs, 3, "axes")
    if pads is None:
        raise node.refuse("its pads must be constants")
    places = list(range(rank + translation.lead)) if axes is None else axes
    if len(pads) != 2 * len(places) or any(not 0 <= pad < 2**16 for pad in pads):
        raise node.refuse(f"pads must be two ints >= 0 for each axis; got {pads[:16]}")
    sides = [0] * (2 * rank)
    for index, place in enumerate(places):
        pair = (pads[index], pads[index + len(places)])
        if pair != (0, 0):
            position = source.position(translation.axis(node, place, source))
            sides[2 * position : 2 * position + 2] = pair
    mode = node.attributes.get("mode", "constant")
    if mode == "reflect":
        translation.moved(node, "mirror_pad", source, {"padding": tuple(sides), "mode": "reflect"})
        return
    if mode != "constant":
        raise node.refuse(f"mode {mode!r} is not supported; supported: constant, reflect")
    value = inputs[2] if len(inputs) > 2 else None
    number = float(node.attributes.get("value", 0.0)) if value is None else float(value.reshape(-1)[0])
    filled = _pad_value(translation, node, source, number)
    translation.moved(node, "pad", source, {"padding": tuple(sides), "value": filled})


def _pad_value(translation: Translation, node: OnnxNode, source: ActivationValue, number: float) -> int:
    """Return a pad value in the tensor's own integers."""
    kind = translation.writer.kind(source.tensor)
    if kind.quantization is None:
        if number != 0:
            raise node.refuse(f"a float tensor can be padded with 0 only; got {number}")
        return 0
    if not source.real:
        own = int(number) - 128 * kind.unsigned
    else:
        own = int(np.rint(np.float32(number) / np.float32(kind.scale))) + kind.zero_point
        if np.float32(own - kind.zero_point) * np.float32(kind.scale) != np.float32(number):
            raise node.refuse(f"the pad value {number} is not one of the tensor's quantized values")
    limits = np.iinfo(kind.dtype)
    if not limits.min <= own <= limits.max:
        raise node.refuse(f"the pad value {number} lies outside the tensor's integers")
    return own


def _cut(
    translation: Translation, node: OnnxNode, source: ActivationValue, cuts: dict[int, slice], name: str
) -> None:
    """Add a slice; `cuts` counts the sample's ONNX axes."""
    shape = translation.writer.shape(source.tensor)
    begin, size, stride = [], [], []
    for place, extent in enumerate(shape):
        steps = range(extent)[cuts.get(source.order[place], slice(None))]
        if len(steps) == 0:
            raise node.refuse("it leaves no element")
        begin.append(steps[0])
        size.append(len(steps))
        stride.append(steps.step)
    kind = translation.writer.kind(source.tensor)
    attributes = {"begin": tuple(begin), "size": tuple(size), "stride": tuple(stride)}
    tensor = translation.writer.emit(node, "slice", name, (source.tensor,), {}, attributes, kind)
    translation.values[name] = ActivationValue(tensor, source.order, source.real)


def _slice(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    inputs = translation.constant_inputs(node)
    found = slices(node, inputs, len(source.order) + translation.lead)
    cuts = {translation.axis(node, axis, source): cut for axis, cut in found.items()}
    _cut(translation, node, source, cuts, node.outputs[0])


def _split(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    axis = translation.axis(node, int(node.attributes.get("axis", 0)), source)
    extent, parts = translation.onnx_shape(source)[axis], len(node.outputs)
    sizes = integers(node, translation.constant_inputs(node), 1, "split")
    if sizes is None:
        each = -(-extent // max(parts, 1))
        sizes = [min(each, extent - each * part) for part in range(parts)]
    if len(sizes) != parts or min(sizes, default=0) < 1 or sum(sizes) != extent:
        raise node.refuse(f"it cannot split {extent} values into {sizes}")
    start = 0
    for name, size in zip(node.outputs, sizes, strict=True):
        if name:
            _cut(translation, node, source, {axis: slice(start, start + size)}, name)
        start += size


def _gather(translation: Translation, node: OnnxNode) -> None:
    """Translate a Gather of one constant index: a slice without its axis."""
    source = translation.activation(node, 0)
    indices = translation.array(node, 1)
    axis = translation.axis(node, int(node.attributes.get("axis", 0)), source)
    if indices is None or indices.size != 1:
        raise node.refuse("only a gather of one constant index is supported")
    shape = translation.onnx_shape(source)
    place = int(indices.reshape(-1)[0])
    if not -shape[axis] <= place < shape[axis]:
        raise node.refuse(f"index {place} lies outside {shape[axis]} values")
    place %= shape[axis]
    name = f"{node.outputs[0]}/gathered"
    _cut(translation, node, source, {axis: slice(place, place + 1)}, name)
    kept = translation.values.pop(name)
    assert isinstance(kept, ActivationValue)
    extents = [*shape[:axis], *([1] * indices.ndim), *shape[axis + 1 :]]
    translation.reshaped(node, kept, tuple(extents))


RULES: dict[str, Rule] = {
    "Cast": _cast,
    "Concat": _concat,
    "Dropout": _alias,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _alias,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
