"""What an ONNX value is while a model becomes a Graph: a constant, or a tensor with an order of axes.

ONNX images are [C, H, W] after the batch, a Graph's are [H, W, C]. `order` says so for each activation:
axis k of the Graph's tensor holds the ONNX axis order[k]. Axes are counted without the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.onnx_model import Array

Order = tuple[int, ...]
Shape = tuple[int, ...]

# Stands for the number of rows in constants that are computed from shapes; never a real extent.
BATCH = -(2**40) - 7


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a tensor holds: dtype of the Graph, quantization (None for float32), uint8 in the file or not."""

    dtype: str
    quantization: Quantization | None = None
    unsigned: bool = False

    def same(self, other: Kind) -> bool:
        """Whether both hold the same real numbers in the same integers."""
        if self.quantization is None or other.quantization is None:
            return self.quantization is other.quantization and self.dtype == other.dtype
        return (
            (self.dtype, self.unsigned) == (other.dtype, other.unsigned)
            and np.array_equal(self.quantization.scale, other.quantization.scale)
            and np.array_equal(self.quantization.zero_point, other.quantization.zero_point)
        )

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantization."""
        assert self.quantization is not None
        return float(self.quantization.scale[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantization."""
        assert self.quantization is not None
        return int(self.quantization.zero_point[0])


FLOAT = Kind("float32")


@dataclass(frozen=True, slots=True, eq=False)
class FileQuantization:
    """scale (float32) and zero_point as the file has them, scalars or one for each entry of `axis`."""

    scale: Array
    zero_point: Array
    axis: int | None


@dataclass(frozen=True, slots=True, eq=False)
class ConstantValue:
    """A constant in ONNX's own axes; with `quantization` it is the dequantized value of the integers."""

    array: Array
    quantization: FileQuantization | None = None

    def real(self) -> Array:
        """Return the values as ONNX sees them: dequantized if they are quantized."""
        if self.quantization is None:
            return self.array
        scale, zero = (
            per_axis(item, self.quantization.axis, self.array.ndim)
            for item in (self.quantization.scale, self.quantization.zero_point)
        )
        centred = self.array.astype(np.int64) - zero.astype(np.int64)
        result: Array = (centred.astype(np.float32) * scale.astype(np.float32)).astype(np.float32)
        return result


@dataclass(frozen=True, slots=True)
class ActivationValue:
    """A tensor of the Graph. real: ONNX sees a float here (the dequantized tensor, in a quantized model)."""

    tensor: str
    order: Order
    real: bool

    def position(self, axis: int) -> int:
        """Return which axis of the tensor holds the ONNX axis `axis`."""
        return self.order.index(axis)


Value = ConstantValue | ActivationValue


def per_axis(item: Array, axis: int | None, rank: int) -> Array:
    """Return `item` shaped so that it broadcasts along `axis` of an array of `rank` axes."""
    if axis is None or item.size == 1:
        return item.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return item.reshape(shape)


def identity(rank: int) -> Order:
    """Return the order in which nothing moves."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """Return the order [..., H, W, C] of ONNX axes [..., C, H, W]; also [..., W, C] for rank 2."""
    spatial = min(rank - 1, 2)
    first = rank - spatial - 1
    return (*range(first), *range(first + 1, rank), first)


def onnx_shape(shape: Shape, order: Order) -> Shape:
    """Return the shape in ONNX's axes of a tensor whose Graph shape is `shape`."""
    result = [0] * len(order)
    for extent, axis in zip(shape, order, strict=True):
        result[axis] = extent
    return tuple(result)


def moves_nothing(shape: Shape, permutation: Order) -> bool:
    """Whether a transpose of `shape` by `permutation` leaves the values where they are in memory."""
    kept = [axis for axis in permutation if shape[axis] != 1]
    return kept == sorted(kept)


def elements(shape: Shape) -> int:
    """Return the number of elements, exactly."""
    return math.prod(shape)
