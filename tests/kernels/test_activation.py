"""Laws of the clamping activation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.activation import clamp_case
from fxpgrad.conformance.cases.numbers import integers
from fxpgrad_kernels.activation.activation import SPECS
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import by_kernel, check_equals_reference, is_caught

CLAMP, CLAMP_16 = SPECS
draw = draw_of(CLAMP, clamp_case)


@given(rng=generators)
def test_clamp_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(CLAMP, by_kernel(CLAMP), draw(rng))


@given(rng=generators)
def test_clamp_of_16_bits_equals_its_reference(rng: np.random.Generator) -> None:
    low, high = sorted(int(bound) for bound in rng.integers(-(2**15), 2**15, 2))
    case = {"input": integers(rng, (30,), "int16"), "clamp_low": low, "clamp_high": high}
    check_equals_reference(CLAMP_16, by_kernel(CLAMP_16), {**case, "output_shape": (30,)})


@given(rng=generators)
def test_clamping_twice_is_clamping_once(rng: np.random.Generator) -> None:
    case = draw(rng)
    once = by_kernel(CLAMP)(case)
    np.testing.assert_array_equal(by_kernel(CLAMP)({**case, "input": once}), once)


def test_clamp_is_exact_for_every_value_and_a_grid_of_bounds() -> None:
    x = np.arange(-128, 128).astype(np.int8)
    for low in range(-128, 128, 17):
        for high in range(low, 128, 13):
            case = {"input": x, "clamp_low": low, "clamp_high": high, "output_shape": x.shape}
            np.testing.assert_array_equal(by_kernel(CLAMP)(case), np.clip(x, low, high))


def test_clamp_may_write_over_its_input() -> None:
    x = np.arange(-128, 128).astype(np.int8)
    CLAMP.function(x, x, -5, 9)
    np.testing.assert_array_equal(x, np.clip(np.arange(-128, 128), -5, 9))


MUTANTS = {
    "no lower bound": lambda case: np.minimum(case["input"], case["clamp_high"]).astype(np.int8),
    "no upper bound": lambda case: np.maximum(case["input"], case["clamp_low"]).astype(np.int8),
    "relu at zero": lambda case: np.clip(case["input"], 0, 127),
    "upper bound excluded": lambda case: np.clip(case["input"], case["clamp_low"], case["clamp_high"] - 1),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, CLAMP, draw)
