"""What an operator of a Graph is, as data, and the words that all shape rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fxpgrad.errors import GraphError
from fxpgrad.graph.attributes import AttributeRule

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShapeQuestion:
    """What a shape rule may look at; all shapes leave the batch axis out.

    inputs: of the activations; constants: of the constants by role; attributes: legal ones;
    declared: the shape that the output tensor claims (a reshape or resize takes it from there).
    """

    inputs: tuple[Shape, ...]
    constants: Mapping[str, Shape]
    attributes: Mapping[str, Any]
    declared: Shape | None = None

    @property
    def only(self) -> Shape:
        """The shape of the first input."""
        return self.inputs[0]

    def wanted(self) -> Shape:
        """Return the declared shape, or refuse."""
        if self.declared is None:
            raise GraphError("the operator needs the shape of its output")
        require(all(extent >= 1 for extent in self.declared), f"cannot make the shape {list(self.declared)}")
        return self.declared


ShapeRule = Callable[[ShapeQuestion], Shape]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of a Graph.

    Attributes
    ----------
    name : str
    shape : callable
        Returns the output's shape, or raises `GraphError` if the shapes do not fit together.
    inputs : (int, int or None)
        Least and greatest number of activations; None is any number.
    constants : tuple of str
        Roles of the constants, which follow the activations in `Node.inputs`.
    attributes : mapping
        Every attribute that the operator has, and what it must be.
    tied : bool
        Input and output share one quantization: values are moved or selected, never rescaled.
    quantized : bool
        Whether it may occur in a quantized Graph.
    """

    name: str
    shape: ShapeRule
    inputs: tuple[int, int | None] = (1, 1)
    constants: tuple[str, ...] = ()
    attributes: Mapping[str, AttributeRule] = field(default_factory=dict)
    tied: bool = False
    quantized: bool = True


def require(condition: bool, message: str) -> None:
    """Raise `GraphError` unless `condition` holds."""
    if not condition:
        raise GraphError(message)


def image(shape: Shape) -> tuple[Shape, int, int, int]:
    """Split [..., H, W, C] into (leading axes, height, width, channels)."""
    require(len(shape) >= 3, f"the input must be [height, width, channels]; got {list(shape)}")
    return shape[:-3], shape[-3], shape[-2], shape[-1]


def unchanged(question: ShapeQuestion) -> Shape:
    """Return the input's own shape."""
    return question.only
