"""Cases of sums, products, selections and slopes of two activations."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import (
    Case,
    clamp_bounds,
    integers,
    joined,
    requantization,
    zero_points,
)
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding
from fxpgrad_kernels.spec import KernelSpec


def width(spec: KernelSpec) -> int:
    """Return the bits of the first operand."""
    return int(np.iinfo(spec.arguments[0].dtype).bits)


def points(rng: Draws, bits: int, *names: str) -> dict[str, int]:
    """Return zero points: 0 for 16 bits."""
    drawn = zero_points(rng, *names)
    return drawn if bits == 8 else dict.fromkeys(drawn, 0)


def add_case(rng: Draws, profile: Profile) -> Case:
    """Return operands with three pairs: those of real scales, or any legal ones."""
    n = int(rng.integers(1, 40))
    left_shift = int(rng.integers(0, 23)) if rng.random() < 0.2 else 20
    operands = requantization(rng, profile, 2, 2.0 ** (8 + left_shift), 2.0 ** (7 + left_shift))
    result = requantization(rng, profile, 1, 2.0 ** (8 + left_shift))
    if rng.random() < 0.3:  # exact halves of equal scales: ties of the output's rounding
        operands["multiplier"][:] = 2**30
        operands["shift"][:] = 0
        result["multiplier"][:] = 2**30
        result["shift"][:] = max(-left_shift, profile.shift_low) + int(rng.integers(0, 3))
    return {
        "input_a": integers(rng, (n,), "int8"),
        "input_b": integers(rng, (n,), "int8"),
        **joined(operands, result),
        **zero_points(rng, "input_a", "input_b", "output"),
        "left_shift": left_shift,
        **clamp_bounds(rng),
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def add_case_16(rng: Draws, profile: Profile) -> Case:
    """Return int16 operands with three pairs."""
    n, left_shift = int(rng.integers(1, 40)), int(rng.integers(0, 16)) if rng.random() < 0.2 else 15
    operands = requantization(rng, profile, 2, 2.0 ** (16 + left_shift), 2.0 ** (15 + left_shift))
    result = requantization(rng, profile, 1, 2.0 ** (16 + left_shift), 30_000.0)
    return {
        "input_a": integers(rng, (n,), "int16"),
        "input_b": integers(rng, (n,), "int16"),
        **joined(operands, result),
        "left_shift": left_shift,
        **clamp_bounds(rng, 16),
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def sum_of_two_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of a sum or difference; operands that round in another way where the kernel can."""
    case = (add_case if width(spec) == 8 else add_case_16)(rng, profile)
    if "mixed" in spec.name:
        case["operand_rounding"] = int(rng.choice([int(profile.rounding), int(Rounding.SINGLE)]))
    return case


def multiply_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return two operands and one pair."""
    bits = width(spec)
    n = int(rng.integers(1, 40))
    operands = {name: integers(rng, (n,), f"int{bits}") for name in ("input_a", "input_b")}
    if rng.random() < 0.1:
        n = 600
        operands = {name: np.resize(values, n) for name, values in operands.items()}
    return {
        **operands,
        **requantization(rng, profile, 1, 2.0 ** (2 * bits - 2), 2.0 ** (bits - 1)),
        **points(rng, bits, "input_a", "input_b", "output"),
        **clamp_bounds(rng, bits),
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def squared_difference_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return two operands and three pairs."""
    case = multiply_case(spec, rng, profile)
    bits = width(spec)
    left = int(rng.integers(0, 16)) if rng.random() < 0.2 else (7 if bits == 8 else 0)
    pairs = requantization(rng, profile, 2, 2.0 ** (bits + left), 2.0 ** (bits - 1 + left))
    result = requantization(rng, profile, 1, 2.0 ** (2 * (bits - 1 + left)), 2.0 ** (bits - 1))
    return {
        **{key: value for key, value in case.items() if not key.startswith("clamp")},
        **joined(pairs, result),
        "left_shift": left,
    }


def prelu_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return values, slopes, and a pair for each side of 0."""
    bits, n = width(spec), int(rng.integers(1, 60))
    first = requantization(rng, profile, 1, 2.0 ** (bits - 1), 2.0 ** (bits - 1))
    second = requantization(rng, profile, 1, 2.0 ** (bits + 6), 2.0 ** (bits - 1))
    return {
        "input": integers(rng, (n,), f"int{bits}"),
        "slope": integers(rng, (n,), "int8"),
        **joined(first, second),
        **zero_points(rng, "input", "slope", "output"),
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def selection_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return the operands of a maximum or minimum, or the input of a reshape."""
    n = int(rng.integers(1, 60))
    return {
        **{a.name: integers(rng, (n,), a.dtype) for a in spec.of_role("input")},
        "output_shape": (n,),
    }
