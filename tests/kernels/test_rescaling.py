"""Laws of leaky relu, the absolute value and hard swish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad_kernels.activation import hard_swish, rescaling
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.legal_numbers import (
    any_profile,
    every_profile,
    generators,
    integers,
    profiles,
    requantization,
    zero_point,
)
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

LEAKY, LEAKY_16, ABS, ABS_16 = rescaling.SPECS
(SWISH,) = hard_swish.SPECS
ALL_VALUES = np.arange(-128, 128).astype(np.int8)


def rescaling_case(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> dict[str, Any]:
    bits, n = int(np.iinfo(spec.arguments[0].dtype).bits), int(rng.integers(1, 60))
    count = 2 if spec in (LEAKY, LEAKY_16) else 1
    points = {"input_zero_point": zero_point(rng), "output_zero_point": zero_point(rng)}
    if spec is ABS_16:
        points = dict.fromkeys(points, 0)
    return {
        "input": integers(rng, (n,), f"int{bits}"),
        **requantization(rng, profile, count, 2.0 ** (bits - 1), 2.0 ** (bits - 1)),
        **points,
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def swish_case(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "input": ALL_VALUES,
        "input_zero_point": zero_point(rng),
        "output_zero_point": zero_point(rng),
        "output_multiplier": int(rng.choice([0, 2**14, 2**15 - 1, rng.integers(2**14, 2**15)])),
        "output_exponent": -int(rng.choice([0, 6, 7, 8, 15, rng.integers(0, 16)])),
        "gate_multiplier": int(rng.choice([0, 2**14, 2**15 - 1, rng.integers(2**14, 2**15)])),
        "gate_exponent": int(rng.choice([-15, 0, 1, 2, 3, 30, rng.integers(-15, 12)])),
        "output_shape": ALL_VALUES.shape,
    }


@pytest.mark.parametrize("spec", rescaling.SPECS, ids=[spec.name for spec in rescaling.SPECS])
@every_profile
@given(rng=generators)
def test_rescaling_equals_its_reference(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> None:
    check_equals_reference(spec, by_kernel(spec), rescaling_case(rng, profile, spec))


@given(rng=generators)
def test_hard_swish_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(SWISH, by_kernel(SWISH), swish_case(rng))


@given(rng=generators, profile=profiles)
def test_leaky_relu_with_one_pair_is_a_quantize(rng: np.random.Generator, profile: Profile) -> None:
    case = {**rescaling_case(rng, profile, LEAKY), "input": ALL_VALUES, "output_shape": (256,)}
    case |= {key: case[key][[0, 0]] for key in ("multiplier", "shift")}
    assert (np.diff(by_kernel(LEAKY)(case).astype(int)) >= 0).all()


@given(rng=generators, profile=profiles)
def test_the_absolute_value_ignores_the_sign(rng: np.random.Generator, profile: Profile) -> None:
    case = rescaling_case(rng, profile, ABS_16)
    case["input"] = np.maximum(case["input"], -(2**15) + 1)
    np.testing.assert_array_equal(
        by_kernel(ABS_16)(case), by_kernel(ABS_16)({**case, "input": -case["input"]})
    )


def test_hard_swish_is_the_identity_above_three_and_zero_below_minus_three() -> None:
    # scale 1/16 in and out: 1 / (128 * 16) * 16 = 2**14 * 2**(-6 - 15), 256 / 3 / 16 = 5.33 = 0.667 * 2**3
    case = {
        "input": ALL_VALUES,
        "input_zero_point": 0,
        "output_zero_point": 0,
        "output_multiplier": 2**14,
        "output_exponent": -6,
        "gate_multiplier": round(2 / 3 * 2**15),
        "gate_exponent": 3,
        "output_shape": (256,),
    }
    output = by_kernel(SWISH)(case)
    np.testing.assert_array_equal(output[ALL_VALUES >= 49], ALL_VALUES[ALL_VALUES >= 49])
    np.testing.assert_array_equal(output[ALL_VALUES <= -48], 0)


def draw(spec: KernelSpec) -> Callable[[np.random.Generator], Case]:
    return lambda rng: rescaling_case(rng, any_profile(rng), spec)


def changed(spec: KernelSpec, **values: Any) -> Callable[[Case], Any]:
    return lambda case: by_kernel(spec)({**case, **values})


MUTANTS: dict[str, tuple[KernelSpec, Callable[[np.random.Generator], Case], Callable[[Case], Any]]] = {
    "leaky: zero point left in": (LEAKY, draw(LEAKY), changed(LEAKY, input_zero_point=0)),
    "leaky: pairs swapped": (
        LEAKY,
        draw(LEAKY),
        lambda case: by_kernel(LEAKY)({**case, **{k: case[k][::-1] for k in ("multiplier", "shift")}}),
    ),
    "leaky: single rounding": (LEAKY, draw(LEAKY), changed(LEAKY, rounding=2)),
    "abs: ties up": (ABS, draw(ABS), changed(ABS, rounding=2)),
    "abs: zero point left in": (ABS, draw(ABS), changed(ABS, input_zero_point=0)),
    "swish: no gate shift": (SWISH, swish_case, changed(SWISH, gate_exponent=0)),
    "swish: no zero point": (SWISH, swish_case, changed(SWISH, input_zero_point=0)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_catches(name: str) -> None:
    spec, cases, mutant = MUTANTS[name]
    assert is_caught(mutant, spec, cases)
