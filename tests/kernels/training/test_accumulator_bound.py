"""Laws of the accumulator bound."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.trained_layers import any_layer
from fxpgrad_kernels.jit import llvm_ir
from fxpgrad_kernels.training.accumulator_bound import accumulator_bound, channel_bounds, channel_sums
from fxpgrad_kernels.training.accumulator_bound_ref import (
    accumulator_bound_ref,
    channel_bounds_ref,
    channel_sums_ref,
)
from tests.kernels.drawn import generators

EVERY_DTYPE = pytest.mark.parametrize("dtype", ["int8", "int16"])


@EVERY_DTYPE
@given(rng=generators)
def test_bounds_equal_definition(dtype, rng):
    layer, bias, zero_point = any_layer(rng, dtype)
    output = np.full(len(bias), -1, np.int64)
    channel_bounds(layer, bias, output, zero_point)
    np.testing.assert_array_equal(output, channel_bounds_ref(layer, bias, zero_point))
    assert accumulator_bound(layer, bias, zero_point) == accumulator_bound_ref(layer, bias, zero_point)


@EVERY_DTYPE
@given(rng=generators)
def test_sums_equal_definition(dtype, rng):
    layer, _, _ = any_layer(rng, dtype)
    magnitudes, totals = np.full((2, len(layer)), -1, np.int64)
    channel_sums(layer, magnitudes, totals)
    for actual, expected in zip((magnitudes, totals), channel_sums_ref(layer), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_sums_of_long_rows_of_extremes_do_not_wrap():
    """Rows of several runs: 32-bit sums of a run hold, and runs are added in 64 bits."""
    layer = np.full((2, 3 * 2**15 + 5), -32768, np.int16)
    layer[1] = 32767
    magnitudes, totals = np.zeros((2, 2), np.int64)
    channel_sums(layer, magnitudes, totals)
    np.testing.assert_array_equal(totals, layer.astype(np.int64).sum(axis=1))
    np.testing.assert_array_equal(magnitudes, np.abs(totals))


@EVERY_DTYPE
@given(rng=generators)
def test_no_partial_sum_exceeds_the_bound(dtype, rng):
    layer, bias, zero_point = any_layer(rng, dtype)
    x = np.where(rng.random(layer.shape[1]) < 0.5, rng.choice([-128, 127]), rng.integers(-128, 128)).astype(
        np.int64
    )
    wide = layer.astype(np.int64)
    folded = bias.astype(np.int64) - zero_point * wide.sum(axis=1)
    sums = np.cumsum(np.concatenate((folded[:, None], wide * x), axis=1), axis=1)
    assert (np.abs(sums).max(axis=1) <= channel_bounds_ref(layer, bias, zero_point)).all()


@given(rng=generators)
def test_bound_is_reached_by_weights_of_one_sign(rng):
    """Tight: with all weights negative and x = -128 the last sum is the bound."""
    layer = -rng.integers(1, 32768, (1, int(rng.integers(1, 50)))).astype(np.int16)
    bias = rng.integers(0, 2**20, 1).astype(np.int32)
    assert accumulator_bound(layer, bias, 0) == int((layer.astype(np.int64) * -128).sum() + bias[0])


def test_bound_exceeds_int32_where_the_accumulator_does():
    layer = np.full((1, 576), 32767, np.int16)
    assert accumulator_bound(layer, np.zeros(1, np.int32), 0) > 2**31
    assert accumulator_bound(layer[:, :500].copy(), np.zeros(1, np.int32), 0) < 2**31


def test_machine_code_of_the_largest_bound_holds_no_float():
    """`accumulator_bound` has no output array, hence no spec, hence a scan of its own."""
    for dtype in (np.int8, np.int16):
        ir = llvm_ir(accumulator_bound, np.zeros((1, 1), dtype), np.zeros(1, np.int32), 0)
        assert not re.search(r"\b(float|double|half|fadd|fmul|sitofp)\b", ir)


def without_zero_point(layer, bias, zero_point):
    return 128 * np.abs(layer.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))


def narrow_magnitude(layer, bias, zero_point):
    folded = bias.astype(np.int64) - zero_point * layer.astype(np.int64).sum(axis=1)
    return 127 * np.abs(layer.astype(np.int64)).sum(axis=1) + np.abs(folded)


@pytest.mark.parametrize("mutant", [without_zero_point, narrow_magnitude])
def test_comparison_catches_a_planted_fault(mutant):
    layers = [any_layer(np.random.default_rng(seed), "int16") for seed in range(50)]
    assert any((mutant(*layer) != channel_bounds_ref(*layer)).any() for layer in layers)
