"""Laws of the alignment of channels."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from fxpgrad.conformance.cases.trained_layers import alignment_case, moments_case
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.training.alignment_ref import align_channels_ref, channel_moments_ref
from fxpgrad_kernels.training.gain_ref import ONE
from tests.kernels.drawn import generators


@given(rng=generators)
def test_moments_equal_definition(rng):
    case = moments_case(rng)
    found = np.full(case["output_shape"], 77)
    kernel_named("channel_moments").function(case["values"], found, case["zero_point"], case["clamp_low"])
    np.testing.assert_array_equal(
        found, channel_moments_ref(case["values"], case["zero_point"], case["clamp_low"])
    )


@given(rng=generators)
def test_alignment_equals_definition(rng):
    case = alignment_case(rng)
    shapes, gains = case.pop("shapes"), case.pop("gains")
    gain, bias = np.full(shapes["gain"], 5, np.int32), np.full(shapes["new_bias"], 5, np.int32)
    arrays = [case[name] for name in ("moments", "target", "bias", "multiplier", "shift")]
    kernel_named("align_channels").function(*arrays, gain, bias, case["count"], case["target_count"])
    wanted = align_channels_ref(*case.values(), gains=gains)
    np.testing.assert_array_equal(gain, wanted[0])
    np.testing.assert_array_equal(bias, wanted[1])


def test_a_layer_that_has_the_target_already_stays():
    values = np.random.default_rng(0).integers(-100, 100, (500, 4)).astype(np.int8)
    moments = channel_moments_ref(values, 0, -128)
    bias = np.array([5, -7, 0, 99], np.int32)
    scale = np.full(4, 2**30, np.int32), np.full(4, -8, np.int32)
    gain, new_bias = align_channels_ref(moments, moments, bias, *scale, 500, 500)
    np.testing.assert_array_equal(gain, ONE)
    np.testing.assert_array_equal(new_bias, bias)


def test_an_affine_layer_gets_the_targets_mean_and_deviation():
    rng = np.random.default_rng(1)
    sums = rng.normal(0, 4000, (4000, 3)).astype(np.int64)
    target = channel_moments_ref(
        np.clip(np.rint(rng.normal(20, 15, (4000, 3))), -128, 127).astype(np.int8), 0, -128
    )
    multiplier, shift = np.full(3, 2**30, np.int32), np.full(3, -6, np.int32)  # 1 / 128
    bias = np.array([900, -900, 0], np.int32)

    def output(gain, bias):
        real = gain / ONE / 128
        return np.clip(np.rint((sums + bias) * real), -128, 127).astype(np.int8)

    before = channel_moments_ref(output(np.full(3, ONE), bias), 0, -128)
    gain, moved = align_channels_ref(before, target, bias, multiplier, shift, 4000, 4000)
    after = output(gain, moved).astype(np.float64)
    assert np.abs(after.mean(axis=0) - 20).max() < 1
    assert np.abs(after.std(axis=0) - 15).max() < 1
