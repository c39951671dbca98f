"""Rounding profiles: the names that the documentation promises, and their lookup."""

from __future__ import annotations

import re

import pytest

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding, profile_named
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
    }


def test_every_rounding_has_a_profile():
    assert {profile.rounding for profile in PROFILES.values()} == set(Rounding)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_legal_shifts_keep_every_intermediate_inside_int64(profile):
    accumulator = 2 ** (profile.exact_bits - 1)
    if profile.rounding == Rounding.WIDE_16:
        assert accumulator * 0x7FFF + 2 ** (14 - profile.shift_low) < 2**63
        assert profile.shift_high <= 14
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
