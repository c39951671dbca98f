"""The Graph: a network with real scales, before any rounding profile is chosen.

A Graph is *float* (no tensor carries a quantization) or *quantized* (every tensor does).
Activations are NHWC and their shapes leave the batch axis out; filters are OHWI, depthwise
filters 1HWC, dense weights [out, in].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError
from fxpgrad.graph.operators.table import OPERATORS


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """real = scale * (q - zero_point).

    scale: float64 [1] or [channels]; zero_point: int64 of the same shape; axis: the channel axis,
    or None for one pair for the whole tensor.
    """

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    axis: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named array; `data` is set for constants only.

    dtype: float32, int8, int16, int32 or int64. unsigned: the model's own file holds uint8, value + 128;
    here such a tensor is int8 and its zero point is 128 less, which are the same real numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: NDArray[np.generic] | None = None
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One operator: activations first in `inputs`, then constants in the operator's order.

    Attributes hold ints, floats, strings or tuples of ints; `OPERATORS` says which for each op.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, int | float | str | tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A directed acyclic network: nodes in executable order.

    variables: activations that keep their value from one row to the next; they start as their zero point.
    A node may read them at any time, `assign` writes one and `svdf` rewrites one in place.
    """

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    variables: tuple[str, ...] = ()

    def activations_of(self, node: Node) -> tuple[str, ...]:
        """Return the names of the node's non-constant inputs."""
        return tuple(name for name in node.inputs if self.tensors[name].data is None)

    def constants_of(self, node: Node) -> dict[str, Tensor]:
        """Return the node's constants by their role in the operator (weights, bias, ...)."""
        roles = OPERATORS[node.op].constants
        names = [name for name in node.inputs if self.tensors[name].data is not None]
        if len(names) != len(roles):
            raise GraphError(f"node {node.name} ({node.op}) needs constants {roles}, has {tuple(names)}")
        return {role: self.tensors[name] for role, name in zip(roles, names, strict=True)}

    @property
    def is_quantized(self) -> bool:
        """Whether every tensor carries a quantization."""
        return all(tensor.quantization is not None for tensor in self.tensors.values())
