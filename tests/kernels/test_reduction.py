"""Laws of sums, means, extremes and their places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad.conformance.cases.reduction import sum_case, view
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.reduction.extremes import SPECS as EXTREMES
from fxpgrad_kernels.reduction.sums import GREATEST_REDUCED
from fxpgrad_kernels.reduction.sums import SPECS as SUMS
from tests.kernels.drawn import every_profile, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in (*SUMS, *EXTREMES)}
SUM_NAMES = [spec.name for spec in SUMS]
EXTREME_NAMES = [spec.name for spec in EXTREMES]
every_sum = pytest.mark.parametrize("name", SUM_NAMES)
every_extreme = pytest.mark.parametrize("name", EXTREME_NAMES)


def dtype_of(name: str) -> str:
    return f"int{name.rsplit('_a', 1)[1]}"


def cube(case: Case) -> NDArray[np.int64]:
    """Return the input as [outer, reduced, inner]."""
    return case["input"].astype(np.int64).reshape(-1, case["reduced"], case["inner"])


@every_sum
@every_profile
@given(rng=generators)
def test_sum_equals_its_reference(name: str, rng: np.random.Generator, profile: Profile) -> None:
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), sum_case(BY_NAME[name], rng, profile))


@every_extreme
@given(rng=generators)
def test_extreme_equals_its_reference(name: str, rng: np.random.Generator) -> None:
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), view(BY_NAME[name], rng))


@every_sum
@given(rng=generators)
def test_sum_does_not_care_for_the_order(name: str, rng: np.random.Generator) -> None:
    case = sum_case(BY_NAME[name], rng, any_profile(rng))
    x = case["input"].reshape(-1, case["reduced"], case["inner"])[:, ::-1].copy()
    run = by_kernel(BY_NAME[name])
    np.testing.assert_array_equal(run({**case, "input": x.ravel()}), run(case))


@every_sum
@given(rng=generators)
def test_one_element_is_a_change_of_quantization(name: str, rng: np.random.Generator) -> None:
    case = {**sum_case(BY_NAME[name], rng, any_profile(rng)), "reduced": 1}
    case |= {"output_shape": case["input"].shape, "inner": case["input"].size}
    centred = case["input"].astype(np.int64) - case["input_zero_point"]
    value = requantize_ref(centred, case["multiplier"][0], case["shift"][0], case["rounding"])
    limits = np.iinfo(case["input"].dtype)
    expected = np.clip(value + case["output_zero_point"], limits.min, limits.max)
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), expected)


@pytest.mark.parametrize("name", ["mean_a8", "mean_a16"])
@given(rng=generators)
def test_mean_is_near_the_true_mean(name: str, rng: np.random.Generator) -> None:
    case = sum_case(BY_NAME[name], rng, PROFILES["tflite_double"])
    case |= {"multiplier": np.array([2**30], np.int32), "shift": np.array([1], np.int32)}
    case |= {"input_zero_point": 5, "output_zero_point": 5}
    error = by_kernel(BY_NAME[name])(case) - cube(case).mean(axis=1).ravel()
    assert np.abs(error).max() < 0.76  # rounded twice


@pytest.mark.parametrize("name", SUM_NAMES)
def test_the_greatest_sums_do_not_overflow(name: str) -> None:
    dtype = dtype_of(name)
    limits = np.iinfo(dtype)
    count = GREATEST_REDUCED[dtype]
    case = {
        "input": np.full(count, limits.min, dtype),
        "multiplier": np.array([2**30], np.int32),
        "shift": np.array([0 if name.startswith("mean") else -20], np.int32),
        "input_zero_point": limits.max if dtype == "int8" else 0,
        **{"output_zero_point": 1, "rounding": 0, "reduced": count, "inner": 1, "output_shape": (1,)},
    }
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), case)


@every_extreme
@given(rng=generators)
def test_extremes_are_where_numpy_finds_them(name: str, rng: np.random.Generator) -> None:
    case = view(BY_NAME[name], rng)
    what = {"reduce_max": np.max, "reduce_min": np.min, "arg_max": np.argmax, "arg_min": np.argmin}
    expected = what[name.rsplit("_", 1)[0]](cube(case), axis=1)
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), expected.ravel())


@pytest.mark.parametrize("name", ["arg_max_a8", "arg_min_a16"])
def test_the_first_of_equals_wins(name: str) -> None:
    x = np.array([3, 7, 7, 3, 3, 7], dtype_of(name))
    case = {"input": x, "reduced": 6, "inner": 1, "output_shape": (1,)}
    assert by_kernel(BY_NAME[name])(case).tolist() == [1 if name.startswith("arg_max") else 0]


# --- plausible wrong implementations


def rescaled(case: Case, total: NDArray[np.int64], pair: tuple[int, int]) -> NDArray[np.int8]:
    value = requantize_ref(total, *pair, case["rounding"]) + case["output_zero_point"]
    return np.clip(value, -128, 127).astype(np.int8).ravel()


def own_pair(case: Case) -> tuple[int, int]:
    return int(case["multiplier"][0]), int(case["shift"][0])


def folded(case: Case) -> tuple[int, int]:
    multiplier, shift = own_pair(case)
    k = min(int(np.log2(case["reduced"])), 31 + shift)
    return (multiplier << k) // case["reduced"], shift - k


def centred_sum(case: Case) -> NDArray[np.int64]:
    return (cube(case) - case["input_zero_point"]).sum(axis=1)


def folded_without_precision(case: Case) -> NDArray[np.int8]:
    multiplier, shift = own_pair(case)
    return rescaled(case, centred_sum(case), (multiplier // case["reduced"], shift))


MEAN_MUTANTS = {
    "divides first": lambda case: rescaled(case, centred_sum(case) // case["reduced"], own_pair(case)),
    "one zero point": lambda case: rescaled(
        case, cube(case).sum(axis=1) - case["input_zero_point"], folded(case)
    ),
    "an unshifted fold": folded_without_precision,
    "outer and inner exchanged": lambda case: rescaled(
        case,
        (case["input"].reshape(case["inner"], case["reduced"], -1) - np.int64(case["input_zero_point"])).sum(
            1
        ),
        folded(case),
    ),
}


def draw_mean(rng: np.random.Generator) -> Case:
    return sum_case(BY_NAME["mean_a8"], rng, any_profile(rng))


@pytest.mark.parametrize("mutant", MEAN_MUTANTS.values(), ids=MEAN_MUTANTS)
def test_the_mean_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, BY_NAME["mean_a8"], draw_mean)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    def unbroken(case: Case) -> NDArray[np.int8]:
        return rescaled(case, centred_sum(case), folded(case))

    assert not is_caught(unbroken, BY_NAME["mean_a8"], draw_mean)


def last_of_equals(case: Case) -> NDArray[np.int32]:
    return (case["reduced"] - 1 - cube(case)[:, ::-1].argmax(axis=1)).astype(np.int32).ravel()


def test_the_place_comparison_catches_the_last_of_equals() -> None:
    assert is_caught(last_of_equals, BY_NAME["arg_max_a8"], lambda rng: view(BY_NAME["arg_max_a8"], rng))
