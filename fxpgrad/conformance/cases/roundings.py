"""Which roundings a Program under a profile may pass to a kernel, and a profile to draw pairs by."""

from __future__ import annotations

import re
from dataclasses import replace

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad.errors import InputError
from fxpgrad_kernels.arithmetic.profiles import PRODUCT_SUMS, PROFILES, Profile, Rounding
from fxpgrad_kernels.spec import KernelSpec

_VARIANT = re.compile(r"(_narrow|_mixed)?(_a\d.*)$")
_BY_COUNT = ("conv2d", "depthwise_conv2d", "transpose_conv2d", "quantize")


def graph_operator(spec: KernelSpec) -> str:
    """Return the operator of a Graph that the kernel computes: its name without widths and variants."""
    return _VARIANT.sub("", spec.name)


def takes_rounding(spec: KernelSpec) -> bool:
    """Whether the kernel requantizes in a way that is an argument."""
    return any(argument.name == "rounding" for argument in spec.arguments)


def roundings_under(profile: Profile, spec: KernelSpec) -> tuple[Rounding, ...]:
    """Return the roundings that a Program under the profile may pass to the kernel, as lowering chooses them.

    Layers of int16 activations sum in 64 bits, or in 32 with an int32 bias. LiteRT's optimized kernels round
    in two ways, as the number of values says. What XNNPACK does not take, LiteRT's own kernels compute.
    """
    operator = graph_operator(spec)
    if operator == "requantize":
        found = set(profile.roundings())
    elif operator in PRODUCT_SUMS and spec.arguments[0].dtype == "int16":
        found = {profile.wide_rounding} if profile.wide_rounding is not None else set()
        if operator != "batch_matmul" and found:
            found.add(profile.rounding)
    else:
        found = {profile.rounding_of(operator)}
        if profile.name == "tflite_x86_optimized" and operator in _BY_COUNT:
            found.add(Rounding.DOUBLE_AWAY)
        if profile.name == "xnnpack_float32" and operator not in PRODUCT_SUMS:
            found.add(profile.element_rounding)
    (codes,) = (argument for argument in spec.arguments if argument.name == "rounding")
    return tuple(sorted(rounding for rounding in found if codes.low <= int(rounding) <= codes.high))


def with_rounding(profile: Profile, rounding: Rounding) -> Profile:
    """Return the profile with one of its roundings in the place of that of layers."""
    limits = profile.limits(rounding)
    return replace(
        profile,
        rounding=rounding,
        shift_low=limits.shift_low,
        shift_high=limits.shift_high,
        exact_bits=limits.exact_bits,
        accumulator_bits=64 if limits.exact_bits > 32 else 32,
    )


def drawn_profile(rng: Draws, spec: KernelSpec, wanted: Profile | None) -> Profile:
    """Return a profile whose `rounding` and shifts a case of the kernel may take.

    Raises
    ------
    InputError
        No Program under the wanted profile calls the kernel.
    """
    if not takes_rounding(spec):
        return wanted or any_profile(rng)
    if wanted is not None:
        legal = roundings_under(wanted, spec)
        if not legal:
            raise InputError(f"no Program under {wanted.name} calls {spec.name}: choose another profile")
        return with_rounding(wanted, legal[int(rng.integers(len(legal)))])
    (codes,) = (argument for argument in spec.arguments if argument.name == "rounding")
    if (codes.low, codes.high) == (min(Rounding), max(Rounding)):
        return any_profile(rng)
    fitting = [p for p in PROFILES.values() if codes.low <= int(p.rounding) <= codes.high]
    return fitting[int(rng.integers(len(fitting)))]
