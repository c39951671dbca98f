"""Two dumps of the same tensors, compared value by value in the order of the layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError

Status = Literal["equal", "different", "dtype differs", "shape differs", "missing in A", "missing in B"]


@dataclass(frozen=True, slots=True)
class Place:
    """One value that differs: its index, the first axis being the sample, and both values."""

    index: tuple[int, ...]
    a: int | float
    b: int | float


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """How one tensor of A compares with the tensor of the same name of B.

    Attributes
    ----------
    name : str
        The tensor's name.
    status : str
        Values are compared only where dtype and shape agree.
    values : int
        Elements that were compared; 0 where the status forbids it.
    differing : int
        Elements that differ. NaN equals NaN.
    largest : int, float or None
        The largest |a - b|: for integers in LSB, exact. None where nothing was compared, or where a NaN or
        infinity is on one side only.
    first : Place or None
        The first element that differs, in C order.
    detail : str
        Both dtypes or shapes, where these differ.
    """

    name: str
    status: Status
    values: int = 0
    differing: int = 0
    largest: int | float | None = None
    first: Place | None = None
    detail: str = ""

    @property
    def equal(self) -> bool:
        """Tell whether the tensor is in both, with the same dtype, shape and values."""
        return self.status == "equal"


def compare_dumps(
    a: Mapping[str, NDArray[Any]], b: Mapping[str, NDArray[Any]]
) -> tuple[TensorDifference, ...]:
    """Compare two mappings from tensor name to values.

    Parameters
    ----------
    a, b
        Arrays of integers, floats or booleans, any shape; for a dump of `fxpgrad run`, [rows, ...shape].

    Returns
    -------
    tuple of TensorDifference
        In the order of `a`, which is the order of execution in a dump; then what only `b` holds.

    Raises
    ------
    InputError
        An array is not numeric.
    """
    for arrays in (a, b):
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise InputError(f"array {name!r} must hold integers, floats or booleans; got {kind}")
    rows = [
        compare_tensors(name, array, b[name]) if name in b else TensorDifference(name, "missing in B")
        for name, array in a.items()
    ]
    rows += [TensorDifference(name, "missing in A") for name in b if name not in a]
    return tuple(rows)


def compare_tensors(name: str, a: NDArray[Any], b: NDArray[Any]) -> TensorDifference:
    """Compare two numeric arrays; see `TensorDifference`."""
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        return TensorDifference(name, "dtype differs", detail=f"{a.dtype} and {b.dtype}")
    if a.shape != b.shape:
        return TensorDifference(name, "shape differs", detail=f"{a.shape} and {b.shape}")
    unequal = a != b
    if a.dtype.kind == "f":
        unequal &= ~(np.isnan(a) & np.isnan(b))
    differing = int(np.count_nonzero(unequal))
    if not differing:
        return TensorDifference(name, "equal", values=a.size, largest=0)
    place = np.unravel_index(int(np.argmax(unequal)), a.shape)
    first = Place(tuple(int(axis) for axis in place), a[place].item(), b[place].item())
    largest = _largest(a[unequal], b[unequal])
    return TensorDifference(name, "different", a.size, differing, largest, first)


def _largest(a: NDArray[Any], b: NDArray[Any]) -> int | float | None:
    if a.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            gap = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())
        return gap if np.isfinite(gap) else None
    # The larger minus the smaller, modulo 2^64: exact for every pair of integers of one type.
    wide = np.uint64 if a.dtype.kind in "bu" else np.int64
    high, low = np.maximum(a, b).astype(wide), np.minimum(a, b).astype(wide)
    return int((high.astype(np.uint64) - low.astype(np.uint64)).max())
