"""Laws of the alignment of channels."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.training.alignment_ref import align_channels_ref, channel_moments_ref
from fxpgrad_kernels.training.gain_ref import ONE
from tests.kernels.training.cases import generators


def any_values(rng):
    rows, channels = int(rng.integers(1, 40)), int(rng.integers(1, 9))
    values = rng.choice([-128, -127, 0, 126, 127, int(rng.integers(-128, 128))], (rows, channels))
    low, zero_point = int(rng.choice([-128, 0, 5])), int(rng.choice([-128, 0, 127, 3]))
    return {
        "values": values.astype(np.int8), "zero_point": zero_point, "clamp_low": low,
        "output_shape": (3, channels),
    }  # fmt: skip


def any_alignment(rng):
    channels = int(rng.integers(1, 9))
    moments, counts = [], []
    for _ in range(2):
        rows = int(rng.integers(1, 99))
        values = np.clip(
            rng.normal(rng.integers(-90, 90), rng.choice([0.2, 5, 60]), (rows, channels)), -128, 127
        )
        moments.append(
            channel_moments_ref(np.rint(values).astype(np.int8), int(rng.integers(-128, 128)), -128)
        )
        counts.append(rows)
    bias = rng.choice([0, 1, 2**31 - 1, -(2**31) + 1, int(rng.integers(-(2**20), 2**20))], channels)
    return {
        "moments": moments[0], "target": moments[1], "bias": bias.astype(np.int32),
        "multiplier": rng.choice([0, 2**30, 2**31 - 1, 3 * 2**29 + 7], channels).astype(np.int32),
        "shift": rng.integers(-31, 31, channels).astype(np.int32),
        "count": counts[0], "target_count": counts[1],
        "gains": (gains := int(rng.choice([1, channels]))),
        "shapes": {"gain": (gains,), "new_bias": (channels,)},
    }  # fmt: skip


@given(rng=generators)
def test_moments_equal_definition(rng):
    case = any_values(rng)
    found = np.full(case["output_shape"], 77)
    kernel_named("channel_moments").function(case["values"], found, case["zero_point"], case["clamp_low"])
    np.testing.assert_array_equal(
        found, channel_moments_ref(case["values"], case["zero_point"], case["clamp_low"])
    )


@given(rng=generators)
def test_alignment_equals_definition(rng):
    case = any_alignment(rng)
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
