"""Laws of the exact gradient and of the step against it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.trained_layers import descent_case, outer_batch
from fxpgrad.conformance.cases.weights import LIMITS, weights
from fxpgrad_kernels.training.exact_gradient import WORDS, add_outer_products, descend
from fxpgrad_kernels.training.exact_gradient_ref import add_outer_products_ref, descend_ref
from fxpgrad_kernels.training.update import RoundingRule
from tests.kernels.drawn import generators


@given(rng=generators)
def test_outer_products_equal_definition_and_may_overwrite_what_was_before(rng):
    features, residuals, before, before_bias, zero_point = outer_batch(rng)
    expected = add_outer_products_ref(features, residuals, before, before_bias, zero_point)
    apart = (np.full_like(before, -1), np.full_like(before_bias, -1))
    add_outer_products(features, residuals, before, before_bias, *apart, zero_point)
    add_outer_products(features, residuals, before, before_bias, before, before_bias, zero_point)
    for found in (apart, (before, before_bias)):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@given(rng=generators)
def test_rows_may_be_added_in_parts(rng):
    features, residuals, before, before_bias, zero_point = outer_batch(rng)
    cut = int(rng.integers(0, len(features) + 1))
    whole, whole_bias = add_outer_products_ref(features, residuals, before, before_bias, zero_point)
    for part in (slice(0, cut), slice(cut, None)):
        add_outer_products(
            features[part], residuals[part], before, before_bias, before, before_bias, zero_point
        )
    np.testing.assert_array_equal(before, whole)
    np.testing.assert_array_equal(before_bias, whole_bias)


@pytest.mark.parametrize("dtype", LIMITS)
@given(rng=generators)
def test_descent_equals_definition(dtype, rng):
    case = descent_case(rng, dtype)
    expected, expected_counts = descend_ref(*case.values())
    found, counts = case["weights"].copy(), np.array([77, 88])
    arrays = [case[name] for name in ("gradient", "multiplier", "shift", "decay")]
    names = ("seed", "step", "tensor", "rounding_rule", "coarse", "first_index")
    numbers = [case[name] for name in names]
    descend(found, *arrays, np.zeros(WORDS, np.uint32), counts, *numbers)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(counts, expected_counts)


def test_stochastic_descent_is_unbiased():
    """A step of 3/8: on average over weights, the move is 3/8."""
    count = 40_000
    found, counts = np.zeros(count, np.int16), np.zeros(2, np.int64)
    descend(
        found, np.full(count, 3, np.int64), np.full(1, 2**30, np.int32), np.full(1, -2, np.int32),
        np.zeros(1, np.int32), np.zeros(WORDS, np.uint32), counts, 1, 2, 3, int(RoundingRule.STOCHASTIC),
        0, 0,
    )  # fmt: skip
    assert set(np.unique(found)) == {-1, 0}
    assert abs(-found.mean() - 0.375) < 0.01
    assert counts[0] == np.count_nonzero(found)


def test_a_tensor_in_parts_descends_as_a_whole():
    rng = np.random.default_rng(4)
    gradient, values = rng.integers(-(2**20), 2**20, 3 * 800), weights(rng, 3 * 800, "int16")
    scales = (
        np.full(3, 2**30, np.int32),
        np.array([-9, -20, -12], np.int32),
        np.array([0, 5, 2**20], np.int32),
    )
    whole, counts = values.copy(), np.zeros(2, np.int64)
    descend(whole, gradient, *scales, np.zeros(WORDS, np.uint32), counts, 1, 2, 3, 1, 0, 0)
    part, total = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for c in range(3):
        own = slice(800 * c, 800 * (c + 1))
        arrays = [array[c : c + 1] for array in scales]
        descend(values[own], gradient[own], *arrays, np.zeros(WORDS, np.uint32), part, 1, 2, 3, 1, 0, 800 * c)
        total += part
    np.testing.assert_array_equal(values, whole)
    np.testing.assert_array_equal(total, counts)


def test_decay_alone_pulls_towards_zero_without_bias():
    """A 64th of 32 is half a step: on average over weights."""
    values, counts = np.full(40_000, 32, np.int16), np.zeros(2, np.int64)
    descend(
        values, np.zeros(40_000, np.int64), np.full(1, 2**30, np.int32), np.zeros(1, np.int32),
        np.full(1, 2**25, np.int32), np.zeros(WORDS, np.uint32), counts, 1, 2, 3, 1, 0, 0,
    )  # fmt: skip
    assert abs((32 - values).mean() - 0.5) < 0.01
