"""What an import of an ONNX model gives: the Graph, and where the model's values are in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.onnx_model import Array, OnnxModel
from fxpgrad.importers.onnx_values import Order


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where an ONNX value is in the Graph.

    tensor: its name; order: axis k of the tensor holds the ONNX axis order[k], both without the batch;
    dtype: of the integers in the file, also "uint8"; batched: whether the ONNX value has the batch in
    front; scale, zero_point: what the integers mean, as the file has them.
    """

    tensor: str
    order: Order
    dtype: str
    batched: bool
    scale: float = 1.0
    zero_point: int = 0

    def quantize(self, real: ArrayLike) -> Array:
        """Return what ONNX's QuantizeLinear makes of real numbers: float32 quotient, half to even."""
        limits = np.iinfo(self.dtype)
        values = np.asarray(real, np.float32)
        if np.isnan(values).any():
            raise InputError(f"values for {self.tensor} hold NaN; clean the data first")
        with np.errstate(over="ignore"):
            steps = np.rint(values / np.float32(self.scale)).astype(np.float64)
        return np.asarray(np.clip(steps + self.zero_point, limits.min, limits.max), self.dtype)

    def dequantize(self, integers: ArrayLike) -> Array:
        """Return what ONNX's DequantizeLinear makes of integers: float32."""
        centred = np.asarray(integers).astype(np.int64) - self.zero_point
        return np.asarray(centred.astype(np.float32) * np.float32(self.scale))

    def to_graph(self, array: ArrayLike) -> Array:
        """Return an ONNX array [B, ...] with its axes as the Graph has them."""
        given = np.asarray(array)
        first = int(self.batched)
        if given.ndim != len(self.order) + first:
            raise InputError(f"{self.tensor} has {len(self.order) + first} axes in ONNX; got {given.ndim}")
        moved = given if self.batched else given[None]
        moved = moved.transpose(0, *(axis + 1 for axis in self.order))
        return np.ascontiguousarray(moved)

    def from_graph(self, array: ArrayLike) -> Array:
        """Return a tensor of the Graph [B, ...] with its axes as ONNX has them."""
        given = np.asarray(array)
        back = np.argsort(self.order).tolist() if self.order else []
        moved = given.transpose(0, *(axis + 1 for axis in back))
        return np.ascontiguousarray(moved if self.batched else moved[0])


@dataclass(frozen=True, slots=True, eq=False)
class ImportedOnnx:
    """A Graph and where the ONNX model's values are in it.

    values: by ONNX name, all that have a tensor; inputs, outputs: the model's own names, in order;
    notes: what a user should know about the results.
    """

    graph: Graph
    model: OnnxModel
    values: Mapping[str, Location]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]

    def arrange(self, data: ArrayLike | Mapping[str, ArrayLike]) -> Array | dict[str, Array]:
        """Return model inputs as the Graph wants them: images [B, C, H, W] become [B, H, W, C].

        One array for a model of one input, else a mapping by the model's input names; then the result
        is one by the Graph's names.
        """
        if not isinstance(data, Mapping):
            if len(self.inputs) != 1:
                raise InputError(f"the model has the inputs {list(self.inputs)}; pass a mapping by name")
            return self.values[self.inputs[0]].to_graph(data)
        if set(data) != set(self.inputs):
            raise InputError(f"data must hold the inputs {list(self.inputs)}; got {sorted(data)}")
        return {self.values[name].tensor: self.values[name].to_graph(array) for name, array in data.items()}
