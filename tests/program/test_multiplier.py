"""Derivation of (multiplier, shift): against exact rationals, rule by rule, and the refusals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.program.multiplier import FORMATIONS, RULES, derive_multiplier, real_multiplier
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.errors import MultiplierError

LEGAL_REALS = st.floats(2.0**-40, 2.0**29)
TOSA = PROFILES["tosa_double"]


def derive_exactly(real: float, rule: str) -> tuple[int, int]:
    """State the rules again, in rationals and Python integers."""
    exact = Fraction(float(np.float32(real)) if rule == "float32" else real)
    if exact == 0:
        return 0, 0
    shift = 0
    while exact >= Fraction(2) ** shift:
        shift += 1
    while exact < Fraction(2) ** (shift - 1):
        shift -= 1
    multiplier = math.floor(exact * Fraction(2) ** (31 - shift) + Fraction(1, 2))
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift >= -31:
        return multiplier, shift
    return (0, 0) if rule != "tosa" else (multiplier // 2 ** min(31, -31 - shift), -31)


@pytest.mark.parametrize("rule", RULES)
@given(real=LEGAL_REALS)
def test_pair_equals_the_rule_stated_in_rationals(rule, real):
    if rule == "tosa":
        real = min(real, 2.0**28)
    multiplier, shift = derive_multiplier(real, rule)
    assert (multiplier[0], shift[0]) == derive_exactly(real, rule)


@pytest.mark.parametrize("rule", RULES)
def test_pair_at_powers_of_two_ties_and_neighbours(rule):
    for power in range(-40, 29):
        base = 2.0**power
        tie = base * (1 + 2.0**-31)  # half a unit of the 31-bit multiplier
        for real in (base, tie, np.nextafter(tie, 0), np.nextafter(tie, 1e9), np.nextafter(base, 0)):
            multiplier, shift = derive_multiplier(real, rule)
            assert (multiplier[0], shift[0]) == derive_exactly(float(real), rule)


@given(st.floats(2.0**-31, 2.0**29))
def test_double_is_within_half_a_unit_of_the_31_bit_multiplier(real):
    multiplier, shift = derive_multiplier(real)
    assert 2**30 <= multiplier[0] <= 2**31 - 1
    represented = int(multiplier[0]) * Fraction(2) ** (int(shift[0]) - 31)
    assert abs(represented - Fraction(real)) <= Fraction(real) * Fraction(1, 2**31)


@given(st.lists(LEGAL_REALS, min_size=1, max_size=20))
def test_channels_are_derived_one_by_one(reals):
    multiplier, shift = derive_multiplier(reals)
    assert multiplier.dtype == shift.dtype == np.int32
    assert list(zip(multiplier, shift, strict=True)) == [derive_exactly(real, "double") for real in reals]


def test_fraction_that_rounds_up_to_one_carries_into_the_shift():
    multiplier, shift = derive_multiplier(1 - 2.0**-40)
    assert (multiplier[0], shift[0]) == (2**30, 1)


@pytest.mark.parametrize(("real", "double", "tosa"), [
    (2.0**-32, (2**30, -31), (2**30, -31)),
    (2.0**-33, (0, 0), (2**29, -31)),
    (3 * 2.0**-62, (0, 0), (3, -31)),
    (2.0**-70, (0, 0), (0, -31)),
    (2.0**-300, (0, 0), (0, -31)),
])  # fmt: skip
def test_tiny_multipliers_flush_or_lose_bits(real, double, tosa):
    assert tuple(int(a[0]) for a in derive_multiplier(real, "double")) == double
    assert tuple(int(a[0]) for a in derive_multiplier(real, "tosa", TOSA)) == tosa


def test_float32_underflow_flushes():
    assert [int(a[0]) for a in derive_multiplier(1e-60, "float32")] == [0, 0]


@pytest.mark.parametrize("wrong", [0.0, -0.0, -1.5, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("rule", RULES)
def test_unusable_multiplier_is_refused_by_channel(wrong, rule):
    with pytest.raises(MultiplierError, match="channel 2 must be"):
        derive_multiplier([0.5, 0.25, wrong, wrong], rule)


@pytest.mark.parametrize(("name", "high"), [(p.name, p.shift_high) for p in PROFILES.values()])
def test_shift_above_the_legal_range_of_the_profile_is_refused(name, high):
    profile = PROFILES[name]
    largest = math.ldexp(1 - 2.0**-32, high)
    derive_multiplier(math.ldexp(1 - 2.0**-31, high), "double", profile)
    with pytest.raises(MultiplierError, match=rf"shift lies in \[-31, {high}\] \(profile {name}\)"):
        derive_multiplier(largest, "double", profile)  # rounds up to the next power of two


def test_below_one_refuses_one_and_what_rounds_to_one():
    derive_multiplier(1 - 2.0**-31, below_one=True)
    with pytest.raises(MultiplierError, match="must be below one;"):
        derive_multiplier([0.5, 1.0], below_one=True)
    with pytest.raises(MultiplierError, match="below one after rounding"):
        derive_multiplier(1 - 2.0**-40, below_one=True)


def test_float32_overflow_is_refused():
    with pytest.raises(MultiplierError, match="largest float32"):
        derive_multiplier(1e39, "float32")


def test_unknown_names_are_refused():
    with pytest.raises(MultiplierError, match="rule must be one of double, float32, tosa; got 'doubel'"):
        derive_multiplier(0.5, "doubel")
    with pytest.raises(MultiplierError, match="formation must be one of"):
        real_multiplier([0.5], 1.0, "half")


@given(*[st.floats(2.0**-20, 8, width=32)] * 3)
def test_formations_round_where_they_say(first, second, output):
    a, b, c = np.float32(first), np.float32(second), np.float32(output)
    assert real_multiplier([a, b], c)[0] == float(a) * float(b) / float(c)
    assert real_multiplier([a, b], c, "float32")[0] == float((a * b) / c)
    assert real_multiplier([a, b], c, "float32_product")[0] == float(a * b) / float(c)


def test_formations_and_rules_differ_on_planted_scales():
    scales = [np.float32(0.1), np.float32(0.3)]
    formed = {name: real_multiplier(scales, np.float32(0.7), name)[0] for name in FORMATIONS}
    assert len(set(formed.values())) == len(FORMATIONS)
    pairs = {tuple(int(a[0]) for a in derive_multiplier(real)) for real in formed.values()}
    assert len(pairs) == len(FORMATIONS)


def test_scales_broadcast_over_channels():
    weights = np.array([0.1, 0.2, 0.4], np.float32)
    assert real_multiplier([np.float32(0.5), weights], np.float32(2)).shape == (3,)
    assert real_multiplier([0.5], 2.0).tolist() == [0.25]
