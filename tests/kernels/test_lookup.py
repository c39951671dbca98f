"""Laws of functions that are read off a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.lookup import lookup_case, sigmoid_case
from fxpgrad_kernels.lookup import lookup, sigmoid
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import by_kernel, check_equals_reference, is_caught

(LOOKUP,) = lookup.SPECS
LOGISTIC, TANH = sigmoid.SPECS
draw_lookup, draw_sigmoid = draw_of(LOOKUP, lookup_case), draw_of(LOGISTIC, sigmoid_case)


@given(rng=generators)
def test_lookup_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(LOOKUP, by_kernel(LOOKUP), draw_lookup(rng))


@pytest.mark.parametrize("spec", [LOGISTIC, TANH], ids=["logistic", "tanh"])
@given(rng=generators)
def test_interpolation_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    check_equals_reference(spec, by_kernel(spec), draw_sigmoid(rng))


def test_every_value_finds_its_own_entry() -> None:
    x = np.arange(-128, 128).astype(np.int8)
    case = {"input": x, "table": x[::-1].copy(), "output_shape": x.shape}
    np.testing.assert_array_equal(by_kernel(LOOKUP)(case), x[::-1])


def test_tanh_at_a_step_of_the_table_is_the_table() -> None:
    table = np.sort(np.random.default_rng(0).integers(2**15, 2**16, 256)).astype(np.int32)
    table[0] = 2**15  # 1/2: tanh(0) is 0
    x = np.arange(-254, 255).astype(np.int16)
    case = {"input": x, "table": table, "input_multiplier": 256, "input_shift": 0, "output_shape": x.shape}
    expected = np.sign(x) * (table[np.abs(x)] - 2**15)
    np.testing.assert_array_equal(by_kernel(TANH)(case), expected)


MUTANTS = {
    "unsigned order": lambda case: case["table"][case["input"].astype(np.uint8)],
    "one entry late": lambda case: case["table"][np.minimum(case["input"].astype(int) + 129, 255)],
}
SIGMOID_MUTANTS = {
    "the other function": by_kernel(TANH),
    "no input shift": lambda case: by_kernel(LOGISTIC)({**case, "input_shift": 0}),
    "even function": lambda case: by_kernel(LOGISTIC)(
        {**case, "input": np.abs(np.maximum(case["input"], -(2**15) + 1))}
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, LOOKUP, draw_lookup)


@pytest.mark.parametrize("mutant", SIGMOID_MUTANTS.values(), ids=SIGMOID_MUTANTS)
def test_the_comparison_of_interpolations_catches(mutant: Any) -> None:
    assert is_caught(mutant, LOGISTIC, draw_sigmoid)
