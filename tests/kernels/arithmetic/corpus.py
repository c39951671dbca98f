"""Accumulators, multipliers and shifts on which wrong roundings show: ties, range ends, beyond 2**24."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding
from fxpgrad_kernels.arithmetic.requantize import requantize_array
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref

Ints = NDArray[np.int64]
Implementation = Callable[[Ints, Ints, Ints, int], Ints]

MULTIPLIERS = (0, 2**30, 2**30 + 1, 3 * 2**29, 2**31 - 2, 2**31 - 1, 0x7FFEFFFF, 0x7FFF0000, 1_518_500_250)


def ends(profile: Profile) -> list[int]:
    """Return both ends of the accumulator's range and their neighbours."""
    top = 2 ** (profile.exact_bits - 1)
    return [-top, -top + 1, top - 2, top - 1]


def tie_accumulators(multiplier: int, shift: int, profile: Profile) -> list[int]:
    """Return accumulators whose exact product ends in one half, of both signs, odd and even results."""
    if multiplier == 0:
        return []
    trailing = (multiplier & -multiplier).bit_length() - 1
    power = 30 - shift - trailing
    if not 0 <= power <= profile.exact_bits - 5:
        return []
    return [sign * odd << power for odd in (1, 3, 5, 7) for sign in (1, -1)]


def grid(profile: Profile) -> tuple[Ints, Ints, Ints]:
    """Return flat accumulators, multipliers and shifts: every legal shift with every planted value."""
    plain = [0, 1, -1, 2, -2, 3, -3, 127, -128, 2**24 - 1, 2**24 + 1, -(2**24) - 1, 2**30, -(2**30)]
    plain += ends(profile)
    rows = [
        (x, m, s)
        for s in range(profile.shift_low, profile.shift_high + 1)
        for m in MULTIPLIERS
        for x in plain + tie_accumulators(m, s, profile)
    ]
    x, m, s = np.array(rows, np.int64).T
    return x, m, s


def random_cases(profile: Profile, shift: int, seed: int, size: int = 48) -> tuple[Ints, Ints, Ints]:
    """Return `size` random cases at one shift, with ends and exact ties planted among them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(1, profile.exact_bits, size)
    x = rng.integers(-(2**bits), 2**bits)
    m = rng.integers(2**30, 2**31, size)
    m[:8] = rng.choice(np.array(MULTIPLIERS), 8)
    m[8:16] = rng.integers(2**3, 2**4, 8) << 27  # few significant bits: ties exist
    x[:4] = ends(profile)
    for i in range(4, 16):
        ties = tie_accumulators(int(m[i]), shift, profile)
        if ties:
            x[i] = ties[rng.integers(len(ties))]
    return x, m, np.full(size, shift, np.int64)


def kernel_implementation(x: Ints, m: Ints, s: Ints, rounding: int) -> Ints:
    """Run the kernel under test."""
    output = np.empty(x.size, np.int32)
    accumulator = x if rounding == Rounding.WIDE_16 else x.astype(np.int32)
    requantize_array(accumulator, m.astype(np.int32), s.astype(np.int32), output, int(rounding))
    return output.astype(np.int64)


def assert_requantizes(implementation: Implementation, cases: tuple[Ints, Ints, Ints], rounding: int) -> None:
    """Compare an implementation with the definition: equality, nothing else."""
    result: Any = implementation(*cases, rounding)
    np.testing.assert_array_equal(result, requantize_ref(*cases, rounding))
