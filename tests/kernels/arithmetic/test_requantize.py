"""The requantize kernels against their definition at full width, and mutants against the same comparison."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding
from fxpgrad_kernels.arithmetic.requantize_ref import reduce_multiplier, requantize_ref
from tests.kernels.arithmetic.corpus import (
    Ints,
    assert_requantizes,
    grid,
    kernel_implementation,
    random_cases,
)

ALL_PROFILES = pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
SEEDS = st.integers(0, 2**32 - 1)


@ALL_PROFILES
def test_kernel_equals_definition_on_ties_and_ends_at_every_legal_shift(profile):
    assert_requantizes(kernel_implementation, grid(profile), profile.rounding)


@given(st.sampled_from(list(PROFILES.values())), st.data(), SEEDS)
def test_kernel_equals_definition(profile, data, seed):
    shift = data.draw(st.integers(profile.shift_low, profile.shift_high))
    assert_requantizes(kernel_implementation, random_cases(profile, shift, seed), profile.rounding)


@pytest.mark.parametrize("rounding", [r for r in Rounding if r != Rounding.WIDE_16])
def test_kernel_equals_definition_on_every_8_bit_accumulator_and_multiplier(rounding):
    x, m, s = (a.ravel() for a in np.meshgrid(np.arange(-128, 128), np.arange(64, 128), np.arange(-9, 8)))
    result = kernel_implementation(x, m << 24, s, rounding)
    np.testing.assert_array_equal(result, requantize_ref(x, m << 24, s, rounding))


@given(st.sampled_from(list(PROFILES.values())), st.data(), SEEDS)
def test_requantize_is_monotone(profile, data, seed):
    shift = data.draw(st.integers(profile.shift_low, profile.shift_high))
    x, m, s = random_cases(profile, shift, seed)
    result = kernel_implementation(np.sort(x), np.full_like(m, m[-1]), s, profile.rounding)
    assert (np.diff(result) >= 0).all()


@given(st.integers(-31, 29), st.integers(-128, 127), SEEDS)
def test_zero_point_of_either_parity_moves_a_single_rounding_by_itself(shift, zero_point, seed):
    x, m, s = random_cases(PROFILES["tosa_single"], shift, seed)
    exact = [
        floor(Fraction(int(a) * int(b)) * Fraction(2) ** (shift - 31) + zero_point + Fraction(1, 2))
        for a, b in zip(x, m, strict=True)
    ]
    low, high = -(2**31) + zero_point, 2**31 - 1 + zero_point
    result = kernel_implementation(x, m, s, Rounding.SINGLE) + zero_point
    np.testing.assert_array_equal(result, [min(max(value, low), high) for value in exact])


@given(st.integers(-31, 29), SEEDS)
def test_tosa_double_equals_double_away_where_the_left_shift_does_not_saturate(shift, seed):
    x, m, s = random_cases(PROFILES["tosa_double"], shift, seed)
    x = np.clip(x, -(2 ** (31 - max(shift, 0))), 2 ** (31 - max(shift, 0)) - 1)
    tosa = kernel_implementation(x, m, s, Rounding.TOSA_DOUBLE)
    np.testing.assert_array_equal(tosa, kernel_implementation(x, m, s, Rounding.DOUBLE_AWAY))


# --- mutants: each computes something plausible and wrong, as some runtime or a slip of the pen does


def _floor_half(value: int, power: int) -> int:
    return value if power == 0 else (value + 2 ** (power - 1)) >> power


def _saturated(value: int) -> int:
    return max(-(2**31), min(2**31 - 1, value))


def _high(x: int, m: int) -> int:
    return (x * m + 2**30) >> 31


def ties_towards_zero_in_the_shift(x: int, m: int, s: int) -> int:
    high = _high(_saturated(x << max(s, 0)), m)
    magnitude = (abs(high) + 2 ** max(-s - 1, 0) - 1) >> -s if s < 0 else abs(high)
    return -magnitude if high < 0 else magnitude


def half_added_too_small(x: int, m: int, s: int) -> int:
    return _saturated((x * m + 2 ** (30 - s) - 1) >> (31 - s))


def rounds_once_by_float64(x: int, m: int, s: int) -> int:
    real = float(x) * float(m) * 2.0 ** (s - 31)
    return _saturated(int(np.floor(abs(real) + 0.5) * np.sign(real)))


def rounds_once_half_even_by_float32(x: int, m: int, s: int) -> int:
    real = np.float32(x) * np.float32(m * 2.0 ** (s - 31))
    return _saturated(int(np.rint(np.float64(real))))


def truncates(x: int, m: int, s: int) -> int:
    return _saturated(int(Fraction(x * m) * Fraction(2) ** (s - 31)))


def wraps_instead_of_saturating(x: int, m: int, s: int) -> int:
    shifted = ((x << max(s, 0)) + 2**31) % 2**32 - 2**31
    right = max(-s, 0)
    high = _high(shifted, m)
    return (high + (2**right >> 1) - (high < 0 < right)) >> right


def shift_sign_reversed(x: int, m: int, s: int) -> int:
    return _saturated(_floor_half(x * m, 31 + min(s, 30)))


def multiplier_cut_not_rounded(x: int, m: int, s: int) -> int:
    return _saturated(_floor_half(x * (m >> 16), 15 - s))


def reduced_multiplier_overflows(x: int, m: int, s: int) -> int:
    reduced = (m + 2**15) >> 16
    return _saturated(_floor_half(x * (reduced - 2**16 if reduced > 0x7FFF else reduced), 15 - s))


def accumulator_cut_to_32_bits(x: int, m: int, s: int) -> int:
    return _saturated(_floor_half(_saturated(x) * reduce_multiplier(m), 15 - s))


WIDE_MUTANTS = (multiplier_cut_not_rounded, reduced_multiplier_overflows, accumulator_cut_to_32_bits)
NARROW_MUTANTS = (
    ties_towards_zero_in_the_shift,
    half_added_too_small,
    rounds_once_by_float64,
    rounds_once_half_even_by_float32,
    truncates,
    wraps_instead_of_saturating,
    shift_sign_reversed,
)


def elementwise(scalar):
    """Make an implementation of a scalar mutant."""

    def implementation(x: Ints, m: Ints, s: Ints, _rounding: int) -> Ints:
        return np.array([scalar(int(a), int(b), int(c)) for a, b, c in zip(x, m, s, strict=True)])

    return implementation


@pytest.mark.parametrize("mutant", NARROW_MUTANTS, ids=lambda mutant: mutant.__name__)
@pytest.mark.parametrize("name", ["tflite_double", "tflite_x86_optimized", "tflite_single", "tosa_double"])
def test_comparison_catches_mutant(mutant, name):
    profile = PROFILES[name]
    with pytest.raises(AssertionError):
        assert_requantizes(elementwise(mutant), grid(profile), profile.rounding)


@pytest.mark.parametrize("mutant", WIDE_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_comparison_catches_mutant_of_the_wide_form(mutant):
    profile = PROFILES["tflite_16x8"]
    with pytest.raises(AssertionError):
        assert_requantizes(elementwise(mutant), grid(profile), profile.rounding)


@pytest.mark.parametrize("asked", [r for r in Rounding if r != Rounding.WIDE_16])
@pytest.mark.parametrize("served", [r for r in Rounding if r != Rounding.WIDE_16])
def test_comparison_tells_the_roundings_apart(asked, served):
    def implementation(x: Ints, m: Ints, s: Ints, _rounding: int) -> Ints:
        return kernel_implementation(x, m, s, served)

    if asked == served:
        assert_requantizes(implementation, grid(PROFILES["tflite_double"]), asked)
    else:
        with pytest.raises(AssertionError):
            assert_requantizes(implementation, grid(PROFILES["tflite_double"]), asked)
