"""From scales to integers: the real multiplier, and its (multiplier, shift) under a named rule.

This is the last place where the scales of a network exist as floats. Runtimes differ twice, and both
choices can move an output by one: in *how the real multiplier is formed* from the scales
(:func:`real_multiplier`), and in *how it becomes a pair* with real = multiplier * 2**(shift - 31)
(:func:`derive_multiplier`).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.errors import MultiplierError

__all__ = ["FORMATIONS", "RULES", "Formation", "Rule", "derive_multiplier", "real_multiplier"]

Formation = Literal["double", "float32", "float32_product"]
Rule = Literal["double", "float32", "tosa"]
FORMATIONS: tuple[Formation, ...] = get_args(Formation)
RULES: tuple[Rule, ...] = get_args(Rule)

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def real_multiplier(
    numerators: Sequence[ArrayLike], denominator: ArrayLike, formation: Formation = "double"
) -> Floats:
    """Form the product of scales over one scale in the precision that a runtime uses.

    Parameters
    ----------
    numerators : sequence of float arrays
        Scalars or [channels], multiplied from left to right (input scale, weight scale).
    denominator : float array
        Scalar or [channels] (output scale).
    formation : {"double", "float32", "float32_product"}
        ``double``: everything in float64 (per-channel convolutions everywhere, most of TFLite-Micro).
        ``float32``: everything in float32 (LiteRT's MUL, RELU, LEAKY_RELU). ``float32_product``: the
        product in float32, the division in float64 (per-tensor fully connected layers).

    Returns
    -------
    float64 array, broadcast shape, at least one axis
    """
    if formation not in FORMATIONS:
        raise MultiplierError(f"formation must be one of {', '.join(FORMATIONS)}; got {formation!r}")
    product_type = np.float64 if formation == "double" else np.float32
    quotient_type = np.float32 if formation == "float32" else np.float64
    with np.errstate(all="ignore"):  # zero, infinity and NaN are reported by derive_multiplier
        factors = [np.asarray(numerator, product_type) for numerator in numerators]
        product = functools.reduce(operator.mul, factors).astype(quotient_type)
        return np.atleast_1d(product / np.asarray(denominator, quotient_type)).astype(np.float64)


def derive_multiplier(
    real: ArrayLike,
    rule: Rule = "double",
    profile: Profile = PROFILES["tflite_double"],
    *,
    below_one: bool = False,
) -> tuple[Ints, Ints]:
    """Derive integers with real = multiplier * 2**(shift - 31), as a named rule rounds them.

    Parameters
    ----------
    real : float array
        Scalar or [channels], finite and positive.
    rule : {"double", "float32", "tosa"}
        ``double``: the fraction of `real` (in [1/2, 1)) times 2**31, rounded half away from zero;
        a shift below -31 flushes the pair to (0, 0). ``float32``: `real` is rounded to float32
        first, then as ``double``. ``tosa``: as ``double``, but a shift below -31 (a right shift
        above 62) moves into the multiplier, which loses its low bits, instead of flushing.
    profile : Profile
        Gives the legal shifts.
    below_one : bool
        Also refuse multipliers of one and more (operators whose contract is a right shift only).

    Returns
    -------
    multiplier : int32 [channels]
        In [2**30, 2**31 - 1]; 0 where flushed; under ``tosa`` smaller where the shift is -31.
    shift : int32 [channels]
        Positive is left; TOSA's right shift is 31 - shift.

    Raises
    ------
    MultiplierError
        For a multiplier that is NaN, infinite, zero or negative, or needs a shift that the profile
        does not allow. The message names the channel.
    """
    if rule not in RULES:
        raise MultiplierError(f"rule must be one of {', '.join(RULES)}; got {rule!r}")
    values = np.atleast_1d(np.asarray(real, np.float64))
    _refuse(values, np.isnan(values), "a number", "a scale is NaN")
    _refuse(values, np.isinf(values), "finite", "a scale is infinite, or the output scale is zero")
    _refuse(values, values <= 0, "positive", "scales must be above zero")
    if rule == "float32":
        with np.errstate(over="ignore", under="ignore"):
            rounded = values.astype(np.float32).astype(np.float64)
        _refuse(values, np.isinf(rounded), "at most the largest float32", "rescale the weights")
        values = rounded
    if below_one:
        _refuse(values, values >= 1, "below one", "use the general form, or a larger output scale")
    multiplier, shift = _DERIVE[rule](values)
    if below_one:
        _refuse(values, shift > 0, "below one after rounding to 31 bits", "it lies within 2**-32 of one")
    high, low = profile.shift_high, profile.shift_low
    _refuse(
        values,
        (shift > high) | ((shift < low) & (multiplier > 0)),
        f"such that its shift lies in [{low}, {high}] (profile {profile.name})",
        "the output scale is too small or too large for the accumulator's",
    )
    return multiplier.astype(np.int32), shift.astype(np.int32)


def _refuse(values: Floats, wrong: NDArray[np.bool_], must_be: str, fix: str) -> None:
    if wrong.any():
        channel = int(np.flatnonzero(wrong)[0])
        raise MultiplierError(
            f"real multiplier of channel {channel} must be {must_be}; got {values.ravel()[channel]!r} ({fix})"
        )


def _normalized(values: Floats) -> _Pairs:
    """Return m in [2**30, 2**31) (0 for 0) and s with value = m * 2**(s - 31), m rounded half away."""
    fraction, exponent = np.frexp(values)
    # exact: below 2**31 the sum needs no more than 53 bits, and at 2**31 the floor is sure
    multiplier = np.floor(np.ldexp(fraction, 31) + 0.5).astype(np.int64)
    shift = exponent.astype(np.int64)
    full = multiplier == 2**31
    return np.where(full, 2**30, multiplier), shift + full


def _flushed(values: Floats) -> _Pairs:
    multiplier, shift = _normalized(values)
    tiny = (shift < -31) | (multiplier == 0)
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def _shifted_in(values: Floats) -> _Pairs:
    multiplier, shift = _normalized(values)
    excess = np.clip(-31 - shift, 0, 31)
    return multiplier >> excess, np.maximum(shift, -31)


_DERIVE: dict[str, Callable[[Any], _Pairs]] = {
    "double": _flushed,
    "float32": _flushed,
    "tosa": _shifted_in,
}
