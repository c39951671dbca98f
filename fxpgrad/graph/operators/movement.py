"""Operators that only move values."""

from __future__ import annotations

import math

from fxpgrad.graph.attributes import AXIS, COUNT, COUNTS, INTEGER, INTEGERS, PADDING, one_of
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, image, require
from fxpgrad.graph.operators.elementwise import broadcast_shape


def _require_axis(axis: int, shape: Shape) -> None:
    require(
        axis < len(shape), f"axis must be below {len(shape)}, the rank without the batch axis; got {axis}"
    )


def _concat(question: ShapeQuestion) -> Shape:
    axis, first = question.attributes["axis"], question.only
    _require_axis(axis, first)
    for shape in question.inputs[1:]:
        require(
            len(shape) == len(first)
            and all(i == axis or a == b for i, (a, b) in enumerate(zip(shape, first, strict=True))),
            f"inputs may differ along axis {axis} only; got {list(first)} and {list(shape)}",
        )
    return (*first[:axis], sum(shape[axis] for shape in question.inputs), *first[axis + 1 :])


def _pad(question: ShapeQuestion) -> Shape:
    shape, padding = question.only, question.attributes["padding"]
    require(
        len(padding) == 2 * len(shape),
        f"padding must name before and after for each of {len(shape)} axes; got {padding}",
    )
    return tuple(padding[2 * i] + extent + padding[2 * i + 1] for i, extent in enumerate(shape))


def _mirror_pad(question: ShapeQuestion) -> Shape:
    shape, padding = question.only, question.attributes["padding"]
    result = _pad(question)
    room = 1 if question.attributes["mode"] == "reflect" else 0
    for i, extent in enumerate(shape):
        require(
            max(padding[2 * i : 2 * i + 2]) <= extent - room,
            f"axis {i} of {extent} values cannot be mirrored by {max(padding[2 * i : 2 * i + 2])}",
        )
    return result


def _reshape(question: ShapeQuestion) -> Shape:
    declared = question.wanted()
    require(
        math.prod(declared) == math.prod(question.only),
        f"cannot reshape {list(question.only)} to {list(declared)}: the products must agree (-1 is not used)",
    )
    return declared


def _transpose(question: ShapeQuestion) -> Shape:
    order, shape = question.attributes["permutation"], question.only
    require(
        sorted(order) == list(range(len(shape))),
        f"permutation must order the axes 0 to {len(shape) - 1}; got {order}",
    )
    return tuple(shape[axis] for axis in order)


def _slice(question: ShapeQuestion) -> Shape:
    shape = question.only
    begin, size, stride = (question.attributes[name] for name in ("begin", "size", "stride"))
    require(
        len(begin) == len(size) == len(stride) == len(shape),
        f"begin, size and stride need one entry for each of {len(shape)} axes",
    )
    for axis, extent in enumerate(shape):
        last = begin[axis] + (size[axis] - 1) * stride[axis]
        require(
            stride[axis] != 0 and 0 <= begin[axis] < extent and 0 <= last < extent,
            f"the slice {begin[axis]} to {last} leaves axis {axis} of {extent} values",
        )
    return tuple(size)


def _gather(question: ShapeQuestion) -> Shape:
    axis, shape, indices = question.attributes["axis"], question.only, question.constants["indices"]
    _require_axis(axis, shape)
    return (*shape[:axis], *indices, *shape[axis + 1 :])


def _broadcast_to(question: ShapeQuestion) -> Shape:
    declared = question.wanted()
    require(
        broadcast_shape(question.only, declared) == declared,
        f"cannot broadcast {list(question.only)} to {list(declared)}",
    )
    return declared


def _tile(question: ShapeQuestion) -> Shape:
    repeats, shape = question.attributes["repeats"], question.only
    require(len(repeats) == len(shape), f"repeats need one entry for each of {len(shape)} axes")
    return tuple(extent * count for extent, count in zip(shape, repeats, strict=True))


def _depth_to_space(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    block = question.attributes["block"]
    require(channels % block**2 == 0, f"{channels} channels are no multiple of {block}^2")
    return (*leading, height * block, width * block, channels // block**2)


def _space_to_depth(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    block = question.attributes["block"]
    require(
        height % block == 0 and width % block == 0, f"{height} x {width} pixels are no multiple of {block}"
    )
    return (*leading, height // block, width // block, channels * block**2)


OPERATORS = (
    # axis counts without the batch: 0 is the first axis of `shape`
    Operator("concat", _concat, inputs=(1, None), attributes={"axis": AXIS}, tied=True),
    # padding: (before, after) for each axis; value: what is put there, in the tensor's own integers
    Operator("pad", _pad, attributes={"padding": PADDING, "value": INTEGER}, tied=True),
    Operator(
        "mirror_pad",
        _mirror_pad,
        attributes={"padding": PADDING, "mode": one_of("reflect", "symmetric")},
        tied=True,
    ),
    Operator("reshape", _reshape, tied=True),  # to the output tensor's shape
    Operator("transpose", _transpose, attributes={"permutation": INTEGERS}, tied=True),
    Operator("slice", _slice, attributes={"begin": INTEGERS, "size": COUNTS, "stride": INTEGERS}, tied=True),
    Operator("gather", _gather, constants=("indices",), attributes={"axis": AXIS}, tied=True),
    Operator("broadcast_to", _broadcast_to, tied=True),
    Operator("tile", _tile, attributes={"repeats": COUNTS}, tied=True),
    Operator("depth_to_space", _depth_to_space, attributes={"block": COUNT}, tied=True),
    Operator("space_to_depth", _space_to_depth, attributes={"block": COUNT}, tied=True),
)
