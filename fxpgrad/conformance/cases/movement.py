"""Cases of the operators that only move values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.shape.rearrange import GREATEST_RANK
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec


def nested_strides(rng: Draws, extents: NDArray[Any]) -> NDArray[np.int64]:
    """Return steps, in any order of axes and with gaps, for which no two indices meet."""
    order = np.arange(extents.size)[::-1]
    if rng.random() < 0.5:
        order = rng.permutation(extents.size)
    strides, reach = np.zeros(extents.size, np.int64), 0
    for axis in order:
        strides[axis] = reach + 1 + (rng.integers(0, 3) if rng.random() < 0.3 else 0)
        reach += int((extents[axis] - 1) * strides[axis])
    return strides


def strided_case(spec: KernelSpec, rng: Draws, *, invertible: bool = False) -> Case:
    """Return a box of any rank with gaps and, unless it must be invertible, reversals and repeats."""
    rank = int(rng.integers(1, GREATEST_RANK + 1))
    extents = rng.integers(1, 5 if rank < 5 else 3, rank)
    if rng.random() < 0.3:
        extents[:-1], extents[-1] = 1, rng.integers(1, 90)  # vector loops and their remainders
    input_strides, output_strides = nested_strides(rng, extents), nested_strides(rng, extents)
    if not invertible and rng.random() < 0.6:
        input_strides = rng.integers(-4, 5, rank)
    spans = (extents - 1) * input_strides
    lowest, highest = int(np.minimum(spans, 0).sum()), int(np.maximum(spans, 0).sum())
    slack = [int(n) for n in rng.integers(0, 3, 4)] if rng.random() < 0.6 else [0, 0, 0, 0]
    input_elements = highest - lowest + 1 + slack[0] + slack[1]
    output_elements = int(((extents - 1) * output_strides).sum()) + 1 + slack[2] + slack[3]
    samples = int(rng.integers(1, 4))
    dtype = spec.arguments[0].dtype
    low, high = INT_RANGES[dtype]
    return {
        "input": integers(rng, (samples * input_elements,), dtype),
        "extents": extents.astype(np.int32),
        "input_strides": input_strides.astype(np.int32),
        "output_strides": output_strides.astype(np.int32),
        "input_elements": input_elements,
        "output_elements": output_elements,
        "input_offset": slack[0] - lowest,
        "output_offset": slack[2],
        "fill": int(rng.choice([0, 1, -1, low, high])),
        "output_shape": (samples * output_elements,),
    }


def rearrange_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return any box, with gaps, reversals and repeats."""
    return strided_case(spec, rng)


def gather_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values and the entries of their middle axis that are taken."""
    outer, extent, inner, count = (int(n) for n in rng.integers(1, (5, 7, 6, 9)))
    if rng.random() < 0.4:
        inner = int(rng.choice([1, 1, 33]))
    return {
        "input": integers(rng, (outer * extent * inner,), spec.arguments[0].dtype),
        "indices": rng.integers(0, extent, count).astype(np.int32),
        "extent": extent,
        "inner": inner,
        "output_shape": (outer * count * inner,),
    }


def block_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a block, the output before the call, and where the block goes."""
    rows, width, left, right = (int(n) for n in rng.integers((1, 1, 0, 0), (5, 40, 4, 4)))
    dtype = spec.arguments[0].dtype
    before = integers(rng, (rows * (left + width + right),), dtype)
    return {
        "input": integers(rng, (rows * width,), dtype),
        "input_row": width,
        "output_row": left + width + right,
        "column": left,
        "before": before,
        "output_shape": before.shape,
    }


def constant_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a value and the number of samples that get it."""
    value = integers(rng, (int(rng.integers(1, 40)),), spec.arguments[0].dtype)
    samples = int(rng.integers(1, 5))
    return {"value": value, "samples": samples, "output_shape": (samples * value.size,)}
