"""The integers of softmax: how TFLite turns a scale and beta into multipliers, bounds and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad_kernels.errors import MultiplierError

__all__ = ["ExponentPair", "exponent_pair", "reverse_pair", "softmax_tables", "table_pair"]

_EXPONENT_UNIT = 2.0**-26  # five integer bits
_TABLE_UNIT = 10.0 / 65535.0  # of the exponent, in the tables of 16-bit softmax


@dataclass(frozen=True, slots=True)
class ExponentPair:
    """The pair that makes an exponent of a difference of inputs, and the least difference that counts."""

    multiplier: int
    left_shift: int
    diff_min: int

    def parameters(self) -> dict[str, int]:
        """Return the kernels' parameters by name."""
        return {"multiplier": self.multiplier, "left_shift": self.left_shift, "diff_min": self.diff_min}


def exponent_pair(scale: float, beta: float, *, single_rounding: bool = False) -> ExponentPair:
    """Return the integers of an 8-bit softmax or log-softmax (beta 1).

    Parameters
    ----------
    scale, beta : float
        Rounded to float32 first, as a model file holds them.
    single_rounding : bool
        Whether TFLite is built with single rounding, which caps the multiplier at 2**30.

    Raises
    ------
    MultiplierError
        Unless scale * beta lies above 2**-26.
    """
    cap = 2.0**30 - 1.0 if single_rounding else 2.0**31 - 1.0
    real = min(float(np.float32(beta)) * float(np.float32(scale)) / _EXPONENT_UNIT, cap)
    if not real > 1.0:
        raise MultiplierError(f"scale * beta must be above 2**-26 for softmax; got {scale} * {beta}")
    multiplier, shift = derive_multiplier(real / 2.0)  # the cap needs a shift of 31, beyond what pairs have
    left_shift = int(shift[0]) + 1
    return ExponentPair(int(multiplier[0]), left_shift, -math.floor(31.0 * 2.0**26 / 2.0**left_shift))


def reverse_pair(pair: ExponentPair) -> tuple[int, int]:
    """Return the pair that turns an exponent into a difference of inputs; its shift is at most 0."""
    real = 2.0 ** (31 - pair.left_shift) / pair.multiplier
    if not real < 1.0:
        raise MultiplierError("the scale must be above 2**-26 for log-softmax")
    multiplier, shift = derive_multiplier(real)
    return int(multiplier[0]), int(shift[0])


def table_pair(scale: float, beta: float) -> tuple[int, int]:
    """Return the pair that turns a difference of int16 inputs into a place in the table of exponentials."""
    multiplier, shift = derive_multiplier(float(np.float32(scale)) * float(np.float32(beta)) / _TABLE_UNIT)
    return int(multiplier[0]), int(shift[0])


def softmax_tables() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return exp(x) on [-10, 0] and 1 / (1 + x) on [0, 1], 513 int16 entries each, in units of 2**-15."""
    one = np.float32(1.0)
    return (
        _table(lambda x: np.float32(math.exp(float(x))), -10.0, 0.0),
        _table(lambda x: one / (one + x), 0.0, 1.0),
    )


def _nearest_away(value: np.float32) -> np.float32:
    return np.float32(math.copysign(math.floor(abs(float(value)) + 0.5), float(value)))


def _table(function: Callable[[np.float32], np.float32], low: float, high: float) -> NDArray[np.int16]:
    """Tabulate a function, each entry shifted by half the error that interpolation would make midway."""
    start, units, two = np.float32(low), np.float32(32768.0), np.float32(2.0)
    step = (np.float32(high) - start) / np.float32(512.0)
    half_step = step / two
    table = np.zeros(513, np.int16)
    for i in range(512):
        place = start + np.float32(i) * step
        sample = _nearest_away(function(place) * units)
        following = function(start + np.float32(i + 1) * step) * units
        midway = _nearest_away((following + sample) / two)
        error = midway - _nearest_away(function(place + half_step) * units)
        table[i] = np.clip(sample - _nearest_away(error / two), -32768, 32767)
    table[512] = np.clip(_nearest_away(function(np.float32(high)) * units), -32768, 32767)
    return table
