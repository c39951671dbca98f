"""Laws of the pooling operators."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.pooling.pooling import SPECS
from tests.kernels.legal_numbers import (
    any_profile,
    clamp_bounds,
    every_profile,
    generators,
    integers,
    profiles,
    requantization,
    zero_point,
)
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS}
every_window_kernel = pytest.mark.parametrize("name", ["max_pool2d_a8", "average_pool2d_a8"])


def one_axis(rng: np.random.Generator) -> dict[str, int]:
    """Return extent, size, stride, padding and output size: every window meets the image."""
    extent, size, stride = (int(n) for n in rng.integers(1, (7, 5, 4)))
    padding = int(rng.integers(0, size))
    most = (extent - 1 + padding) // stride + 1
    return {
        "extent": extent,
        "size": size,
        "stride": stride,
        "padding": padding,
        "output": int(rng.integers(1, most + 1)),
    }


def window_case(rng: np.random.Generator) -> dict[str, Any]:
    rows, columns = one_axis(rng), one_axis(rng)
    batch, channels = int(rng.integers(1, 3)), int(rng.choice([1, 2, 3, 17]))
    return {
        "input": integers(rng, (batch, rows["extent"], columns["extent"], channels), "int8"),
        "size_h": rows["size"],
        "size_w": columns["size"],
        "stride_h": rows["stride"],
        "stride_w": columns["stride"],
        "pad_top": rows["padding"],
        "pad_left": columns["padding"],
        **clamp_bounds(rng),
        "output_size": (rows["output"], columns["output"]),
        "output_shape": (batch, rows["output"], columns["output"], channels),
    }


def global_case(rng: np.random.Generator, profile: Profile) -> dict[str, Any]:
    batch, height, width, channels = (int(n) for n in rng.integers(1, (3, 7, 7, 5)))
    values = integers(rng, (batch, height, width, channels), "int8")
    return {
        "input": values,
        **requantization(rng, profile, 1, 100.0),
        "input_zero_point": zero_point(rng),
        "output_zero_point": zero_point(rng),
        "rounding": int(profile.rounding),
        "output_shape": (batch, channels),
    }


@every_window_kernel
@given(rng=generators)
def test_window_pooling_equals_its_reference(name: str, rng: np.random.Generator) -> None:
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), window_case(rng))


@every_profile
@given(rng=generators)
def test_global_average_pool2d_equals_its_reference(rng: np.random.Generator, profile: Profile) -> None:
    spec = BY_NAME["global_average_pool2d_a8"]
    check_equals_reference(spec, by_kernel(spec), global_case(rng, profile))


@every_window_kernel
@given(rng=generators)
def test_pooling_a_constant_gives_the_constant(name: str, rng: np.random.Generator) -> None:
    case = window_case(rng)
    value = int(rng.integers(-128, 128))
    case = {**case, "input": np.full_like(case["input"], value)}
    expected = np.clip(value, case["clamp_low"], case["clamp_high"])
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), np.full(case["output_shape"], expected))


@every_window_kernel
@given(rng=generators)
def test_a_one_pixel_window_copies(name: str, rng: np.random.Generator) -> None:
    x = integers(rng, (2, 3, 4, 5), "int8")
    ones = dict.fromkeys(("size_h", "size_w", "stride_h", "stride_w"), 1)
    case = {"input": x, **ones, "pad_top": 0, "pad_left": 0, "clamp_low": -128, "clamp_high": 127}
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])({**case, "output_shape": x.shape}), x)


@every_window_kernel
@given(rng=generators)
def test_pooling_is_monotone(name: str, rng: np.random.Generator) -> None:
    case = window_case(rng)
    raised = np.minimum(case["input"].astype(int) + rng.integers(0, 3, case["input"].shape), 127)
    run = by_kernel(BY_NAME[name])
    assert (run({**case, "input": raised.astype(np.int8)}) >= run(case)).all()


@given(rng=generators)
def test_average_is_odd_under_a_change_of_sign(rng: np.random.Generator) -> None:
    case = {**window_case(rng), "clamp_low": -127, "clamp_high": 127}
    case["input"] = np.maximum(case["input"], -127)
    run = by_kernel(BY_NAME["average_pool2d_a8"])
    np.testing.assert_array_equal(run({**case, "input": -case["input"]}), -run(case))


@pytest.mark.parametrize(("values", "mean"), [((0, 1), 1), ((0, -1), -1), ((-3, -2), -3), ((2, 3), 3)])
def test_average_ties_go_away_from_zero(values: tuple[int, int], mean: int) -> None:
    case = {
        "input": np.array(values, np.int8).reshape(1, 1, 2, 1),
        **{"size_h": 1, "size_w": 2, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0},
        **{"clamp_low": -128, "clamp_high": 127, "output_shape": (1, 1, 1, 1)},
    }
    assert by_kernel(BY_NAME["average_pool2d_a8"])(case).item() == mean


@given(rng=generators)
def test_average_is_within_half_of_the_true_mean(rng: np.random.Generator) -> None:
    x = integers(rng, (1, int(rng.integers(1, 9)), int(rng.integers(1, 9)), 1), "int8")
    case = {
        "input": x,
        **{
            "size_h": x.shape[1],
            "size_w": x.shape[2],
            "stride_h": 1,
            "stride_w": 1,
            "pad_top": 0,
            "pad_left": 0,
        },
        **{"clamp_low": -128, "clamp_high": 127, "output_shape": (1, 1, 1, 1)},
    }
    got = int(by_kernel(BY_NAME["average_pool2d_a8"])(case).item())
    assert abs(Fraction(int(x.astype(int).sum()), x.size) - got) <= Fraction(1, 2)


@given(rng=generators, profile=profiles)
def test_one_pixel_global_average_is_a_change_of_quantization(
    rng: np.random.Generator, profile: Profile
) -> None:
    case = global_case(rng, profile)
    x = case["input"][:, :1, :1]
    value = requantize_ref(
        x.astype(np.int64) - case["input_zero_point"],
        case["multiplier"][0],
        case["shift"][0],
        case["rounding"],
    )
    expected = np.clip(value + case["output_zero_point"], -128, 127)[:, 0, 0]
    actual = by_kernel(BY_NAME["global_average_pool2d_a8"])({**case, "input": x})
    np.testing.assert_array_equal(actual, expected)


def test_large_images_of_extremes_do_not_overflow() -> None:
    x = np.full((1, 512, 512, 3), -128, np.int8)
    mean = {
        "input": x,
        "multiplier": np.array([2**30], np.int32),
        "shift": np.array([0], np.int32),
        **{"input_zero_point": 127, "output_zero_point": 127, "rounding": 0, "output_shape": (1, 3)},
    }
    expected = BY_NAME["global_average_pool2d_a8"].reference
    names = ("input", "multiplier", "shift", "input_zero_point", "output_zero_point", "rounding")
    np.testing.assert_array_equal(
        by_kernel(BY_NAME["global_average_pool2d_a8"])(mean), expected(*[mean[name] for name in names])
    )
    window = {
        "input": x,
        "size_h": 512,
        "size_w": 512,
        "stride_h": 1,
        "stride_w": 1,
        "pad_top": 0,
        "pad_left": 0,
    }
    window |= {"clamp_low": -128, "clamp_high": 127, "output_shape": (1, 1, 1, 3)}
    np.testing.assert_array_equal(by_kernel(BY_NAME["average_pool2d_a8"])(window).ravel(), [-128] * 3)


def windows_of(case: Case) -> list[tuple[tuple[int, int, int], NDArray[np.int64]]]:
    """Return (b, oh, ow) and the valid pixels [n, C] of every window."""
    x = case["input"].astype(np.int64)
    found = []
    for b, oh, ow in np.ndindex(*case["output_shape"][:3]):
        top, left = oh * case["stride_h"] - case["pad_top"], ow * case["stride_w"] - case["pad_left"]
        rows = slice(max(top, 0), top + case["size_h"])
        columns = slice(max(left, 0), left + case["size_w"])
        found.append(((b, oh, ow), x[b, rows, columns].reshape(-1, x.shape[3])))
    return found


def clipped(case: Case, values: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.clip(values, case["clamp_low"], case["clamp_high"]).astype(np.int8)


def max_that_counts_padding_as_zero(case: Case) -> NDArray[np.int8]:
    output = np.zeros(case["output_shape"], np.int64)
    for at, pixels in windows_of(case):
        whole = case["size_h"] * case["size_w"]
        output[at] = pixels.max(axis=0) if len(pixels) == whole else np.maximum(pixels.max(axis=0), 0)
    return clipped(case, output)


def max_that_skips_the_clamp(case: Case) -> NDArray[np.int8]:
    output = np.zeros(case["output_shape"], np.int8)
    for at, pixels in windows_of(case):
        output[at] = pixels.max(axis=0)
    return output


def average_over_the_padded_count(case: Case) -> NDArray[np.int8]:
    output = np.zeros(case["output_shape"], np.int64)
    for at, pixels in windows_of(case):
        output[at] = np.rint(pixels.sum(axis=0) / (case["size_h"] * case["size_w"]))
    return clipped(case, output)


def average_with_ties_to_even(case: Case) -> NDArray[np.int8]:
    output = np.zeros(case["output_shape"], np.int64)
    for at, pixels in windows_of(case):
        output[at] = np.rint(pixels.mean(axis=0))
    return clipped(case, output)


def average_with_ties_up(case: Case) -> NDArray[np.int8]:
    output = np.zeros(case["output_shape"], np.int64)
    for at, pixels in windows_of(case):
        output[at] = np.floor(pixels.mean(axis=0) + 0.5)
    return clipped(case, output)


@pytest.mark.parametrize("mutant", [max_that_counts_padding_as_zero, max_that_skips_the_clamp])
def test_the_max_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, BY_NAME["max_pool2d_a8"], window_case)


@pytest.mark.parametrize(
    "mutant", [average_over_the_padded_count, average_with_ties_to_even, average_with_ties_up]
)
def test_the_average_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, BY_NAME["average_pool2d_a8"], window_case)


def global_mean(case: Case, fold: bool, zero_point_times_count: bool) -> NDArray[np.int8]:
    count = case["input"].shape[1] * case["input"].shape[2]
    total = case["input"].astype(np.int64).sum(axis=(1, 2))
    total -= case["input_zero_point"] * (count if zero_point_times_count else 1)
    multiplier, shift = int(case["multiplier"][0]), int(case["shift"][0])
    if fold:
        k = min(int(np.log2(count)), 31 + shift)
        multiplier, shift = (multiplier << k) // count, shift - k
    else:  # divide first, losing the fraction
        total = total // count
    value = requantize_ref(total, multiplier, shift, case["rounding"]) + case["output_zero_point"]
    return np.clip(value, -128, 127).astype(np.int8)


def draw_global(rng: np.random.Generator) -> Case:
    return global_case(rng, any_profile(rng))


def test_the_global_average_comparison_catches_a_missing_fold_and_a_single_zero_point() -> None:
    spec = BY_NAME["global_average_pool2d_a8"]
    assert is_caught(lambda case: global_mean(case, False, True), spec, draw_global)
    assert is_caught(lambda case: global_mean(case, True, False), spec, draw_global)
    assert not is_caught(lambda case: global_mean(case, True, True), spec, draw_global)
