"""The definitions of the operators that move elements by index."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray


def rearrange_ref(
    input: NDArray[np.signedinteger],
    extents: NDArray[np.int32],
    input_strides: NDArray[np.int32],
    output_strides: NDArray[np.int32],
    input_elements: int,
    output_elements: int,
    input_offset: int,
    output_offset: int,
    fill: int,
) -> NDArray[np.signedinteger]:
    """Define `rearrange_a8`, `rearrange_a16` and `rearrange_a32`, one index at a time."""
    samples = input.reshape(-1, input_elements)
    output = np.full((len(samples), output_elements), fill, input.dtype)
    for index in itertools.product(*(range(extent) for extent in extents.tolist())):
        source = input_offset + sum(i * s for i, s in zip(index, input_strides.tolist(), strict=True))
        target = output_offset + sum(i * s for i, s in zip(index, output_strides.tolist(), strict=True))
        if not (0 <= source < input_elements and 0 <= target < output_elements):
            raise IndexError(f"index {index} leaves its sample: from {source} to {target}")
        output[:, target] = samples[:, source]
    return output.reshape(-1)


def gather_ref(
    input: NDArray[np.signedinteger], indices: NDArray[np.int32], extent: int, inner: int
) -> NDArray[np.signedinteger]:
    """Define `gather_a8`, `gather_a16` and `gather_a32`."""
    blocks = input.reshape(-1, extent, inner)
    return np.concatenate([block[index] for block in blocks for index in indices.tolist()])
