"""Rounding profiles: the names that the documentation promises, and their lookup."""

from __future__ import annotations

import re

import pytest

from fxpgrad_kernels.arithmetic.profiles import LIMITS, PROFILES, Rounding, profile_named
from fxpgrad_kernels.errors import UnknownProfileError


def test_promised_names_exist():
    assert set(PROFILES) == {
        "tflite_double",
        "tflite_x86_optimized",
        "tflite_single",
        "tosa_single",
        "tosa_double",
        "cmsis_default",
        "cmsis_single",
        "tflite_16x8",
        "xnnpack_float32",
        "onnx_float32",
    }


def test_every_rounding_has_a_profile():
    assert {profile.rounding for profile in PROFILES.values()} == set(Rounding)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_legal_shifts_keep_every_intermediate_inside_int64(profile):
    accumulator = 2 ** (profile.exact_bits - 1)
    if profile.rounding == Rounding.WIDE_16:
        assert accumulator * 0x7FFF + 2 ** (14 - profile.shift_low) < 2**63
        assert profile.shift_high <= 14
    elif profile.rounding == Rounding.FLOAT32_EVEN:  # the product of two mantissas, and its left shift
        assert accumulator * 2**24 << max(profile.shift_high - 24, 0) < 2**62
        assert 24 - profile.shift_low < 63
    else:
        assert accumulator * (2**31 - 1) + 2 ** (30 - profile.shift_low) + 2**30 < 2**63
        assert accumulator << profile.shift_high < 2**63
        assert profile.shift_high <= 30


def test_unknown_profile_names_the_known_ones_and_the_nearest():
    with pytest.raises(
        UnknownProfileError, match=re.escape("got 'tflite_duoble'; did you mean tflite_double?")
    ):
        profile_named("tflite_duoble")
    assert profile_named("cmsis_default") is PROFILES["cmsis_default"]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_limits_of_each_formula_lie_within_what_the_formula_takes(profile):
    for rounding in profile.roundings():
        limits, own = profile.limits(rounding), LIMITS[rounding]
        assert own.shift_low <= limits.shift_low <= limits.shift_high <= own.shift_high
        assert limits.exact_bits == own.exact_bits
    assert profile.limits(profile.rounding).exact_bits == profile.exact_bits
    assert (profile.exact_bits > 32) == (profile.accumulator_bits == 64)


def test_wide_layers_of_a_narrow_profile_take_the_shifts_of_the_wide_formula():
    assert PROFILES["tflite_double"].limits(Rounding.WIDE_16) == LIMITS[Rounding.WIDE_16]
    assert PROFILES["tosa_single"].limits(Rounding.SINGLE).shift_high == 29


def test_exceptions_come_before_the_general_formula():
    optimized, xnnpack = PROFILES["tflite_x86_optimized"], PROFILES["xnnpack_float32"]
    assert optimized.rounding_of("quantize") == Rounding.DOUBLE_UP
    assert optimized.rounding_of("mul") == Rounding.DOUBLE_AWAY
    assert xnnpack.rounding_of("add") == Rounding.SINGLE
    assert xnnpack.rounding_of("softmax") == Rounding.DOUBLE_AWAY
    assert xnnpack.roundings() == {Rounding.FLOAT32_EVEN, Rounding.SINGLE, Rounding.DOUBLE_AWAY}
    assert PROFILES["tflite_double"].rounding_of("quantize") == Rounding.DOUBLE_AWAY
    assert optimized.rounding_of("conv2d") == Rounding.DOUBLE_UP
    assert optimized.rounding_of("batch_matmul") == Rounding.DOUBLE_AWAY
    assert xnnpack.rounding_of("batch_matmul") == Rounding.FLOAT32_EVEN
