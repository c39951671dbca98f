"""Rounding right shifts and saturation against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad_kernels.arithmetic import saturate as saturation
from fxpgrad_kernels.arithmetic.profiles import ShiftRounding
from fxpgrad_kernels.arithmetic.rounding_shift import rounding_shift as shift_device
from fxpgrad_kernels.arithmetic.rounding_shift import rounding_shift_array
from fxpgrad_kernels.arithmetic.rounding_shift_ref import rounding_shift_ref, saturate, shift_scalar
from tests.kernels.callable_form import callable_form

rounding_shift = callable_form(shift_device)
saturate_int8 = callable_form(saturation.saturate_int8)
saturate_int16 = callable_form(saturation.saturate_int16)
saturate_int32 = callable_form(saturation.saturate_int32)

MODES = list(ShiftRounding)
EVERY_MODE = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
INT64 = st.integers(-(2**63), 2**63 - 1)
AMOUNTS = st.integers(0, 62)


def kernel_implementation(value, amount, mode):
    output = np.empty(value.size, np.int32)
    rounding_shift_array(value, amount.astype(np.int32), output, int(mode))
    return output


def assert_shifts(implementation, value, amount, mode):
    np.testing.assert_array_equal(
        implementation(value, amount, mode), rounding_shift_ref(value, amount, mode)
    )


def small_words():
    value, amount = np.meshgrid(np.arange(-300, 301), np.arange(0, 11))
    return value.ravel(), amount.ravel()


@EVERY_MODE
def test_kernel_equals_definition_on_every_small_word(mode):
    assert_shifts(kernel_implementation, *small_words(), mode)


@given(st.sampled_from(MODES), st.integers(0, 2**32 - 1))
def test_kernel_equals_definition(mode, seed):
    rng = np.random.default_rng(seed)
    amount = rng.integers(0, 63, 40)
    value = rng.integers(-(2**63), 2**63 - 1, 40) >> rng.integers(0, 62, 40)
    odd = 2 * rng.integers(-8, 8, 16) + 1
    amount[:16] = rng.integers(1, 59, 16)
    value[:16] = odd << (amount[:16] - 1)  # exact ties
    value[16:20] = -(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1
    assert_shifts(kernel_implementation, value, amount, mode)


@given(INT64, AMOUNTS, st.sampled_from(MODES))
def test_shift_does_not_overflow_anywhere_in_int64(value, amount, mode):
    assert rounding_shift(value, amount, int(mode)) == shift_scalar(value, amount, mode)


@given(INT64, AMOUNTS)
def test_definition_says_what_its_names_say(value, amount):
    exact = Fraction(value, 2**amount)
    floor, truncated, up, away = (shift_scalar(value, amount, mode) for mode in MODES)
    assert floor == value // 2**amount
    assert truncated == math.trunc(exact)
    assert abs(up - exact) <= Fraction(1, 2)
    assert up - exact > Fraction(-1, 2) or exact == up  # a tie goes up: never down by one half
    assert abs(away - exact) <= Fraction(1, 2)
    assert away == -shift_scalar(-value, amount, ShiftRounding.NEAREST_AWAY)


@given(INT64)
@EVERY_MODE
def test_shift_by_nothing_is_the_identity(mode, value):
    assert rounding_shift(value, 0, int(mode)) == value


MUTANTS = {
    ShiftRounding.FLOOR: lambda v, n: np.trunc(v / 2.0**n),
    ShiftRounding.TRUNCATE: lambda v, n: v >> n,
    ShiftRounding.NEAREST_UP: lambda v, n: (v + ((1 << n) >> 1) - 1) >> n,
    ShiftRounding.NEAREST_AWAY: lambda v, n: (v + ((1 << n) >> 1)) >> n,
}


@EVERY_MODE
def test_comparison_catches_mutant(mode):
    with pytest.raises(AssertionError):
        assert_shifts(lambda v, n, _mode: MUTANTS[mode](v, n), *small_words(), mode)


@pytest.mark.parametrize(
    ("function", "bits"), [(saturate_int8, 8), (saturate_int16, 16), (saturate_int32, 32)]
)
def test_saturation_holds_at_the_ends_and_their_neighbours(function, bits):
    top = 2 ** (bits - 1)
    for value in (0, 1, -1, top - 1, top, top + 1, -top, -top - 1, 2**62, -(2**62), 2**63 - 1, -(2**63)):
        assert function(value) == saturate(value, bits) == min(max(value, -top), top - 1)
