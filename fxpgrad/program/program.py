"""The Program: integers only, one object with many readers.

The executor, the planner, the accumulator prover, the trainer, the file format and (later) the C
emitter all read this one object, so that what is proved, trained, saved and exported is the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An activation: `shape` leaves the batch axis out.

    dtype: int8, int16 or int32. `scale` is a label for people, losses and real-valued input and output:
    execution never reads it. unsigned: outside the Program this int8 tensor is uint8, value + 128 (and
    zero_point + 128): the same bits but for the highest.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    zero_point: int = 0
    scale: float = 1.0
    unsigned: bool = False

    @property
    def outer_dtype(self) -> str:
        """The type that users of the Program see: uint8 for an unsigned tensor."""
        return "uint8" if self.unsigned else self.dtype

    @property
    def elements(self) -> int:
        """Number of values of one sample."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return self.elements * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A constant array.

    Weights and biases carry `scale`: float64 [channels], one for each entry of `axis` (the first axis,
    but the last one of depthwise filters), a label that execution never reads.
    """

    name: str
    data: NDArray[Any]
    scale: NDArray[np.float64] | None = None
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One kernel call: tensors and constants by name, integer parameters by name.

    inputs: the kernel's inputs, then the variables that it rewrites in place (arguments of role "state").
    """

    name: str
    kernel: str
    inputs: tuple[str, ...]
    constants: Mapping[str, str]
    output: str
    parameters: Mapping[str, int]

    @property
    def spec(self) -> KernelSpec:
        """The kernel's registered description."""
        return kernel_named(self.kernel)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Tensors, constants and an ordered list of kernel calls.

    variables: tensors that keep their value from one row to the next, with the integer that fills them
    at the start; a Program that has some is stateful.
    """

    name: str
    profile: str
    tensors: Mapping[str, TensorInfo]
    constants: Mapping[str, Constant]
    calls: tuple[Call, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, int] = field(default_factory=dict)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(constant.data.nbytes for constant in self.constants.values())

    def with_constants(self, replacements: Mapping[str, NDArray[Any]]) -> Program:
        """Return the same Program with other values in some constants (same shape and dtype)."""
        constants = dict(self.constants)
        for name, data in replacements.items():
            old = constants[name]
            if data.shape != old.data.shape or data.dtype != old.data.dtype:
                raise InputError(
                    f"constant {name} must stay {old.data.dtype} {old.data.shape}; "
                    f"got {data.dtype} {data.shape}"
                )
            constants[name] = dataclasses.replace(old, data=np.ascontiguousarray(data))
        return dataclasses.replace(self, constants=constants)

    def constants_sha256(self) -> str:
        """Return a digest of every constant's name, type, shape and bytes."""
        return constants_sha256({name: constant.data for name, constant in self.constants.items()})


def constants_sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of named arrays in name order, little-endian: equal on every machine."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        data = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{data.dtype.name}|{data.shape}|".encode())
        digest.update(data.astype(data.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
