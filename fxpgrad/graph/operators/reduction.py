"""Operators that make one value of many: means, sums, extremes and their places."""

from __future__ import annotations

from fxpgrad.graph.attributes import AXES, AXIS, FLAG
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, image, require


def _reduce(question: ShapeQuestion) -> Shape:
    shape, axes = question.only, question.attributes["axes"]
    require(len(axes) >= 1, "at least one axis must be reduced")
    require(axes[-1] < len(shape), f"axes must be below {len(shape)}, the rank without the batch; got {axes}")
    if question.attributes["keep_dims"]:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def _arg(question: ShapeQuestion) -> Shape:
    shape, axis = question.only, question.attributes["axis"]
    require(axis < len(shape), f"axis must be below {len(shape)}, the rank without the batch; got {axis}")
    return (*shape[:axis], *shape[axis + 1 :])


def _global_average_pool2d(question: ShapeQuestion) -> Shape:
    leading, _, _, channels = image(question.only)
    return (*leading, channels)


_REDUCED = {"axes": AXES, "keep_dims": FLAG}

OPERATORS = (
    *(Operator(name, _reduce, attributes=_REDUCED) for name in ("mean", "sum")),
    *(Operator(name, _reduce, attributes=_REDUCED, tied=True) for name in ("reduce_max", "reduce_min")),
    *(Operator(name, _arg, attributes={"axis": AXIS}) for name in ("arg_max", "arg_min")),
    Operator("global_average_pool2d", _global_average_pool2d),
)
