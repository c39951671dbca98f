"""Matrix products: of an activation with weights, of two activations; and SVDF, a product in time."""

from __future__ import annotations

from fxpgrad.graph.attributes import ACTIVATION, COUNT, FLAG
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, require
from fxpgrad.graph.operators.windows import require_bias


def _fully_connected(question: ShapeQuestion) -> Shape:
    shape, weights = question.only, question.constants["weights"]
    require(len(shape) >= 1, "the input must be [..., features]; got a scalar; reshape it first")
    require(len(weights) == 2, f"weights must be [out, in]; got {list(weights)}")
    require(
        weights[1] == shape[-1],
        f"weights read {weights[1]} features, but the input has {shape[-1]} features; reshape it first",
    )
    require_bias(question.constants, weights[0])
    return (*shape[:-1], weights[0])


def _batch_matmul(question: ShapeQuestion) -> Shape:
    a, b = question.inputs
    require(len(a) >= 2 and len(b) >= 2, f"both inputs must be matrices; got {list(a)} and {list(b)}")
    rows, depth = (a[-1], a[-2]) if question.attributes["adjoint_a"] else (a[-2], a[-1])
    other, columns = (b[-1], b[-2]) if question.attributes["adjoint_b"] else (b[-2], b[-1])
    require(depth == other, f"the matrices do not fit: {depth} columns times {other} rows")
    require(a[:-2] == b[:-2], f"leading axes must agree; got {list(a[:-2])} and {list(b[:-2])}")
    return (*a[:-2], rows, columns)


def _svdf(question: ShapeQuestion) -> Shape:
    (features,), state = question.inputs[0][-1:] or (0,), question.inputs[1]
    weights, time = question.constants["feature_weights"], question.constants["time_weights"]
    rank = question.attributes["rank"]
    require(len(question.only) == 1, f"the input must be [features]; got {list(question.only)}")
    require(
        len(weights) == 2 and weights[1] == features,
        f"feature weights must be [filters, {features}]; got {list(weights)}",
    )
    filters = weights[0]
    require(filters % rank == 0, f"{filters} filters are no multiple of the rank {rank}")
    require(
        len(time) == 2 and time[0] == filters,
        f"time weights must be [{filters}, memory]; got {list(time)}",
    )
    require(
        state == (filters * time[1],),
        f"the state must be [{filters * time[1]}] (filters x memory); got {list(state)}",
    )
    require_bias(question.constants, filters // rank)
    return (filters // rank,)


OPERATORS = (
    Operator(
        "fully_connected",
        _fully_connected,
        constants=("weights", "bias"),
        attributes={"activation": ACTIVATION},
    ),
    Operator("batch_matmul", _batch_matmul, inputs=(2, 2), attributes={"adjoint_a": FLAG, "adjoint_b": FLAG}),
    # activations: the input, then the state (a variable, rewritten in place)
    Operator(
        "svdf",
        _svdf,
        inputs=(2, 2),
        constants=("feature_weights", "time_weights", "bias"),
        attributes={"rank": COUNT, "activation": ACTIVATION},
    ),
)
