"""Laws of L2 normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.conformance.cases.softmax import normalization_case
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar
from fxpgrad_kernels.normalization.normalization import GREATEST_DEPTH, SPECS
from fxpgrad_kernels.normalization.normalization_ref import inverse_root_ref
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

(L2,) = SPECS
case_of = draw_of(L2, normalization_case)


@given(rng=generators)
def test_l2_normalization_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(L2, by_kernel(L2), case_of(rng))


@given(rng=generators)
def test_l2_normalization_is_near_the_real_one(rng: np.random.Generator) -> None:
    case = {**case_of(rng), "rounding": 0}
    centred = case["input"].reshape(-1, case["depth"]).astype(float) - case["input_zero_point"]
    length = np.maximum(np.sqrt((centred**2).sum(axis=1, keepdims=True)), 1e-9)
    error = by_kernel(L2)(case).reshape(centred.shape) - np.clip(centred / length * 128, -128, 127)
    assert np.abs(error).max() < 0.76  # rounded twice


@given(total=st.integers(2, 2**31 - 1))
def test_inverse_root_is_near_the_real_one(total: int) -> None:
    multiplier, shift = inverse_root_ref(total)
    assert 0 < multiplier < 2**31
    assert -12 <= shift <= 0
    assert math.isclose(multiplier * 2.0 ** (shift - 31), total**-0.5, rel_tol=2e-5)


def test_a_row_at_the_zero_point_and_the_longest_row() -> None:
    case = {"depth": 4, "input_zero_point": 7, "rounding": 0, "output_shape": (4,)}
    assert not by_kernel(L2)({**case, "input": np.full(4, 7, np.int8)}).any()
    longest = {"input": np.full(GREATEST_DEPTH, 127, np.int8), "depth": GREATEST_DEPTH}
    longest |= {"input_zero_point": -128, "rounding": 0, "output_shape": (GREATEST_DEPTH,)}
    check_equals_reference(L2, by_kernel(L2), longest)


def normalized(case: Case, *, zero: bool = True, extra: int = 0, bits: int = 31) -> NDArray[np.int8]:
    output = []
    for row in case["input"].reshape(-1, case["depth"]):
        centred = [int(x) - (case["input_zero_point"] if zero else 0) for x in row]
        multiplier, shift = inverse_root_ref(sum(x * x for x in centred) + extra)
        multiplier = multiplier >> (31 - bits) << (31 - bits)
        output += [requantize_scalar(x, multiplier, shift + 7, case["rounding"]) for x in centred]
    return np.clip(output, -128, 127).astype(np.int8)


MUTANTS = {
    "zero point left in": lambda case: normalized(case, zero=False),
    "an epsilon under the root": lambda case: normalized(case, extra=1),
    "a root of 8 bits": lambda case: normalized(case, bits=8),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, L2, case_of)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    assert not is_caught(normalized, L2, case_of)
