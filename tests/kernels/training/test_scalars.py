"""Laws of the scalars by magnitude."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from fxpgrad.conformance.cases.trained_layers import differences_case
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.training.scalars_ref import scale_differences_ref
from tests.kernels.drawn import generators


def scaled(differences, typical, places):
    state, scalars = np.array([typical], np.int64), np.full(differences.size, 99, np.int32)
    kernel_named("scale_differences").function(differences, state, scalars, places)
    return scalars, state


@given(rng=generators)
def test_scalars_equal_definition(rng):
    case = differences_case(rng)
    differences, typical, places = case["differences"], int(case["typical"][0]), case["places"]
    wanted = scale_differences_ref(differences, np.array([typical]), places)
    found = scaled(differences, typical, places)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@given(rng=generators)
def test_scalars_are_odd_and_bounded(rng):
    differences = rng.integers(-(2**40), 2**40, 7)
    plus, minus = (scaled(sign * differences, 0, 3)[0] for sign in (1, -1))
    np.testing.assert_array_equal(plus, -minus)
    assert np.abs(plus).max() <= 32


def test_differences_of_the_usual_size_get_between_half_and_all_of_a_unit():
    for size in (1, 2, 3, 1000, 2**30 + 5):
        scalars, _ = scaled(np.array([size, -size]), 0, 8)
        assert 128 <= scalars[0] <= 256
        assert scalars[1] == -scalars[0]


def test_no_difference_at_all_is_no_step():
    scalars, typical = scaled(np.zeros(4, np.int64), 0, 4)
    assert not scalars.any()
    assert typical[0] == 0
