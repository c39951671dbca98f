"""Named rounding profiles (library and mode) and the arithmetic that each one means."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import IntEnum

from fxpgrad_kernels.errors import UnknownProfileError


class Rounding(IntEnum):
    """The distinct requantization formulas; the integers are what kernels receive."""

    DOUBLE_AWAY = 0
    DOUBLE_UP = 1
    SINGLE = 2
    TOSA_DOUBLE = 3
    WIDE_16 = 4


class ShiftRounding(IntEnum):
    """What a right shift does with the bits that it drops; the integers are what kernels receive."""

    FLOOR = 0
    TRUNCATE = 1
    NEAREST_UP = 2
    NEAREST_AWAY = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """A named dialect.

    Attributes
    ----------
    name : str
        Library and mode.
    rounding : Rounding
        The formula, see `contract.md`.
    shift_low, shift_high : int
        The legal shifts, inclusive; positive is left.
    accumulator_bits : int
        Width of the type that holds the accumulator: 32 or 64.
    description : str
        Who computes this.
    exact_bits : int
        Signed width within which an accumulator must stay: 48 for WIDE_16, whose product would
        not fit 64 bits otherwise.
    """

    name: str
    rounding: Rounding
    shift_low: int
    shift_high: int
    accumulator_bits: int
    description: str
    exact_bits: int = 32


_ALL = (
    Profile("tflite_double", Rounding.DOUBLE_AWAY, -31, 30, 32, "TFLite reference and TFLite-Micro"),
    Profile("tflite_x86_optimized", Rounding.DOUBLE_UP, -31, 30, 32, "TFLite optimized kernels on x86"),
    Profile("tflite_single", Rounding.SINGLE, -31, 30, 32, "TFLite built with single rounding"),
    Profile("tosa_single", Rounding.SINGLE, -31, 29, 32, "TOSA RESCALE, SINGLE_ROUND, scale32"),
    Profile("tosa_double", Rounding.TOSA_DOUBLE, -31, 29, 32, "TOSA RESCALE, DOUBLE_ROUND, scale32"),
    Profile("cmsis_default", Rounding.DOUBLE_AWAY, -31, 30, 32, "CMSIS-NN as built by default"),
    Profile("cmsis_single", Rounding.SINGLE, -31, 30, 32, "CMSIS-NN with single rounding"),
    Profile(
        "tflite_16x8", Rounding.WIDE_16, -31, 7, 64, "TFLite 16x8: 64-bit accumulator, 16-bit multiplier", 48
    ),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}


def profile_named(name: str) -> Profile:
    """Return the profile called `name`, or raise `UnknownProfileError` with the list of names."""
    try:
        return PROFILES[name]
    except KeyError:
        near = difflib.get_close_matches(str(name), PROFILES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        known = ", ".join(PROFILES)
        raise UnknownProfileError(f"profile must be one of {known}; got {name!r}{hint}") from None
