"""Laws of the definition, tried on every accumulator, multiplier and shift of a small word.

The definition is one formula for all widths (`bits`), so that what holds for each 6- or 8-bit word
is evidence for the 32-bit one that no sample gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

import pytest

from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.arithmetic.requantize_ref import (
    reduce_multiplier,
    requantize_scalar,
    significant_bits,
)

HALF = Fraction(1, 2)
BITS = 6
POINT = BITS - 1
TOP = 2**POINT
FIXED_POINT = [r for r in Rounding if r not in (Rounding.WIDE_16, Rounding.FLOAT32_EVEN)]
EVERY_ROUNDING = pytest.mark.parametrize("rounding", list(Rounding), ids=lambda rounding: rounding.name)


def words(bits: int = BITS) -> range:
    return range(-(2 ** (bits - 1)), 2 ** (bits - 1))


def pairs(rounding: Rounding, bits: int = BITS) -> Iterator[tuple[int, int]]:
    """Every multiplier with every shift that the formula takes at this width."""
    high = bits // 2 - 2 if rounding == Rounding.WIDE_16 else bits - 2
    return ((m, s) for m in range(2 ** (bits - 1)) for s in range(-bits - 1, high + 1))


def saturate(value: int, bits: int = BITS) -> int:
    return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, value))


def nearest_up(value: Fraction) -> int:
    return floor(value + HALF)


def nearest_away(value: Fraction) -> int:
    return floor(value + HALF) if value >= 0 else ceil(value - HALF)


def test_single_is_the_exact_product_rounded_once():
    for m, s in pairs(Rounding.SINGLE):
        real = m * Fraction(2) ** (s - POINT)
        for x in words():
            assert requantize_scalar(x, m, s, Rounding.SINGLE, BITS) == saturate(nearest_up(x * real))


@pytest.mark.parametrize(
    ("rounding", "second"), [(Rounding.DOUBLE_AWAY, nearest_away), (Rounding.DOUBLE_UP, nearest_up)]
)
def test_double_is_the_exact_product_rounded_twice(rounding, second):
    for m, s in pairs(rounding):
        for x in words():
            first = nearest_up(Fraction(saturate(x << max(s, 0)) * m, TOP))
            expected = second(Fraction(first, 2 ** max(-s, 0)))
            assert requantize_scalar(x, m, s, rounding, BITS) == expected


def test_wide_is_the_exact_product_of_the_halved_multiplier_rounded_once():
    for m, s in pairs(Rounding.WIDE_16):
        real = reduce_multiplier(m, BITS) * Fraction(2) ** (s - (BITS // 2 - 1))
        for x in words(BITS + 3):
            assert requantize_scalar(x, m, s, Rounding.WIDE_16, BITS) == saturate(nearest_up(x * real))


def test_halved_multiplier_is_the_nearest_one_that_fits():
    for m in range(2**31 - 2**17, 2**31):
        assert reduce_multiplier(m) == (0x7FFF if m >= 0x7FFF0000 else nearest_up(Fraction(m, 2**16)))


@EVERY_ROUNDING
def test_requantize_is_monotone_in_the_accumulator(rounding):
    for m, s in pairs(rounding):
        results = [requantize_scalar(x, m, s, rounding, BITS) for x in words()]
        assert results == sorted(results)


@EVERY_ROUNDING
def test_zero_maps_to_zero(rounding):
    assert all(requantize_scalar(0, m, s, rounding, BITS) == 0 for m, s in pairs(rounding))


@EVERY_ROUNDING
def test_unit_multiplier_is_the_identity(rounding):
    if rounding == Rounding.WIDE_16:
        assert all(requantize_scalar(x, TOP // 2, 1, rounding, BITS) == x for x in words())
    else:  # the left shift by one of a double rounding saturates on the outer half of the words
        assert all(requantize_scalar(x, TOP // 2, 1, rounding, BITS) == x for x in words(BITS - 1))


def test_double_away_is_antisymmetric_but_for_ties_of_the_first_rounding():
    for m, s in pairs(Rounding.DOUBLE_AWAY):
        for x in range(1, TOP):
            plus = requantize_scalar(x, m, s, Rounding.DOUBLE_AWAY, BITS)
            minus = requantize_scalar(-x, m, s, Rounding.DOUBLE_AWAY, BITS)
            saturates = x << max(s, 0) >= TOP
            first_ties = (x << max(s, 0)) * m % TOP == TOP // 2
            assert minus == -plus or saturates or first_ties


def test_roundings_differ_by_at_most_one_where_nothing_saturates():
    for m, s in pairs(Rounding.SINGLE):
        for x in words():
            if not -TOP <= x << max(s, 0) < TOP:
                continue
            results = [requantize_scalar(x, m, s, r, BITS) for r in FIXED_POINT]
            assert max(results) - min(results) <= 1


def test_float_rounding_is_the_exact_product_rounded_once_to_even_where_the_float_holds_it():
    for m, s in pairs(Rounding.FLOAT32_EVEN, 8):
        for x in words(8):
            if m % 2 == 0 and abs(x * m).bit_length() <= significant_bits(8):
                exact = saturate(round(x * m * Fraction(2) ** (s - 7)), 8)
                assert requantize_scalar(x, m, s, Rounding.FLOAT32_EVEN, 8) == exact


def test_float_rounding_is_antisymmetric():
    for m, s in pairs(Rounding.FLOAT32_EVEN):
        for x in range(1, TOP):
            minus = requantize_scalar(-x, m, s, Rounding.FLOAT32_EVEN, BITS)
            assert saturate(-minus) == requantize_scalar(x, m, s, Rounding.FLOAT32_EVEN, BITS)


def test_float_rounding_differs_by_at_most_one_from_the_exact_product_while_results_are_small():
    """Two roundings of relative size 2**-digits cannot move a result below 2**(digits - 2) by a half."""
    digits = significant_bits(8)
    for m, s in pairs(Rounding.FLOAT32_EVEN, 8):
        if m % 2 ** (7 - digits):
            continue  # not the multiplier of a float
        for x in words(8):
            real = x * m * Fraction(2) ** (s - 7)
            if abs(real) <= 2 ** (digits - 2):
                result = requantize_scalar(x, m, s, Rounding.FLOAT32_EVEN, 8)
                assert abs(result - nearest_up(real)) <= 1


# --- the same formulas in the shapes in which their authors state them


def gemmlowp_double(x: int, m: int, s: int, bits: int) -> int:
    """Doubling high multiply with a sign-dependent nudge and C's division, then mask and threshold."""
    product = saturate(x << max(s, 0), bits) * m
    nudge = 2 ** (bits - 2) if product >= 0 else 1 - 2 ** (bits - 2)
    total = product + nudge
    high = abs(total) // 2 ** (bits - 1) * (1 if total >= 0 else -1)
    mask = 2 ** max(-s, 0) - 1
    return (high >> max(-s, 0)) + ((high & mask) > (mask >> 1) + (high < 0))


def cmsis_single(x: int, m: int, s: int, bits: int) -> int:
    """One bit is kept for the rounding, then added."""
    return saturate(((x * m >> (bits - 2 - s)) + 1) >> 1, bits)


def tosa_double(x: int, m: int, s: int, bits: int) -> int:
    """The specification's pseudocode with shift = bits - 1 - s."""
    shift = bits - 1 - s
    rounding = 1 << (shift - 1)
    if shift > bits - 1:
        rounding = rounding + (1 << (bits - 2)) if x >= 0 else rounding - (1 << (bits - 2))
    return saturate((x * m + rounding) >> shift, bits)


@pytest.mark.parametrize(
    ("rounding", "statement"),
    [
        (Rounding.DOUBLE_AWAY, gemmlowp_double),
        (Rounding.SINGLE, cmsis_single),
        (Rounding.TOSA_DOUBLE, tosa_double),
    ],
    ids=["gemmlowp", "cmsis", "tosa"],
)
def test_definition_equals_published_statement_on_every_8_bit_word(rounding, statement):
    for m, s in pairs(rounding, 8):
        for x in words(8):
            assert requantize_scalar(x, m, s, rounding, 8) == statement(x, m, s, 8)


def test_tosa_double_equals_double_away_on_every_8_bit_word_that_the_left_shift_keeps():
    for m, s in pairs(Rounding.TOSA_DOUBLE, 8):
        for x in words(8):
            if -128 <= x << max(s, 0) < 128:
                tosa = requantize_scalar(x, m, s, Rounding.TOSA_DOUBLE, 8)
                assert tosa == requantize_scalar(x, m, s, Rounding.DOUBLE_AWAY, 8)


def test_unknown_rounding_is_refused():
    with pytest.raises(ValueError, match="rounding must be"):
        requantize_scalar(1, 2**30, 0, 6)
