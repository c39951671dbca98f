"""Operators on two activations, element by element; shapes broadcast as in NumPy."""

from __future__ import annotations

from fxpgrad.errors import GraphError
from fxpgrad.graph.attributes import ACTIVATION
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion


def broadcast_shape(first: Shape, second: Shape) -> Shape:
    """Return the shape of `first` with `second`, or raise `GraphError`."""
    rank = max(len(first), len(second))
    a, b = (1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
        raise GraphError(
            f"both inputs must have one shape, or shapes that broadcast; got {list(first)} and {list(second)}"
        )
    return tuple(y if x == 1 else x for x, y in zip(a, b, strict=True))


def _binary(question: ShapeQuestion) -> Shape:
    return broadcast_shape(*question.inputs)


_FUSED = {"activation": ACTIVATION}

OPERATORS = (
    *(Operator(name, _binary, inputs=(2, 2), attributes=_FUSED) for name in ("add", "sub", "mul")),
    *(Operator(name, _binary, inputs=(2, 2), tied=True) for name in ("maximum", "minimum")),
    Operator("squared_difference", _binary, inputs=(2, 2)),
    Operator("prelu", _binary, inputs=(2, 2)),  # the second activation is the slope
)
