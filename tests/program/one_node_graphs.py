"""Quantized Graphs of one node, written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor

Shape = tuple[int, ...]


def quantization(zero_point: int = 0, scale: float = 0.5) -> Quantization:
    return Quantization(np.array([scale]), np.array([zero_point], np.int64))


def one_node_graph(
    op: str,
    inputs: tuple[Shape, ...],
    output: Shape,
    attributes: Mapping[str, Any] | None = None,
    dtype: str = "int8",
    constants: Mapping[str, NDArray[Any]] | None = None,
    zero_point: int = 0,
) -> Graph:
    """Return the Graph of a node "y" with inputs "x0", "x1", ...; an assign writes the variable "y"."""
    names = tuple(f"x{i}" for i in range(max(len(inputs), 1)))
    shapes = inputs or ((1,),)  # a Graph has an input, even where its node reads none
    tensors = {
        name: Tensor(name, shape, dtype, quantization(zero_point))
        for name, shape in zip(names, shapes, strict=True)
    }
    tensors["y"] = Tensor("y", output, dtype, quantization(zero_point))
    for role, array in (constants or {}).items():
        tensors[role] = Tensor(role, array.shape, array.dtype.name, quantization(zero_point), array)
    node = Node("y", op, (*names[: len(inputs)], *(constants or {})), "y", attributes or {})
    variables = ("y",) if op == "assign" else ()
    return Graph(op, tensors, (node,), names, ("y",), variables)
