"""Laws of the product of two matrices of activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.batch_matmul import batch_matmul_case
from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.batch_matmul.batch_matmul import SPECS
from tests.kernels.drawn import every_profile, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
RUN = {name: by_kernel(spec) for name, spec in BY_NAME.items()}
every_name = pytest.mark.parametrize("name", BY_NAME)
Generator = np.random.Generator


@every_name
@every_profile
@given(rng=generators)
def test_batch_matmul_equals_its_reference(name: str, profile: Profile, rng: Generator) -> None:
    check_equals_reference(BY_NAME[name], RUN[name], batch_matmul_case(BY_NAME[name], rng, profile))


def transposed(case: Case, values: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    del case
    return values.reshape(-1, rows, columns).swapaxes(1, 2).ravel()


@every_name
@given(rng=generators)
def test_an_adjoint_is_a_transposed_matrix(name: str, rng: Generator) -> None:
    case = batch_matmul_case(BY_NAME[name], rng, any_profile(rng)) | {"adjoint_a": 0, "adjoint_b": 0}
    other = {
        **case,
        "input_a": transposed(case, case["input_a"], case["rows"], case["depth"]),
        "input_b": transposed(case, case["input_b"], case["depth"], case["columns"]),
        **{"adjoint_a": 1, "adjoint_b": 1},
    }
    np.testing.assert_array_equal(RUN[name](other), RUN[name](case))


@every_name
@given(rng=generators)
def test_the_transposed_product_is_the_product_of_the_transposed(name: str, rng: Generator) -> None:
    case = batch_matmul_case(BY_NAME[name], rng, any_profile(rng))
    swapped = {**case, "input_a": case["input_b"], "input_b": case["input_a"]}
    swapped |= {"rows": case["columns"], "columns": case["rows"]}
    swapped |= {"adjoint_a": 1 - case["adjoint_b"], "adjoint_b": 1 - case["adjoint_a"]}
    if name == "batch_matmul_a8":
        first, second = case["input_a_zero_point"], case["input_b_zero_point"]
        swapped |= {"input_a_zero_point": second, "input_b_zero_point": first}
    expected = transposed(case, RUN[name](swapped), case["columns"], case["rows"])
    np.testing.assert_array_equal(RUN[name](case), expected)


@pytest.mark.parametrize(("name", "depth"), [("batch_matmul_a8", 2**14 + 1), ("batch_matmul_a16", 3)])
def test_extreme_products_are_exact(name: str, depth: int) -> None:
    low = -128 if name == "batch_matmul_a8" else -(2**15)
    zero = {"input_a_zero_point": 127, "input_b_zero_point": 127, "output_zero_point": 0}
    case = {
        "input_a": np.full(depth, low, "int8" if low == -128 else "int16"),
        "input_b": np.full(depth, low, "int8" if low == -128 else "int16"),
        **{"multiplier": np.array([2**30], np.int32), "shift": np.array([-30], np.int32)},
        **{"rows": 1, "depth": depth, "columns": 1, "adjoint_a": 0, "adjoint_b": 0},
        **(zero if low == -128 else {}),
        **{"clamp_low": low, "clamp_high": -low - 1, "rounding": 4, "output_shape": (1,)},
    }
    exact = depth * (255 * 255 if low == -128 else 2**30)
    case["shift"] = np.array([-20], np.int32)
    assert RUN[name](case) == min((exact * 2**14 + 2**34) >> 35, -low - 1)


def changed(name: str, **changes: Callable[[Case], Any]) -> Callable[[Case], NDArray[Any]]:
    def run(case: Case) -> NDArray[Any]:
        other = {key: change(case) for key, change in changes.items()}
        return reference_of(BY_NAME[name], {**case, **other})

    return run


MUTANTS = {
    "zero point of a dropped": {"input_a_zero_point": lambda case: 0},
    "zero points swapped": {"input_b_zero_point": lambda case: case["input_a_zero_point"]},
    "b never transposed": {"adjoint_b": lambda case: 0},
    "a always transposed": {"adjoint_a": lambda case: 1},
    "rounding swapped": {"rounding": lambda case: 0 if case["rounding"] else 2},
    "batch elements reversed": {"input_b": lambda case: case["input_b"][::-1]},
}


@pytest.mark.parametrize("changes", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(changes: dict[str, Any]) -> None:
    spec = BY_NAME["batch_matmul_a8"]
    mutant = changed("batch_matmul_a8", **changes)
    assert is_caught(
        mutant, spec, lambda rng: batch_matmul_case(BY_NAME["batch_matmul_a8"], rng, any_profile(rng))
    )


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case = batch_matmul_case(BY_NAME["batch_matmul_a8"], rng, any_profile(rng))
        check_equals_reference(BY_NAME["batch_matmul_a8"], changed("batch_matmul_a8"), case)
