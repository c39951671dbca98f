"""The table of all operators of a Graph, by name; each family is a module of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fxpgrad.errors import GraphError
from fxpgrad.graph.attributes import nearest
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, require
from fxpgrad.graph.operators import (
    elementwise,
    movement,
    normalization,
    products,
    reduction,
    resize,
    state,
    unary,
    windows,
)

_FAMILIES = (elementwise, movement, normalization, products, reduction, resize, state, unary, windows)
OPERATORS: dict[str, Operator] = {
    operator.name: operator for family in _FAMILIES for operator in family.OPERATORS
}


def check_attributes(where: str, op: str, attributes: Mapping[str, Any]) -> None:
    """Check that `attributes` are exactly those of `op` and have legal values.

    Parameters
    ----------
    where : str
        How the message calls the node.
    op : str
        A key of `OPERATORS`.
    attributes : mapping
        Attribute values by name.

    Raises
    ------
    GraphError
        The op or an attribute is unknown (the message names the nearest), missing or illegal.
    """
    if op not in OPERATORS:
        raise GraphError(f"{where}: there is no operator {op!r}{nearest(op, tuple(OPERATORS))}")
    rules = OPERATORS[op].attributes
    for name in attributes:
        if name not in rules:
            raise GraphError(f"{where}: {op} has no attribute {name!r}{nearest(name, tuple(rules))}")
    for name, rule in rules.items():
        if name not in attributes:
            raise GraphError(f"{where}: {op} needs the attribute {name}, {rule.text}; it is missing")
        if not rule.is_legal(attributes[name]):
            raise GraphError(f"{where}: {name} must be {rule.text}; got {attributes[name]!r}")


def output_shape(
    op: str,
    inputs: Sequence[Shape],
    constants: Mapping[str, Shape],
    attributes: Mapping[str, Any],
    declared: Shape | None = None,
) -> Shape:
    """Return the shape that `op` produces.

    Parameters
    ----------
    op : str
        A key of `OPERATORS`.
    inputs : sequence of tuple of int
        Shapes of the activations, without the batch axis.
    constants : mapping
        Shapes of the constants by role.
    attributes : mapping
        Legal attributes (see `check_attributes`).
    declared : tuple of int, optional
        The shape that the output tensor claims; reshape, resize and their like take it from there.

    Raises
    ------
    GraphError
        The shapes do not fit together. The message does not name the node: the caller adds that.
    """
    operator = OPERATORS[op]
    least, most = operator.inputs
    if most is None:
        require(len(inputs) >= least, f"{op} needs at least {'one input' if least == 1 else least}")
    else:
        require(
            least <= len(inputs) <= most,
            f"{op} takes {least if least == most else f'{least} to {most}'} activation(s); got {len(inputs)}",
        )
    return operator.shape(ShapeQuestion(tuple(inputs), constants, attributes, declared))
