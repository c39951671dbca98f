"""Laws of gains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.trained_layers import gained_layer
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE, scale_multipliers
from fxpgrad_kernels.training.gain_ref import scale_multipliers_ref
from tests.kernels.drawn import generators


def run(multiplier, shift, gain):
    outputs = np.full((2, multiplier.size), -5, np.int32)
    cut = scale_multipliers(multiplier, shift, gain, outputs[0], outputs[1])
    return outputs[0], outputs[1], cut


@given(rng=generators)
def test_scaled_multipliers_equal_definition(rng):
    layer = gained_layer(rng)
    new_multiplier, new_shift, cut = run(*layer)
    expected = scale_multipliers_ref(*layer)
    np.testing.assert_array_equal(new_multiplier, expected[0])
    np.testing.assert_array_equal(new_shift, expected[1])
    gains = np.broadcast_to(layer[2], layer[0].shape)
    assert cut == int(((gains < LOWEST) | (gains > HIGHEST)).sum())


@given(rng=generators)
def test_results_are_normalized_and_within_half_a_unit(rng):
    multiplier, shift, gain = gained_layer(rng)
    new_multiplier, new_shift, _ = run(multiplier, shift, gain)
    for m, s, g, new_m, new_s in zip(
        multiplier.tolist(), shift.tolist(), np.broadcast_to(gain, multiplier.shape).tolist(),
        new_multiplier.tolist(), new_shift.tolist(), strict=True,
    ):  # fmt: skip
        if m == 0:
            assert (new_m, new_s) == (0, 0)
            continue
        assert 2**30 <= new_m < 2**31
        assert -31 <= new_s <= 30
        exact = m * max(LOWEST, min(HIGHEST, g))  # in units of 2**(s - 61)
        scale = 2 ** (new_s - s + 30)
        assert abs(2 * (new_m * scale - exact)) <= 2 * scale


@pytest.mark.parametrize("m", [2**30, 2**30 + 12345, 2**31 - 1])
def test_gain_of_one_changes_nothing(m):
    found = run(np.full(1, m, np.int32), np.full(1, -9, np.int32), np.full(1, ONE, np.int32))
    assert (int(found[0][0]), int(found[1][0]), found[2]) == (m, -9, 0)


def test_a_carry_into_the_next_power_is_normalized():
    """(2**30 + 1) * (2**31 - 2) = 2**61 - 2 has 61 bits, of which the upper 31 round to 2**31."""
    layer = [np.full(1, value, np.int32) for value in (2**30 + 1, 0, 2**31 - 2)]
    for found in (run(*layer), scale_multipliers_ref(*layer)):
        assert (int(found[0][0]), int(found[1][0])) == (2**30, 1)
