"""Laws of the depthwise convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.depthwise_conv2d import depthwise_case
from fxpgrad.conformance.cases.numbers import any_profile, clamp_bounds, integers, zero_point
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d import SPECS
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_ref import depthwise_accumulator_ref
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
WEIGHTS = {
    "depthwise_conv2d_a8w8": "int8",
    "depthwise_conv2d_a8w16": "int16",
    "depthwise_conv2d_a8w16_split": "int16",
}
every_kernel = pytest.mark.parametrize("name", BY_NAME)


@every_profile
@given(rng=generators)
def test_depthwise_conv2d_equals_its_reference(rng: np.random.Generator, profile: Profile) -> None:
    name = str(rng.choice(tuple(WEIGHTS)))
    case = depthwise_case(rng, profile, WEIGHTS[name])
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), case)


@every_profile
@given(rng=generators)
def test_depthwise_conv2d_equals_its_reference_at_the_ends_of_vectors(
    rng: np.random.Generator, profile: Profile
) -> None:
    name = str(rng.choice(["depthwise_conv2d_a8w8", "depthwise_conv2d_a8w16"]))
    case = depthwise_case(rng, profile, WEIGHTS[name], vectors=True)
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), case)


@pytest.mark.parametrize("rounding", [0, 1, 2, 3])
def test_every_right_shift_and_tie_is_rounded_as_defined(rounding: int) -> None:
    """Sums from -2**30 to 2**30 reach the vectors as biases: what a bias of 2**30 and more does not."""
    spec = BY_NAME["depthwise_conv2d_a8w8"]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        outputs = 64
        shift = rng.integers(-31, 1 - (seed % 2), outputs)
        near_ties = (2.0 ** (-shift) * rng.integers(-150, 151, outputs)).clip(-(2**30), 2**30)
        bias = near_ties.astype(np.int64) + rng.integers(-2, 3, outputs)
        bias = np.where(rng.random(outputs) < 0.2, rng.choice([-(2**30), 2**30], outputs), bias)
        case = {
            "input": integers(rng, (1, 3, 4, outputs), "int8"),
            "weights": integers(rng, (1, 3, 3, outputs), "int8"),
            "bias": bias.astype(np.int32),
            "multiplier": rng.choice([2**30, 2**30 + 1, 2**31 - 1, 1 << 20, 0], outputs).astype(np.int32),
            "shift": shift.astype(np.int32),
            **dict.fromkeys(("stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w"), 1),
            "input_zero_point": zero_point(rng),
            "output_zero_point": zero_point(rng),
            **clamp_bounds(rng),
            "rounding": rounding,
            "accumulator_bits": 32,
            "output_size": (3, 4),
            "output_shape": (1, 3, 4, outputs),
        }
        check_equals_reference(spec, by_kernel(spec), case)


@given(rng=generators, profile=profiles)
def test_two_int8_passes_give_the_bits_of_one_int16_pass(rng: np.random.Generator, profile: Profile) -> None:
    case = depthwise_case(rng, profile, "int16")
    whole = by_kernel(BY_NAME["depthwise_conv2d_a8w16"])(case)
    split = by_kernel(BY_NAME["depthwise_conv2d_a8w16_split"])(case)
    np.testing.assert_array_equal(split, whole)


@given(rng=generators, profile=profiles)
def test_int8_weights_widened_to_int16_change_nothing(rng: np.random.Generator, profile: Profile) -> None:
    case = depthwise_case(rng, profile, "int8")
    narrow = by_kernel(BY_NAME["depthwise_conv2d_a8w8"])(case)
    wide = by_kernel(BY_NAME["depthwise_conv2d_a8w16"])({**case, "weights": case["weights"].astype(np.int16)})
    np.testing.assert_array_equal(wide, narrow)


def dense_accumulator(case: Case) -> NDArray[np.int64]:
    """Sum by the definition of a grouped convolution: dense filters that are zero off the group."""
    x, w = case["input"].astype(np.int64), case["weights"].astype(np.int64)
    channels, outputs = x.shape[3], w.shape[3]
    dense = np.zeros((*w.shape[1:3], channels, outputs), np.int64)
    for o in range(outputs):
        dense[:, :, o // (outputs // channels), o] = w[0, :, :, o]
    margin = 40
    padded = np.pad(x - case["input_zero_point"], ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    result = np.zeros((x.shape[0], *case["output_size"], outputs), np.int64) + case["bias"].astype(np.int64)
    for oh, ow in np.ndindex(*case["output_size"]):
        rows = margin + oh * case["stride_h"] - case["pad_top"] + case["dilation_h"] * np.arange(w.shape[1])
        columns = (
            margin + ow * case["stride_w"] - case["pad_left"] + case["dilation_w"] * np.arange(w.shape[2])
        )
        window = padded[:, rows][:, :, columns]
        result[:, oh, ow] += np.einsum("bhwc,hwco->bo", window, dense)
    return result


def accumulator_of(case: Case, zero: int | None = None) -> NDArray[np.int64]:
    return depthwise_accumulator_ref(
        case["input"],
        case["weights"],
        case["bias"],
        (case["stride_h"], case["stride_w"]),
        (case["pad_top"], case["pad_left"]),
        (case["dilation_h"], case["dilation_w"]),
        case["input_zero_point"] if zero is None else zero,
        case["output_size"],
    )


def finish(case: Case, accumulator: NDArray[np.int64]) -> NDArray[np.int8]:
    value = requantize_ref(accumulator, case["multiplier"], case["shift"], case["rounding"])
    return np.clip(value + case["output_zero_point"], case["clamp_low"], case["clamp_high"]).astype(np.int8)


@given(rng=generators, profile=profiles)
def test_depthwise_conv2d_is_a_grouped_convolution(rng: np.random.Generator, profile: Profile) -> None:
    case = depthwise_case(rng, profile, "int16")
    expected = finish(case, dense_accumulator(case))
    np.testing.assert_array_equal(by_kernel(BY_NAME["depthwise_conv2d_a8w16"])(case), expected)


@every_kernel
@given(rng=generators, profile=profiles)
def test_images_of_a_batch_do_not_touch(name: str, rng: np.random.Generator, profile: Profile) -> None:
    case = depthwise_case(rng, profile, WEIGHTS[name])
    run = by_kernel(BY_NAME[name])
    together = run(case)
    alone = {**case, "output_shape": (1, *case["output_shape"][1:])}
    for b in range(together.shape[0]):
        np.testing.assert_array_equal(run({**alone, "input": case["input"][b : b + 1]})[0], together[b])


@every_kernel
@given(rng=generators, profile=profiles)
def test_a_window_outside_the_image_gives_the_bias(
    name: str, rng: np.random.Generator, profile: Profile
) -> None:
    case = depthwise_case(rng, profile, WEIGHTS[name])
    case = {**case, "pad_top": 1000}
    bias_only = np.broadcast_to(case["bias"].astype(np.int64), case["output_shape"])
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), finish(case, bias_only))


@every_kernel
@given(rng=generators, profile=profiles)
def test_an_image_of_zero_points_gives_the_bias(
    name: str, rng: np.random.Generator, profile: Profile
) -> None:
    case = depthwise_case(rng, profile, WEIGHTS[name])
    case = {**case, "input": np.full_like(case["input"], case["input_zero_point"])}
    bias_only = np.broadcast_to(case["bias"].astype(np.int64), case["output_shape"])
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), finish(case, bias_only))


@every_kernel
def test_extreme_products_of_a_whole_window_are_exact(name: str) -> None:
    low = np.iinfo(WEIGHTS[name]).min
    pixels, zero = np.full((1, 9, 9, 2), 127, np.int8), -128
    products = 81 * 255 * low
    weights = np.full((1, 9, 9, 2), low, WEIGHTS[name])
    case = {
        "input": pixels,
        "weights": weights,
        # The sum is 3 and -5 after products of about -2**29: an inexact sum cannot give these.
        "bias": np.array([3 - products, -5 - products], np.int32),
        "multiplier": np.full(2, 2**30, np.int32),
        "shift": np.ones(2, np.int32),
        **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
        **dict.fromkeys(("pad_top", "pad_left", "output_zero_point"), 0),
        "input_zero_point": zero,
        "clamp_low": -128,
        "clamp_high": 127,
        "rounding": 0,
        "accumulator_bits": 32,
        "output_shape": (1, 1, 1, 2),
    }
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case).ravel(), [3, -5])


def padding_without_zero_point(case: Case) -> NDArray[np.int8]:
    """Pads with the integer 0, which stands for -zero_point."""
    ones = {**case, "input": np.ones_like(case["input"]), "bias": np.zeros_like(case["bias"])}
    inside = accumulator_of(ones, 0)
    everything = case["weights"].astype(np.int64).sum(axis=(0, 1, 2))
    return finish(case, accumulator_of(case) - case["input_zero_point"] * (everything - inside))


def zero_point_left_in(case: Case) -> NDArray[np.int8]:
    return finish(case, accumulator_of(case, 0))


def wraps_to_int8(case: Case) -> NDArray[np.int8]:
    value = requantize_ref(accumulator_of(case), case["multiplier"], case["shift"], case["rounding"])
    return (value + case["output_zero_point"]).astype(np.int8)


def accumulates_in_16_bits(case: Case) -> NDArray[np.int8]:
    return finish(case, accumulator_of(case).astype(np.int16).astype(np.int64))


def interleaves_channels(case: Case) -> NDArray[np.int8]:
    """Lets output channel o read input channel o % C."""
    outputs, channels = case["weights"].shape[3], case["input"].shape[3]
    order = np.arange(outputs).reshape(channels, -1).T.ravel()
    moved = {
        **case,
        "weights": case["weights"][..., np.argsort(order)],
        "bias": case["bias"][np.argsort(order)],
    }
    return finish(case, accumulator_of(moved)[..., order])


def rounds_towards_minus_infinity(case: Case) -> NDArray[np.int8]:
    product = accumulator_of(case).astype(object) * case["multiplier"].astype(object)
    value = np.floor_divide(product, 2 ** (31 - case["shift"].astype(object))) + case["output_zero_point"]
    return np.clip(value, case["clamp_low"], case["clamp_high"]).astype(np.int8)


def swaps_strides(case: Case) -> NDArray[np.int8]:
    return finish(case, accumulator_of({**case, "stride_h": case["stride_w"], "stride_w": case["stride_h"]}))


def adds_zero_point_before_rounding(case: Case) -> NDArray[np.int8]:
    shifted = case["output_zero_point"] * 2.0 ** (31 - case["shift"]) / np.maximum(case["multiplier"], 1)
    return finish(
        {**case, "output_zero_point": 0}, accumulator_of(case) + np.rint(shifted).clip(-1e9, 1e9).astype(int)
    )


MUTANTS = (
    padding_without_zero_point,
    zero_point_left_in,
    wraps_to_int8,
    accumulates_in_16_bits,
    interleaves_channels,
    rounds_towards_minus_infinity,
    swaps_strides,
    adds_zero_point_before_rounding,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_comparison_catches(mutant: Any) -> None:
    spec = BY_NAME["depthwise_conv2d_a8w8"]
    assert is_caught(mutant, spec, lambda rng: depthwise_case(rng, any_profile(rng), "int8"))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    spec = BY_NAME["depthwise_conv2d_a8w8"]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case = depthwise_case(rng, any_profile(rng), "int8")
        np.testing.assert_array_equal(finish(case, accumulator_of(case)), reference_of(spec, case))


@every_kernel
def test_the_default_output_size_pads_both_ends_alike(name: str) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        case = depthwise_case(rng, any_profile(rng), WEIGHTS[name])
        taps = case["weights"].shape[1:3]
        case |= {"pad_top": taps[0] * 3, "pad_left": taps[1] * 3}
        del case["output_size"]
        expected = reference_of(BY_NAME[name], case)
        run = by_kernel(BY_NAME[name])
        np.testing.assert_array_equal(run({**case, "output_shape": expected.shape}), expected)
