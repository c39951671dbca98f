"""A .tflite file as plain data, and the limits that hold for every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Bounds of what is read, whatever a file claims.
LARGEST_TOTAL = 2**31  # bytes of all tensors of the model together
MOST_TENSORS = 4096
MOST_OPERATORS = 4096
MOST_EDGES = 65_536  # inputs and outputs of all operators together
MOST_SUBGRAPHS = 64
HIGHEST_RANK = 8
LONGEST_NAME = 65_536

# type name -> bits of one element; strings, resources and variants have no elements of fixed size
BITS: dict[str, int] = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "INT32": 32,
    "UINT8": 8,
    "INT64": 64,
    "BOOL": 8,
    "INT16": 16,
    "COMPLEX64": 64,
    "INT8": 8,
    "FLOAT64": 64,
    "COMPLEX128": 128,
    "UINT64": 64,
    "UINT32": 32,
    "UINT16": 16,
    "INT4": 4,
    "BFLOAT16": 16,
}


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """One entry of a subgraph's list of tensors.

    shape: extents as stored, each >= 0; dynamic: places whose extent the file leaves open (-1);
    type: the schema's name of the element type; scales float64, zero_points int64, both [n] or empty;
    data: the raw bytes (uint8 [n]) of a constant, None for everything else; is_sparse: whether these
    bytes are in a compressed form.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dynamic: tuple[int, ...]
    type: str
    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    quantized_dimension: int
    data: NDArray[np.uint8] | None
    is_variable: bool
    is_sparse: bool

    @property
    def elements(self) -> int:
        """The number of elements, exactly."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


@dataclass(frozen=True, slots=True, eq=False)
class TfliteOperator:
    """One operator; inputs and outputs are tensor indices, -1 for an optional input that is left out.

    name: the schema's name (CONV_2D), or "CUSTOM name"; options: fields of the options table in
    snake case, with the schema's defaults; empty for an operator that the importer does not know.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float | bool | str | tuple[int, ...] | None]
    intermediates: tuple[int, ...]

    @property
    def label(self) -> str:
        """How messages call the operator."""
        return f"operator {self.index} ({self.name})"


@dataclass(frozen=True, slots=True, eq=False)
class TfliteSubgraph:
    """One subgraph: tensors, operators in order, indices of its inputs and outputs."""

    name: str
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteModel:
    """A whole file; subgraph 0 is the network, the others are called by operators."""

    description: str
    subgraphs: tuple[TfliteSubgraph, ...]
    file_bytes: int
