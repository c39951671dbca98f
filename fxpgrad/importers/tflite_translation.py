"""What the translation of a TFLite subgraph keeps while it walks through the operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.graph import Node, Quantization, Tensor
from fxpgrad.importers.tflite_model import TfliteModel, TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_numbers import dtype_of, numbers_of, quantization_of_tensor
from fxpgrad.importers.tflite_refusals import NeedsWholeShapesError, label, refuse

# Integers that shape arithmetic works on; longer arrays are data, not shapes.
LONGEST_FOLDED = 4096

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Translation:
    """One walk through subgraph 0.

    whole: whether shapes keep their first axis. folded: integers known when importing, by file tensor.
    placed: the Graph tensor that holds the values of a file tensor. real_inputs, real_outputs: the Graph
    tensor behind a float32 edge. handles: the variable that a resource tensor means, by container and name;
    variable_names: its Graph tensor; assigned: the value that it gets; initial: what it starts with.
    """

    model: TfliteModel
    whole: bool
    names: tuple[str, ...] = ()
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    placed: dict[int, str] = field(default_factory=dict)
    folded: dict[int, Ints] = field(default_factory=dict)
    real_inputs: dict[int, str] = field(default_factory=dict)
    real_outputs: dict[int, str] = field(default_factory=dict)
    variables: dict[str, None] = field(default_factory=dict)
    handles: dict[int, tuple[str, str]] = field(default_factory=dict)
    variable_names: dict[tuple[str, str], str] = field(default_factory=dict)
    assigned: dict[tuple[str, str], str] = field(default_factory=dict)
    initial: dict[tuple[str, str], int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    node_names: set[str] = field(default_factory=set)
    shared: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    bytes_left: int = 0

    def __post_init__(self) -> None:
        self.bytes_left = 64 * self.model.file_bytes + 2**20
        self.names = unique_names(self.file_tensors)
        self.taken = set(self.names)

    @property
    def file_tensors(self) -> tuple[TfliteTensor, ...]:
        """The tensors of subgraph 0."""
        return self.model.subgraphs[0].tensors

    def tensor(self, operator: TfliteOperator, position: int) -> TfliteTensor:
        """Return the file tensor at an input position, or refuse."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            refuse(operator, f"input {position} is missing; export the model again")
        return self.file_tensors[operator.inputs[position]]

    def has(self, operator: TfliteOperator, position: int) -> bool:
        """Whether the optional input at `position` is there."""
        return position < len(operator.inputs) and operator.inputs[position] >= 0

    def output(self, operator: TfliteOperator) -> TfliteTensor:
        """Return the one output of an operator, or refuse."""
        if len(operator.outputs) != 1:
            refuse(operator, f"it must have one output; got {len(operator.outputs)}")
        return self.file_tensors[operator.outputs[0]]

    def shape(self, tensor: TfliteTensor) -> tuple[int, ...]:
        """Return an activation's shape in the Graph."""
        if self.whole:
            return tensor.shape
        if tensor.shape[:1] != (1,):
            raise NeedsWholeShapesError
        return tensor.shape[1:]

    def axis(self, operator: TfliteOperator, axis: int, rank: int) -> int:
        """Turn a file axis (negative ones count from the end) into one of the Graph."""
        if not -rank <= axis < rank:
            refuse(operator, f"the axis {axis} is not one of {rank} axes")
        axis %= rank
        if self.whole:
            return axis
        if axis == 0:
            raise NeedsWholeShapesError
        return axis - 1

    def per_axis(self, entries: Sequence[int], batch: int) -> tuple[int, ...]:
        """Drop the batch's entry of a list with one for each axis; it must be `batch`."""
        if self.whole:
            return tuple(entries)
        if entries[0] != batch:
            raise NeedsWholeShapesError
        return tuple(entries[1:])

    def activation(self, operator: TfliteOperator, position: int, rank: int | None = None) -> str:
        """Return the Graph tensor of an activation input; a constant becomes a `constant` node.

        rank: that of the operator's result; a constant of this rank has the batch axis too.
        """
        tensor = self.tensor(operator, position)
        if tensor.index in self.placed:
            return self.placed[tensor.index]
        if tensor.index in self.folded:
            return self.constant_node(operator, tensor, self.folded[tensor.index], rank)
        if tensor.data is None:
            dtype_of(operator, tensor)
            refuse(
                operator,
                f"it reads {label(tensor)} before any operator has made it; operators must be in an order "
                f"that can be run, without cycles",
            )
        return self.constant_node(operator, tensor, self.values(operator, tensor), rank)

    def constant_node(
        self, operator: TfliteOperator, tensor: TfliteTensor, values: NDArray[Any], rank: int | None
    ) -> str:
        """Emit a `constant` node for values in an activation position."""
        shape = values.shape
        if not self.whole and (rank is None or len(shape) == rank):
            if shape[:1] != (1,):
                raise NeedsWholeShapesError
            shape = shape[1:]
        key = ("constant node", tensor.index, shape)
        if key in self.shared:
            return str(self.shared[key])
        if 0 in shape:
            refuse(operator, f"the constant {tensor.name} is empty")
        quantization = quantization_of_tensor(operator, tensor)
        name = tensor_name = self.names[tensor.index]
        if name in self.tensors:
            name = self.unique(f"{tensor_name}/constant")
        self.taken.add(name)
        dtype = dtype_of(operator, tensor)
        data = self.add_constant(
            f"{name}/value", values.astype(dtype).reshape(shape), quantization, tensor.type == "UINT8"
        )
        self.tensors[name] = Tensor(name, shape, dtype, quantization, None, tensor.type == "UINT8")
        self.add_node("constant", (data,), name, {})
        self.shared[key] = name
        return name

    def values(self, operator: TfliteOperator, tensor: TfliteTensor) -> NDArray[Any]:
        """Return a constant's numbers (see `numbers_of`), within the limit on all of them."""
        self.spend(operator, tensor.elements * 8 if tensor.data is not None else 0)
        return numbers_of(operator, tensor)

    def spend(self, operator: TfliteOperator, size: int) -> None:
        """Refuse a model whose constants would grow out of proportion to the file."""
        self.bytes_left -= size
        if self.bytes_left < 0:
            refuse(operator, "the model's shared constants take more than 64 times its file; export it again")

    def known(self, tensor: TfliteTensor) -> bool:
        """Whether an integer tensor's values are known now: a short constant, or computed from some."""
        return tensor.index in self.folded or (
            tensor.data is not None
            and not tensor.is_sparse
            and tensor.type in ("INT32", "INT64")
            and tensor.elements <= LONGEST_FOLDED
        )

    def integers(self, operator: TfliteOperator, position: int) -> Ints:
        """Return the known integers of an input (axes, sizes, paddings), or refuse."""
        tensor = self.tensor(operator, position)
        if tensor.index in self.folded:
            return self.folded[tensor.index]
        if tensor.type not in ("INT32", "INT64", "INT16"):
            refuse(operator, f"input {position} must hold int32 or int64; {tensor.name} is {tensor.type}")
        if tensor.elements == 0:
            return np.zeros(tensor.shape, np.int64)
        return self.values(operator, tensor).astype(np.int64)

    def integer_list(self, operator: TfliteOperator, position: int, length: int | None = None) -> list[int]:
        """Return known integers as a flat list of `length`."""
        values = self.integers(operator, position).reshape(-1)
        if values.size > LONGEST_FOLDED or (length is not None and values.size != length):
            refuse(operator, f"input {position} must hold {length or 'few'} integers; got {values.size}")
        return [int(value) for value in values]

    def place(self, operator: TfliteOperator | None, tensor: TfliteTensor) -> str:
        """Add the Graph tensor of an activation and return its name."""
        dtype = dtype_of(operator, tensor)
        if tensor.data is not None:
            refuse(operator, f"{label(tensor)} is written, but a constant")
        if tensor.index in self.placed or tensor.index in self.folded:
            refuse(operator, f"{label(tensor)} gets a value twice")
        if any(axis > 0 for axis in tensor.dynamic):
            refuse(operator, f"{label(tensor)} leaves extents open; export the model with fixed shapes")
        if 0 in tensor.shape:
            refuse(operator, f"{label(tensor)} is empty: {list(tensor.shape)}")
        name = self.names[tensor.index]
        self.tensors[name] = Tensor(
            name,
            self.shape(tensor),
            dtype,
            quantization_of_tensor(operator, tensor),
            None,
            tensor.type == "UINT8",
        )
        self.placed[tensor.index] = name
        return name

    def unique(self, name: str) -> str:
        """Return `name`, or a variant of it that no tensor has, and reserve it."""
        candidate, count = name, 1
        while candidate in self.taken:
            count += 1
            candidate = f"{name}_{count}"
        self.taken.add(candidate)
        return candidate

    def temporary(
        self, name: str, shape: tuple[int, ...], like: str, quantization: Quantization | None = None
    ) -> str:
        """Add an activation that the file does not have, quantized as `like`."""
        source = self.tensors[like]
        name = self.unique(name)
        self.tensors[name] = Tensor(
            name, shape, source.dtype, quantization or source.quantization, None, source.unsigned
        )
        return name

    def add_constant(
        self, name: str, data: NDArray[Any], quantization: Quantization, unsigned: bool = False
    ) -> str:
        """Add a constant and return its name."""
        name = self.unique(name)
        data = np.ascontiguousarray(data).reshape(data.shape)  # which it makes [1] of a scalar
        self.tensors[name] = Tensor(name, data.shape, str(data.dtype), quantization, data, unsigned)
        return name

    def add_node(self, op: str, inputs: Sequence[str], output: str, attributes: Mapping[str, Any]) -> None:
        """Append a node that is called after its output."""
        name, count = output, 1
        while name in self.node_names:
            count += 1
            name = f"{output}_{count}"
        self.node_names.add(name)
        self.nodes.append(Node(name, op, tuple(inputs), output, dict(attributes)))

    def emit(
        self,
        operator: TfliteOperator,
        op: str,
        inputs: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
        output: TfliteTensor | None = None,
    ) -> str:
        """Append a node that writes a tensor of the file: the operator's only output, or `output`."""
        name = self.place(operator, output or self.output(operator))
        self.add_node(op, inputs, name, attributes or {})
        return name

    def reshaped(self, name: str, shape: tuple[int, ...], like: str) -> str:
        """Return `like` in another shape: itself, or a new activation made by a reshape node."""
        source = self.tensors[like]
        if source.shape == shape:
            return like
        if math.prod(source.shape) != math.prod(shape):
            raise ModelFileError(
                f"tensor {like} of shape {list(source.shape)} cannot become {list(shape)}; "
                f"export the model again"
            )
        result = self.temporary(name, shape, like)
        self.add_node("reshape", (like,), result, {})
        return result


def unique_names(tensors: Sequence[TfliteTensor]) -> tuple[str, ...]:
    """Return one name a tensor: the file's own, with #index after it where the name was seen before."""
    names: list[str] = []
    taken: set[str] = set()
    for tensor in tensors:
        name = tensor.name
        if name in taken:
            name = f"{name}#{tensor.index}"
            while name in taken:
                name += "#"
        taken.add(name)
        names.append(name)
    return tuple(names)
