"""Laws of residuals."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from fxpgrad_kernels.loss.residuals import residuals_linear
from fxpgrad_kernels.loss.residuals_ref import FRACTION_BITS, residuals_linear_ref
from tests.kernels.training.cases import generators

ONE = 2**FRACTION_BITS


def any_rows(rng):
    rows, classes = int(rng.integers(1, 6)), int(rng.integers(1, 12))
    reach = 2 ** int(rng.integers(1, 31))
    accumulators = rng.integers(-reach, reach, (rows, classes)).astype(np.int32)
    multiplier = rng.integers(2**30, 2**31, classes).astype(np.int32)
    shift = np.full(classes, rng.choice([-20, 0, 5, 12]), np.int32)
    return accumulators, multiplier, shift, rng.integers(0, classes, rows).astype(np.int32)


@given(rng=generators)
def test_residuals_equal_definition(rng):
    case = any_rows(rng)
    found = np.full(case[0].shape, -7, np.int32)
    residuals_linear(*case, found)
    np.testing.assert_array_equal(found, residuals_linear_ref(*case))


@given(rng=generators)
def test_residuals_are_softmax_less_onehot(rng):
    accumulators, multiplier, shift, labels = any_rows(rng)
    found = np.zeros(accumulators.shape, np.int32)
    residuals_linear(accumulators, multiplier, shift, labels, found)
    logits = np.clip(accumulators * (multiplier * np.exp2(shift - 31.0)) / 2.0**24, -4096, 4096)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    expected[np.arange(len(labels)), labels] -= 1
    assert np.abs(found / ONE - expected).max() < 1 / ONE
    assert np.abs(found.sum(axis=1)).max() <= found.shape[1] / 2
