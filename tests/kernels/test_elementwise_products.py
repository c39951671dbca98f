"""Laws of products, squared differences, selections and slopes of two activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.elementwise import multiply_case, prelu_case, squared_difference_case
from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.elementwise import multiply, prelu, selection
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

MUL, MUL_16, SQUARE, SQUARE_16 = multiply.SPECS
PRELU, PRELU_16 = prelu.SPECS


CASES: list[tuple[KernelSpec, Callable[..., dict[str, Any]]]] = [
    (MUL, multiply_case),
    (MUL_16, multiply_case),
    (SQUARE, squared_difference_case),
    (SQUARE_16, squared_difference_case),
    (PRELU, prelu_case),
    (PRELU_16, prelu_case),
]


@pytest.mark.parametrize(("spec", "make"), CASES, ids=[spec.name for spec, _ in CASES])
@every_profile
@given(rng=generators)
def test_product_equals_its_reference(
    rng: np.random.Generator, profile: Profile, spec: KernelSpec, make: Callable[..., dict[str, Any]]
) -> None:
    check_equals_reference(spec, by_kernel(spec), make(spec, rng, profile))


@pytest.mark.parametrize("spec", selection.SPECS, ids=[spec.name for spec in selection.SPECS])
@given(rng=generators)
def test_selection_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    dtype, n = spec.arguments[0].dtype, int(rng.integers(1, 60))
    case = {"input_a": integers(rng, (n,), dtype), "input_b": integers(rng, (n,), dtype)}
    check_equals_reference(spec, by_kernel(spec), {**case, "output_shape": (n,)})
    swapped = {"input_a": case["input_b"], "input_b": case["input_a"], "output_shape": (n,)}
    np.testing.assert_array_equal(by_kernel(spec)({**case, "output_shape": (n,)}), by_kernel(spec)(swapped))


@given(rng=generators, profile=profiles)
def test_products_commute(rng: np.random.Generator, profile: Profile) -> None:
    for spec, make in ((MUL, multiply_case), (SQUARE_16, squared_difference_case)):
        case = make(spec, rng, profile)
        swapped = {
            **case,
            "input_a": case["input_b"],
            "input_b": case["input_a"],
            "input_a_zero_point": case["input_b_zero_point"],
            "input_b_zero_point": case["input_a_zero_point"],
        }
        if spec is SQUARE_16:
            swapped |= {key: case[key][[1, 0, 2]] for key in ("multiplier", "shift")}
        np.testing.assert_array_equal(by_kernel(spec)(case), by_kernel(spec)(swapped))


def test_squares_beyond_int32_saturate_before_the_last_pair() -> None:
    case = {
        "input_a": np.array([127], np.int8),
        "input_b": np.array([-128], np.int8),
        "multiplier": np.array([2**31 - 1, 2**31 - 1, 2**30], np.int32),
        "shift": np.array([10, 10, -24], np.int32),
        **dict.fromkeys(("input_a_zero_point", "input_b_zero_point", "output_zero_point"), 0),
        "left_shift": 15,
        "rounding": 0,
        "output_shape": (1,),
    }
    assert by_kernel(SQUARE)(case).tolist() == [64]  # 2**31 * 2**-25
    check_equals_reference(SQUARE, by_kernel(SQUARE), case)


def product_of(case: Case, *, points: bool = True, rounding: int | None = None) -> NDArray[np.int64]:
    a = case["input_a"].astype(np.int64) - points * case["input_a_zero_point"]
    b = case["input_b"].astype(np.int64) - points * case["input_b_zero_point"]
    code = case["rounding"] if rounding is None else rounding
    value = requantize_ref(a * b, case["multiplier"][0], case["shift"][0], code)
    return value.astype(np.int64) + case["output_zero_point"]


def clipped(case: Case, value: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.clip(value, case["clamp_low"], case["clamp_high"]).astype(np.int8)


def draw_multiply(rng: np.random.Generator) -> Case:
    return multiply_case(MUL, rng, any_profile(rng))


def draw_square(rng: np.random.Generator) -> Case:
    return squared_difference_case(SQUARE, rng, any_profile(rng))


def draw_prelu(rng: np.random.Generator) -> Case:
    return prelu_case(PRELU, rng, any_profile(rng))


def without(*names: str) -> Callable[[KernelSpec], Callable[[Case], NDArray[Any]]]:
    """Return the kernel with some parameters at 0."""
    return lambda spec: lambda case: by_kernel(spec)({**case, **dict.fromkeys(names, 0)})


def positive_branch_for_zero_and_below(case: Case) -> NDArray[Any]:
    first = {key: case[key][[0, 0]] for key in ("multiplier", "shift")}
    return by_kernel(PRELU)({**case, **first})


MUTANTS: dict[str, tuple[KernelSpec, Callable[[np.random.Generator], Case], Callable[[Case], Any]]] = {
    "mul: wraps": (MUL, draw_multiply, lambda case: product_of(case).astype(np.int8)),
    "mul: zero points left in": (
        MUL,
        draw_multiply,
        lambda case: clipped(case, product_of(case, points=False)),
    ),
    "mul: ties up": (MUL, draw_multiply, lambda case: clipped(case, product_of(case, rounding=1))),
    "mul: single": (MUL, draw_multiply, lambda case: clipped(case, product_of(case, rounding=2))),
    "square: no fraction bits": (SQUARE, draw_square, without("left_shift")(SQUARE)),
    "square: no zero point": (SQUARE, draw_square, without("input_b_zero_point")(SQUARE)),
    "prelu: no slope zero point": (PRELU, draw_prelu, without("slope_zero_point")(PRELU)),
    "prelu: one pair": (PRELU, draw_prelu, positive_branch_for_zero_and_below),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_catches(name: str) -> None:
    spec, draw, mutant = MUTANTS[name]
    assert is_caught(mutant, spec, draw)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    assert not is_caught(lambda case: clipped(case, product_of(case)), MUL, draw_multiply)
