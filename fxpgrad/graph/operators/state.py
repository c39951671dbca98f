"""Variables, which keep their value from one row to the next, and constants among the activations."""

from __future__ import annotations

from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, unchanged


def _constant(question: ShapeQuestion) -> Shape:
    return question.constants["value"]


OPERATORS = (
    Operator("constant", _constant, inputs=(0, 0), constants=("value",), tied=True),
    Operator("assign", unchanged, tied=True),  # its output is a variable of the Graph
)
