"""Cases of functions that are read off a table."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case, integers
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec


def lookup_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values and any table of int8."""
    n = int(rng.integers(1, 100))
    table = integers(rng, (256,), "int8")
    return {"input": integers(rng, (n,), "int8"), "table": table, "output_shape": (n,)}


def lookup_pair_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return pairs of values and any table of both."""
    n = int(rng.integers(1, 60))
    return {
        "input_a": integers(rng, (n,), "int8"),
        "input_b": integers(rng, (n,), "int8"),
        "table": integers(rng, (65536,), "int8"),
        "output_shape": (n,),
    }


def sigmoid_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values and a rising table, one of its two ends, or any."""
    n = int(rng.integers(1, 60))
    table, kind = rng.integers(2**15, 2**16, 256), rng.integers(3)
    if kind == 0:
        table = np.sort(table)
    elif kind == 2:
        table = np.where(table % 2, 2**16 - 1, 2**15)
    return {
        "input": integers(rng, (n,), "int16"),
        "table": table.astype(np.int32),
        "input_multiplier": int(rng.choice([0, 1, 3, 6, 2**15 - 1, rng.integers(2**14, 2**15)])),
        "input_shift": int(rng.choice([0, 1, 31, rng.integers(0, 32)])),
        "output_shape": (n,),
    }
