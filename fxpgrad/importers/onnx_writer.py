"""Collects the tensors and nodes of a Graph while an ONNX model is translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fxpgrad.errors import GraphError, ModelFileError
from fxpgrad.graph.graph import Node, Quantization, Tensor
from fxpgrad.graph.operators.table import check_attributes, output_shape
from fxpgrad.importers.onnx_model import LARGEST_ACTIVATION, Array, OnnxNode, printable
from fxpgrad.importers.onnx_values import (
    ActivationValue,
    Kind,
    Order,
    Shape,
    elements,
    moves_nothing,
    onnx_shape,
)

Constants = Mapping[str, tuple[Array, Quantization | None]]


class GraphWriter:
    """Adds checked nodes one by one; each writes one tensor."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self._names: set[str] = set()
        self._ordered: dict[tuple[str, Order], str] = {}
        self._reshaped: dict[str, str] = {}

    def fresh(self, wanted: str) -> str:
        """Return `wanted`, or it with the first number that makes it a new tensor name."""
        wanted = printable(wanted) or "value"
        name, count = wanted, 1
        while name in self.tensors or name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        return name

    def kind(self, tensor: str) -> Kind:
        """Return what a tensor holds."""
        entry = self.tensors[tensor]
        return Kind(entry.dtype, entry.quantization, entry.unsigned)

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor, without the batch."""
        return self.tensors[tensor].shape

    def onnx_shape(self, value: ActivationValue) -> Shape:
        """Return the shape of a value in ONNX's axes, without the batch."""
        return onnx_shape(self.shape(value.tensor), value.order)

    def input(self, name: str, shape: Shape, kind: Kind) -> str:
        """Add a tensor that no node makes."""
        return self._tensor(self.fresh(name), shape, kind)

    def constant(self, name: str, array: Array, kind: Kind) -> str:
        """Add a constant as an activation: a node `constant`."""
        return self.emit(None, "constant", name, (), {"value": (array, kind.quantization)}, {}, kind)

    def emit(
        self,
        node: OnnxNode | None,
        op: str,
        name: str,
        inputs: Sequence[str],
        constants: Constants,
        attributes: Mapping[str, Any],
        kind: Kind,
        declared: Shape | None = None,
    ) -> str:
        """Add a node of the Graph that writes a tensor called `name` (or that and a number)."""
        where = node.label if node is not None else f"constant {printable(name)}"
        output = self.fresh(name)
        self._names.add(output)
        try:
            check_attributes(where, op, attributes)
            shape = output_shape(
                op,
                [self.shape(source) for source in inputs],
                {role: array.shape for role, (array, _) in constants.items()},
                attributes,
                declared,
            )
        except GraphError as error:
            text = str(error)
            raise ModelFileError(text if text.startswith(where) else f"{where}: {text}") from None
        roles = []
        for role, (array, quantization) in constants.items():
            roles.append(self.fresh(f"{output}/{role}"))
            data = np.ascontiguousarray(array)
            self.tensors[roles[-1]] = Tensor(roles[-1], data.shape, data.dtype.name, quantization, data)
        self._names.discard(output)
        self._tensor(output, shape, kind)
        self.nodes.append(Node(output, op, (*inputs, *roles), output, dict(attributes)))
        return output

    def ordered(self, node: OnnxNode, value: ActivationValue, order: Order) -> str:
        """Return the tensor of `value` with its axes in `order`, transposed if need be."""
        if value.order == order:
            return value.tensor
        key = (value.tensor, tuple(value.position(axis) for axis in order))
        if key not in self._ordered:
            self._ordered[key] = self._transposed(node, value.tensor, key[1])
        return self._ordered[key]

    def _transposed(self, node: OnnxNode, tensor: str, permutation: Order) -> str:
        shape, kind = self.shape(tensor), self.kind(tensor)
        if moves_nothing(shape, permutation):
            return self.reshaped(node, tensor, tuple(shape[axis] for axis in permutation))
        return self.emit(
            node, "transpose", f"{tensor}/transposed", (tensor,), {}, {"permutation": permutation}, kind
        )

    def linear(self, node: OnnxNode, value: ActivationValue) -> str:
        """Return a tensor whose values lie in memory in ONNX's order; its shape may differ from ONNX's."""
        order = tuple(range(len(value.order)))
        if moves_nothing(self.shape(value.tensor), tuple(value.position(axis) for axis in order)):
            return value.tensor
        return self.ordered(node, value, order)

    def reshaped(self, node: OnnxNode, tensor: str, shape: Shape, name: str | None = None) -> str:
        """Return the tensor with another shape."""
        while tensor in self._reshaped and self.shape(tensor) != shape:
            tensor = self._reshaped[tensor]
        if self.shape(tensor) == shape:
            return tensor
        wanted = name or f"{tensor}/reshaped"
        made = self.emit(node, "reshape", wanted, (tensor,), {}, {}, self.kind(tensor), shape)
        self._reshaped[made] = tensor
        return made

    def live(self, outputs: Sequence[str]) -> tuple[dict[str, Tensor], tuple[Node, ...]]:
        """Return the tensors and nodes that the outputs depend on, and every input."""
        made_by = {node.output: node for node in self.nodes}
        todo, used = list(outputs), set[str]()
        while todo:
            name = todo.pop()
            if name not in used:
                used.add(name)
                todo += made_by[name].inputs if name in made_by else ()
        inputs = {
            name for name, tensor in self.tensors.items() if name not in made_by and tensor.data is None
        }
        kept = {name: tensor for name, tensor in self.tensors.items() if name in used | inputs}
        return kept, tuple(node for node in self.nodes if node.output in used)

    def _tensor(self, name: str, shape: Shape, kind: Kind) -> str:
        if elements(shape) > LARGEST_ACTIVATION or any(extent < 1 for extent in shape):
            raise ModelFileError(
                f"{printable(name)} would have the shape {list(shape)}; "
                f"the limit is {LARGEST_ACTIVATION} elements"
            )
        self.tensors[name] = Tensor(name, shape, kind.dtype, kind.quantization, None, kind.unsigned)
        return name
