"""Laws of products, squared differences, selections and slopes of two activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.elementwise import multiply, prelu, selection
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

MUL, MUL_16, SQUARE, SQUARE_16 = multiply.SPECS
PRELU, PRELU_16 = prelu.SPECS


def width(spec: KernelSpec) -> int:
    return int(np.iinfo(spec.arguments[0].dtype).bits)


def multiply_case(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> dict[str, Any]:
    bits, n = width(spec), int(rng.integers(1, 40)) if rng.random() < 0.9 else 600
    low, high = sorted(int(bound) for bound in rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 2))
    return {
        "input_a": integers(rng, (n,), f"int{bits}"),
        "input_b": integers(rng, (n,), f"int{bits}"),
        **requantization(rng, profile, 1, 2.0 ** (2 * bits - 2), 2.0 ** (bits - 1)),
        **points(rng, bits, "input_a", "input_b", "output"),
        "clamp_low": low if rng.random() < 0.4 else -(2 ** (bits - 1)),
        "clamp_high": high if rng.random() < 0.4 else 2 ** (bits - 1) - 1,
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


def points(rng: np.random.Generator, bits: int, *names: str) -> dict[str, int]:
    return {f"{name}_zero_point": zero_point(rng) if bits == 8 else 0 for name in names}


def square_case(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> dict[str, Any]:
    case = multiply_case(rng, profile, spec)
    bits = width(spec)
    left = (7 if bits == 8 else 0) if rng.random() < 0.8 else int(rng.integers(0, 16))
    pairs = requantization(rng, profile, 2, 2.0 ** (bits + left), 2.0 ** (bits - 1 + left))
    result = requantization(rng, profile, 1, 2.0 ** (2 * (bits - 1 + left)), 2.0 ** (bits - 1))
    return {
        **{key: value for key, value in case.items() if not key.startswith("clamp")},
        **{key: np.concatenate([pairs[key], result[key]]) for key in pairs},
        "left_shift": left,
    }


def prelu_case(rng: np.random.Generator, profile: Profile, spec: KernelSpec) -> dict[str, Any]:
    bits, n = width(spec), int(rng.integers(1, 60))
    first = requantization(rng, profile, 1, 2.0 ** (bits - 1), 2.0 ** (bits - 1))
    second = requantization(rng, profile, 1, 2.0 ** (bits + 6), 2.0 ** (bits - 1))
    return {
        "input": integers(rng, (n,), f"int{bits}"),
        "slope": integers(rng, (n,), "int8"),
        **{key: np.concatenate([first[key], second[key]]) for key in first},
        **points(rng, 8, "input", "slope", "output"),
        "rounding": int(profile.rounding),
        "output_shape": (n,),
    }


CASES: list[tuple[KernelSpec, Callable[..., dict[str, Any]]]] = [
    (MUL, multiply_case),
    (MUL_16, multiply_case),
    (SQUARE, square_case),
    (SQUARE_16, square_case),
    (PRELU, prelu_case),
    (PRELU_16, prelu_case),
]


@pytest.mark.parametrize(("spec", "make"), CASES, ids=[spec.name for spec, _ in CASES])
@every_profile
@given(rng=generators)
def test_product_equals_its_reference(
    rng: np.random.Generator, profile: Profile, spec: KernelSpec, make: Callable[..., dict[str, Any]]
) -> None:
    check_equals_reference(spec, by_kernel(spec), make(rng, profile, spec))


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
    for spec, make in ((MUL, multiply_case), (SQUARE_16, square_case)):
        case = make(rng, profile, spec)
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
    return multiply_case(rng, any_profile(rng), MUL)


def draw_square(rng: np.random.Generator) -> Case:
    return square_case(rng, any_profile(rng), SQUARE)


def draw_prelu(rng: np.random.Generator) -> Case:
    return prelu_case(rng, any_profile(rng), PRELU)


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
