"""Laws of residuals."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from fxpgrad.conformance.cases.loss import residual_rows
from fxpgrad_kernels.loss.residuals import residuals_linear
from fxpgrad_kernels.loss.residuals_ref import FRACTION_BITS, residuals_linear_ref
from tests.kernels.drawn import generators

ONE = 2**FRACTION_BITS


@given(rng=generators)
def test_residuals_equal_definition(rng):
    case = residual_rows(rng)
    found = np.full(case[0].shape, -7, np.int32)
    residuals_linear(*case, found)
    np.testing.assert_array_equal(found, residuals_linear_ref(*case))


@given(rng=generators)
def test_residuals_are_softmax_less_onehot(rng):
    accumulators, multiplier, shift, labels = residual_rows(rng)
    found = np.zeros(accumulators.shape, np.int32)
    residuals_linear(accumulators, multiplier, shift, labels, found)
    logits = np.clip(accumulators * (multiplier * np.exp2(shift - 31.0)) / 2.0**24, -4096, 4096)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    expected[np.arange(len(labels)), labels] -= 1
    assert np.abs(found / ONE - expected).max() < 1 / ONE
    assert np.abs(found.sum(axis=1)).max() <= found.shape[1] / 2
