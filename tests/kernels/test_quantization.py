"""Laws of the change of quantization."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.activation import ALL_VALUES, quantize_case
from fxpgrad.conformance.cases.numbers import any_profile, zero_point
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.quantization.quantization import SPECS
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

QUANTIZE = SPECS[0]


def draw(rng: np.random.Generator) -> dict[str, Any]:
    return quantize_case(QUANTIZE, rng, any_profile(rng))


@every_profile
@given(rng=generators)
def test_quantize_equals_its_reference(rng: np.random.Generator, profile: Profile) -> None:
    check_equals_reference(QUANTIZE, by_kernel(QUANTIZE), quantize_case(QUANTIZE, rng, profile))


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
@every_profile
@given(rng=generators)
def test_every_quantize_equals_its_reference(
    rng: np.random.Generator, profile: Profile, spec: KernelSpec
) -> None:
    check_equals_reference(spec, by_kernel(spec), quantize_case(spec, rng, profile))


@given(rng=generators, profile=profiles)
def test_an_unchanged_quantization_changes_nothing(rng: np.random.Generator, profile: Profile) -> None:
    zero = zero_point(rng)
    case = {
        "input": ALL_VALUES,
        "multiplier": np.array([2**30], np.int32),
        "shift": np.array([1], np.int32),
        "input_zero_point": zero,
        "output_zero_point": zero,
        "rounding": int(profile.rounding),
        "output_shape": ALL_VALUES.shape,
    }
    np.testing.assert_array_equal(by_kernel(QUANTIZE)(case), ALL_VALUES)


@given(rng=generators, profile=profiles)
def test_quantize_is_monotone(rng: np.random.Generator, profile: Profile) -> None:
    case = {**quantize_case(QUANTIZE, rng, profile), "input": ALL_VALUES, "output_shape": ALL_VALUES.shape}
    assert (np.diff(by_kernel(QUANTIZE)(case).astype(int)) >= 0).all()


@given(rng=generators, profile=profiles)
def test_quantize_is_within_one_of_the_true_quotient(rng: np.random.Generator, profile: Profile) -> None:
    case = {**quantize_case(QUANTIZE, rng, profile), "input": ALL_VALUES, "output_shape": ALL_VALUES.shape}
    if profile.accumulator_bits == 64:  # a 16-bit multiplier: keep it exact
        case["multiplier"] = np.array([2**30], np.int32)
    ratio = Fraction(int(case["multiplier"][0])) * Fraction(2) ** (int(case["shift"][0]) - 31)
    for x, y in zip(ALL_VALUES.tolist(), by_kernel(QUANTIZE)(case).tolist(), strict=True):
        true = (x - case["input_zero_point"]) * ratio + case["output_zero_point"]
        assert abs(min(max(true, -128), 127) - y) <= 1


def quantized(case: Case, *, zero: bool = True, rounding: int | None = None) -> NDArray[np.int64]:
    x = case["input"].astype(np.int64) - zero * case["input_zero_point"]
    code = case["rounding"] if rounding is None else rounding
    return requantize_ref(x, case["multiplier"][0], case["shift"][0], code) + case["output_zero_point"]


def saturated(value: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.clip(value, -128, 127).astype(np.int8)


MUTANTS = {
    "wraps": lambda case: quantized(case).astype(np.int8),
    "zero point left in": lambda case: saturated(quantized(case, zero=False)),
    "ties up": lambda case: saturated(quantized(case, rounding=1)),
    "single rounding": lambda case: saturated(quantized(case, rounding=2)),
    "off by one": lambda case: saturated(quantized(case) + 1),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, QUANTIZE, draw)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    assert not is_caught(lambda case: saturated(quantized(case)), QUANTIZE, draw)


@pytest.mark.parametrize("spec", SPECS[1:], ids=[spec.name for spec in SPECS[1:]])
def test_the_comparison_catches_a_wrapping_store(spec: KernelSpec) -> None:
    def wraps(case: Case) -> NDArray[Any]:
        return quantized(case).astype(spec.arguments[3].dtype)

    def draw_mixed(rng: np.random.Generator) -> Case:
        return quantize_case(spec, rng, any_profile(rng))

    assert is_caught(wraps, spec, draw_mixed)
