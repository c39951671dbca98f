"""Cases of softmax, log-softmax and L2 normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers, zero_point
from fxpgrad.program.lowering.softmax_parameters import (
    exponent_pair,
    reverse_pair,
    softmax_tables,
    table_pair,
)
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding
from fxpgrad_kernels.spec import KernelSpec


def _row(rng: Draws, depth: int, dtype: str) -> NDArray[Any]:
    info, kind = np.iinfo(dtype), rng.integers(4)
    values = rng.integers(info.min, info.max + 1, depth)
    if kind == 1:
        values = np.full(depth, values[0])
    elif kind == 2:
        values = rng.integers(-4, 5, depth) + rng.integers(info.min + 4, info.max - 4)
    elif kind == 3:
        values = np.where(rng.random(depth) < 1 / depth, info.max, info.min)
    row: NDArray[Any] = values.astype(dtype)
    return row


def rows(rng: Draws, count: int, depth: int, dtype: str) -> NDArray[Any]:
    """Return spread, equal and near values, and rows with a peak."""
    return np.stack([_row(rng, depth, dtype) for _ in range(count)])


def drawn_scale(rng: Draws, low: int, high: int) -> float:
    """Return a scale between 2**low and 2**high."""
    return float(2.0 ** int(rng.integers(low, high)) * (1 + int(rng.integers(256)) / 256))


def softmax_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return rows with the integers of a real scale and beta."""
    depth, count = int(rng.choice([1, 2, 3, 10, 70, 600])), int(rng.integers(1, 3))
    values = rows(rng, count, depth, spec.arguments[0].dtype)
    scale, beta = drawn_scale(rng, -10, 4), float(rng.choice([1.0, 0.5, int(rng.integers(1, 41)) / 10]))
    if spec.name == "softmax_a16":
        multiplier, shift = table_pair(min(scale / 64, 1.0), beta)
        exp_table, reciprocal_table = softmax_tables()
        numbers: dict[str, Any] = {"multiplier": multiplier, "shift": shift}
        numbers |= {"exp_table": exp_table, "reciprocal_table": reciprocal_table}
    else:
        once = profile.element_rounding == Rounding.SINGLE
        pair = exponent_pair(scale, beta, single_rounding=once)
        numbers = dict(pair.parameters())
        if spec.name == "log_softmax_a8":
            numbers["reverse_multiplier"], numbers["reverse_shift"] = reverse_pair(pair)
            numbers["rounding"] = int(profile.rounding)
    return {"input": values.ravel(), "depth": depth, **numbers, "output_shape": (values.size,)}


def normalization_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return rows of one length."""
    depth, count = int(rng.choice([1, 2, 3, 17, 300])), int(rng.integers(1, 4))
    values = integers(rng, (depth * count,), "int8")
    return {
        **{"input": values, "depth": depth, "output_shape": values.shape},
        **{"input_zero_point": zero_point(rng), "rounding": int(profile.rounding)},
    }
