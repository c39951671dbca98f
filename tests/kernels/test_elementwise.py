"""Laws of sums and differences of two activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.elementwise import add_case, add_case_16
from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.elementwise.elementwise import SPECS
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

ADD, SUB, ADD_16, SUB_16, MIXED, MIXED_16 = SPECS


def draw(rng: np.random.Generator) -> dict[str, Any]:
    return add_case(rng, any_profile(rng))


def draw_16(rng: np.random.Generator) -> dict[str, Any]:
    return add_case_16(rng, any_profile(rng))


@every_profile
@given(rng=generators)
def test_add_equals_its_reference(rng: np.random.Generator, profile: Profile) -> None:
    check_equals_reference(ADD, by_kernel(ADD), add_case(rng, profile))


@every_profile
@given(rng=generators)
def test_subtract_equals_its_reference(rng: np.random.Generator, profile: Profile) -> None:
    check_equals_reference(SUB, by_kernel(SUB), add_case(rng, profile))


@pytest.mark.parametrize("spec", [ADD_16, SUB_16], ids=["add", "sub"])
@every_profile
@given(rng=generators)
def test_sums_of_16_bits_equal_their_reference(
    rng: np.random.Generator, profile: Profile, spec: KernelSpec
) -> None:
    check_equals_reference(spec, by_kernel(spec), add_case_16(rng, profile))


@every_profile
@given(rng=generators, other=profiles)
def test_mixed_adds_equal_their_reference(rng: np.random.Generator, profile: Profile, other: Profile) -> None:
    case = {**add_case(rng, profile), "operand_rounding": int(other.rounding)}
    case["shift"] = np.clip(case["shift"], other.shift_low, other.shift_high)
    check_equals_reference(MIXED, by_kernel(MIXED), case)
    case = {**add_case_16(rng, profile), "operand_rounding": int(other.rounding)}
    case["shift"] = np.clip(case["shift"], other.shift_low, other.shift_high)
    check_equals_reference(MIXED_16, by_kernel(MIXED_16), case)


@given(rng=generators, profile=profiles)
def test_a_mixed_add_of_one_rounding_is_add(rng: np.random.Generator, profile: Profile) -> None:
    case = add_case(rng, profile)
    mixed = {**case, "operand_rounding": case["rounding"]}
    np.testing.assert_array_equal(by_kernel(MIXED)(mixed), by_kernel(ADD)(case))


@given(rng=generators, profile=profiles)
def test_sums_longer_than_one_stretch(rng: np.random.Generator, profile: Profile) -> None:
    for spec, make, dtype in ((ADD, add_case, "int8"), (SUB_16, add_case_16, "int16")):
        case = {**make(rng, profile), "output_shape": (600,)}
        case |= {name: integers(rng, (600,), dtype) for name in ("input_a", "input_b")}
        check_equals_reference(spec, by_kernel(spec), case)


@given(rng=generators, profile=profiles)
def test_add_commutes(rng: np.random.Generator, profile: Profile) -> None:
    case = add_case(rng, profile)
    swapped = {
        **case,
        "input_a": case["input_b"],
        "input_b": case["input_a"],
        "input_a_zero_point": case["input_b_zero_point"],
        "input_b_zero_point": case["input_a_zero_point"],
        "multiplier": case["multiplier"][[1, 0, 2]],
        "shift": case["shift"][[1, 0, 2]],
    }
    np.testing.assert_array_equal(by_kernel(ADD)(case), by_kernel(ADD)(swapped))


@given(rng=generators, profile=profiles)
def test_elements_do_not_touch(rng: np.random.Generator, profile: Profile) -> None:
    case = add_case(rng, profile)
    order = rng.permutation(case["input_a"].size)
    permuted = {**case, "input_a": case["input_a"][order], "input_b": case["input_b"][order]}
    np.testing.assert_array_equal(by_kernel(ADD)(permuted), by_kernel(ADD)(case)[order])


def exact_case(left: int) -> dict[str, Any]:
    """Return every pair of int8 values with one scale for both operands and the output."""
    a, b = (grid.ravel().astype(np.int8) for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    return {
        "input_a": a,
        "input_b": b,
        # a/2 and b/2 of 2**left_shift units, then doubled: 2**(1 - left_shift)
        "multiplier": np.array([2**30, 2**30, 2**30], np.int32),
        "shift": np.array([0, 0, 2 - left], np.int32),
        **dict.fromkeys(("input_a_zero_point", "input_b_zero_point", "output_zero_point"), 0),
        "left_shift": left,
        "clamp_low": -128,
        "clamp_high": 127,
        "rounding": 0,
        "output_shape": a.shape,
    }


def test_add_of_equal_scales_is_the_saturated_sum() -> None:
    case = exact_case(20)
    expected = np.clip(case["input_a"].astype(int) + case["input_b"].astype(int), -128, 127)
    np.testing.assert_array_equal(by_kernel(ADD)(case), expected)


def test_sub_of_equal_scales_is_the_saturated_difference() -> None:
    case = exact_case(20)
    expected = np.clip(case["input_a"].astype(int) - case["input_b"].astype(int), -128, 127)
    np.testing.assert_array_equal(by_kernel(SUB)(case), expected)


@given(rng=generators, profile=profiles)
def test_a_value_less_itself_is_the_zero_point(rng: np.random.Generator, profile: Profile) -> None:
    case = {**add_case(rng, profile), "clamp_low": -128, "clamp_high": 127}
    case |= {"input_b": case["input_a"], "input_b_zero_point": case["input_a_zero_point"]}
    case |= {key: case[key][[0, 0, 2]] for key in ("multiplier", "shift")}
    assert (by_kernel(SUB)(case) == case["output_zero_point"]).all()


def test_adding_the_zero_point_changes_nothing() -> None:
    case = exact_case(20)
    case |= {"input_b": np.full_like(case["input_b"], 3), "input_b_zero_point": 3}
    np.testing.assert_array_equal(by_kernel(ADD)(case), case["input_a"])


def sum_of(
    case: Case, *, zero_points: bool = True, left: bool = True, single: bool = False
) -> NDArray[np.int64]:
    rounding = 2 if single else case["rounding"]
    units = 2 ** case["left_shift"] if left else 1
    a = (case["input_a"].astype(np.int64) - zero_points * case["input_a_zero_point"]) * units
    b = (case["input_b"].astype(np.int64) - zero_points * case["input_b_zero_point"]) * units
    total = requantize_ref(a, case["multiplier"][0], case["shift"][0], rounding)
    total = total + requantize_ref(b, case["multiplier"][1], case["shift"][1], rounding)
    value = requantize_ref(total, case["multiplier"][2], case["shift"][2], rounding)
    return value + case["output_zero_point"]


def clipped(case: Case, value: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.clip(value, case["clamp_low"], case["clamp_high"]).astype(np.int8)


def requantizes_operands_to_the_output_first(case: Case) -> NDArray[np.int8]:
    """Rounds twice: each operand to output units, then adds."""
    total = np.zeros(case["output_shape"], np.int64)
    for i, name in enumerate(("input_a", "input_b")):
        x = (case[name].astype(np.int64) - case[f"{name}_zero_point"]) * 2 ** case["left_shift"]
        scaled = requantize_ref(x, case["multiplier"][i], case["shift"][i], case["rounding"])
        total += requantize_ref(scaled, case["multiplier"][2], case["shift"][2], case["rounding"])
    return clipped(case, total + case["output_zero_point"])


MUTANTS = {
    "zero points left in": lambda case: clipped(case, sum_of(case, zero_points=False)),
    "no fraction bits": lambda case: clipped(case, sum_of(case, left=False)),
    "single rounding everywhere": lambda case: clipped(case, sum_of(case, single=True)),
    "wraps": lambda case: sum_of(case).astype(np.int8),
    "rounds before adding": requantizes_operands_to_the_output_first,
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, ADD, draw)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    assert not is_caught(lambda case: clipped(case, sum_of(case)), ADD, draw)


MUTANTS_16 = {
    "wraps": lambda case: _sum_16(case, 1, wrap=True),
    "b added": lambda case: _sum_16(case, 1),
    "no fraction bits": lambda case: _sum_16({**case, "left_shift": 0}, -1),
    "single rounding": lambda case: _sum_16({**case, "rounding": 2}, -1),
}


def _sum_16(case: Case, sign: int, wrap: bool = False) -> NDArray[np.int16]:
    a, b = (case[name].astype(np.int64) * 2 ** case["left_shift"] for name in ("input_a", "input_b"))
    total = requantize_ref(a, case["multiplier"][0], case["shift"][0], case["rounding"]).astype(np.int64)
    total += sign * requantize_ref(b, case["multiplier"][1], case["shift"][1], case["rounding"])
    value = requantize_ref(total, case["multiplier"][2], case["shift"][2], case["rounding"])
    return (value if wrap else np.clip(value, case["clamp_low"], case["clamp_high"])).astype(np.int16)


@pytest.mark.parametrize("mutant", MUTANTS_16.values(), ids=MUTANTS_16)
def test_the_comparison_of_16_bits_catches(mutant: Any) -> None:
    assert is_caught(mutant, SUB_16, draw_16)


def test_the_comparison_catches_roundings_swapped() -> None:
    def draw_mixed(rng: np.random.Generator) -> Case:
        return {**add_case_16(rng, PROFILES["tflite_double"]), "operand_rounding": 2}

    def swapped(case: Case) -> NDArray[np.int8]:
        return by_kernel(MIXED_16)({**case, "operand_rounding": 0, "rounding": 2})

    assert is_caught(swapped, MIXED_16, draw_mixed)


def test_the_unbroken_twin_of_16_bits_passes() -> None:
    assert not is_caught(lambda case: _sum_16(case, -1), SUB_16, draw_16)
