"""The state of one translation of an ONNX model, and the questions that every operator's rule asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.operators.table import OPERATORS
from fxpgrad.importers.onnx_constants import normalized
from fxpgrad.importers.onnx_model import Array, OnnxModel, OnnxNode, printable
from fxpgrad.importers.onnx_values import (
    BATCH,
    FLOAT,
    ActivationValue,
    ConstantValue,
    Kind,
    Order,
    Shape,
    Value,
    identity,
)
from fxpgrad.importers.onnx_writer import Constants, GraphWriter


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where the result of an operator goes.

    name: of the tensor; kind: what it holds; real: whether ONNX sees the result as a float; activation: a
    clamp to fuse; aliases: outputs of nodes after this one that are the same tensor.
    """

    name: str
    kind: Kind
    real: bool
    activation: str = "none"
    aliases: tuple[str, ...] = ()


@dataclass(slots=True)
class Translation:
    """An ONNX model on its way to a Graph.

    lead: 1 if the first ONNX axis is the batch, which a Graph leaves out, else 0; batch: its extent in
    the file, None if open; quantized: whether the model has operators on integers.
    """

    model: OnnxModel
    lead: int
    batch: int | None
    quantized: bool
    outputs: tuple[str, ...]
    writer: GraphWriter = field(default_factory=GraphWriter)
    values: dict[str, Value] = field(default_factory=dict)
    consumers: dict[str, list[OnnxNode]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # set by the module that knows QuantizeLinear, to keep imports one way
    target_ahead: Callable[[Translation, OnnxNode, str, bool], Target] | None = None

    # --- inputs

    def value(self, node: OnnxNode, position: int) -> Value:
        """Return the value of an input that must be there."""
        name = node.input(position)
        if not name or name not in self.values:
            raise node.refuse(f"input {position} is missing")
        return self.values[name]

    def activation(self, node: OnnxNode, position: int) -> ActivationValue:
        """Return an input that must be an activation."""
        value = self.value(node, position)
        if not isinstance(value, ActivationValue):
            raise node.refuse(f"input {position} ({printable(node.input(position))}) must not be a constant")
        return value

    def real_activation(self, node: OnnxNode, position: int) -> ActivationValue:
        """Return an input that must be a float to ONNX: float, or a dequantized tensor."""
        value = self.activation(node, position)
        if not value.real:
            raise node.refuse(f"input {printable(node.input(position))} is an integer; dequantize it first")
        return value

    def constant(self, node: OnnxNode, position: int) -> ConstantValue | None:
        """Return an input that must be a constant, or None if it is left out."""
        name = node.input(position)
        if not name:
            return None
        value = self.values.get(name)
        if not isinstance(value, ConstantValue):
            raise node.refuse(
                f"input {position} ({printable(name)}) must be a constant; "
                "if it is an input of the model, pass its value in `constants`"
            )
        return value

    def array(self, node: OnnxNode, position: int) -> Array | None:
        """Return a constant input as ONNX sees it, or None if it is left out."""
        value = self.constant(node, position)
        return None if value is None else value.real()

    def constant_inputs(self, node: OnnxNode) -> list[Array | None]:
        """Return the constants among the inputs by position, None for all others."""
        found: list[Array | None] = []
        for name in node.inputs:
            value = self.values.get(name)
            found.append(value.real() if isinstance(value, ConstantValue) else None)
        return found

    # --- axes and shapes

    def onnx_shape(self, value: ActivationValue) -> Shape:
        """Return the shape in ONNX's axes, without the batch."""
        return self.writer.onnx_shape(value)

    def axis(self, node: OnnxNode, axis: int, value: ActivationValue) -> int:
        """Return an ONNX axis as one of the sample's, refusing the batch."""
        rank = len(value.order) + self.lead
        own = normalized(node, axis, rank) - self.lead
        if own < 0:
            raise node.refuse("it works across the rows (axis 0); import the model with batch_axis=False")
        return own

    def whole_shape(self, value: ActivationValue) -> list[int]:
        """Return what ONNX's Shape gives, with `BATCH` for an open number of rows."""
        batch = [BATCH if self.batch is None else self.batch] * self.lead
        return [*batch, *self.onnx_shape(value)]

    # --- results

    def target(self, node: OnnxNode, *, fuses: bool) -> Target:
        """Return where the float result of `node` goes; with `fuses`, a clamp behind it is included."""
        name = node.outputs[0]
        if not self.quantized:
            return Target(name, FLOAT, True)
        assert self.target_ahead is not None
        return self.target_ahead(self, node, name, fuses)

    def emit(
        self,
        node: OnnxNode,
        op: str,
        inputs: Sequence[str],
        target: Target,
        order: Order,
        attributes: Mapping[str, Any] | None = None,
        constants: Constants | None = None,
        declared: Shape | None = None,
    ) -> str:
        """Add a node of the Graph and make its tensor the value of the ONNX node's first output."""
        own = dict(attributes or {})
        if "activation" in OPERATORS[op].attributes:
            own.setdefault("activation", target.activation)
        tensor = self.writer.emit(node, op, target.name, inputs, constants or {}, own, target.kind, declared)
        self.assign(node, tensor, target, order)
        return tensor

    def assign(self, node: OnnxNode, tensor: str, target: Target, order: Order) -> None:
        """Make `tensor` the value of the node's first output and of the target's aliases."""
        for name in (node.outputs[0], *target.aliases):
            self.values[name] = ActivationValue(tensor, order, target.real)

    def moved(
        self,
        node: OnnxNode,
        op: str,
        source: ActivationValue,
        attributes: Mapping[str, Any],
        order: Order | None = None,
        tensor: str | None = None,
    ) -> None:
        """Add a node that moves or selects values of `source`: the result keeps its quantization."""
        kept = source.order if order is None else order
        target = Target(node.outputs[0], self.writer.kind(source.tensor), source.real)
        self.emit(node, op, (tensor or source.tensor,), target, kept, attributes)

    def reshaped(self, node: OnnxNode, source: ActivationValue, shape: Shape) -> None:
        """Make the source with another ONNX shape the value of the node's first output."""
        tensor = self.writer.linear(node, source)
        if self.writer.shape(tensor) != shape:
            tensor = self.writer.reshaped(node, tensor, shape, node.outputs[0])
        self.values[node.outputs[0]] = ActivationValue(tensor, identity(len(shape)), source.real)

    def note(self, text: str) -> None:
        """Record something that a user should know about the result."""
        if text not in self.notes:
            self.notes.append(text)


Rule = Callable[[Translation, OnnxNode], None]


def refuse_unknown(node: OnnxNode, known: Sequence[str]) -> ModelFileError:
    """Return the error for an operator that has no rule, with the list of those that do."""
    return ModelFileError(f"{node.label} is not supported; supported operators: {', '.join(sorted(known))}")
