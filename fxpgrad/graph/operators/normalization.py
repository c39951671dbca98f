"""Operators that scale by a property of a whole row: softmax and its like, and batch normalization."""

from __future__ import annotations

from fxpgrad.graph.attributes import POSITIVE
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, require


def _over_last_axis(question: ShapeQuestion) -> Shape:
    require(len(question.only) >= 1, "the input must have an axis besides the batch; got a scalar")
    return question.only


def _batch_norm(question: ShapeQuestion) -> Shape:
    require(len(question.only) >= 1, "the input must have a channel axis; got a scalar")
    channels = question.only[-1]
    for role, shape in question.constants.items():
        require(
            shape == (channels,),
            f"{role} must be [{channels}], one value for each channel; got {list(shape)}",
        )
    return question.only


OPERATORS = (
    Operator("softmax", _over_last_axis, attributes={"beta": POSITIVE}),
    Operator("log_softmax", _over_last_axis),
    Operator("l2_normalization", _over_last_axis),
    Operator(
        "batch_norm",
        _batch_norm,
        constants=("gamma", "beta", "mean", "variance"),
        attributes={"epsilon": POSITIVE},
        quantized=False,
    ),
)
