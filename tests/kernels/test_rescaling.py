"""Laws of leaky relu, the absolute value and hard swish."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.activation import ALL_VALUES, hard_swish_case, rescaling_case
from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad_kernels.activation import hard_swish, rescaling
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import draw_of, every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

LEAKY, LEAKY_16, ABS, ABS_16 = rescaling.SPECS
(SWISH,) = hard_swish.SPECS
draw_swish = draw_of(SWISH, hard_swish_case)


@pytest.mark.parametrize("spec", rescaling.SPECS, ids=[spec.name for spec in rescaling.SPECS])
@every_profile
@given(rng=generators)
def test_rescaling_equals_its_reference(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> None:
    check_equals_reference(spec, by_kernel(spec), rescaling_case(spec, rng, profile))


@given(rng=generators)
def test_hard_swish_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(SWISH, by_kernel(SWISH), draw_swish(rng))


@given(rng=generators, profile=profiles)
def test_leaky_relu_with_one_pair_is_a_quantize(rng: np.random.Generator, profile: Profile) -> None:
    case = {**rescaling_case(LEAKY, rng, profile), "input": ALL_VALUES, "output_shape": (256,)}
    case |= {key: case[key][[0, 0]] for key in ("multiplier", "shift")}
    assert (np.diff(by_kernel(LEAKY)(case).astype(int)) >= 0).all()


@given(rng=generators, profile=profiles)
def test_the_absolute_value_ignores_the_sign(rng: np.random.Generator, profile: Profile) -> None:
    case = rescaling_case(ABS_16, rng, profile)
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
    return lambda rng: rescaling_case(spec, rng, any_profile(rng))


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
    "swish: no gate shift": (SWISH, draw_swish, changed(SWISH, gate_exponent=0)),
    "swish: no zero point": (SWISH, draw_swish, changed(SWISH, input_zero_point=0)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_catches(name: str) -> None:
    spec, cases, mutant = MUTANTS[name]
    assert is_caught(mutant, spec, cases)
