"""Laws of the 2-D convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.conv2d import (
    accumulator_bounds,
    legal_bias,
    small_conv2d_case,
    with_requantization,
)
from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.conv2d.conv2d import SPECS
from fxpgrad_kernels.conv2d.conv2d_ref import conv2d_accumulators_ref
from fxpgrad_kernels.fully_connected.fully_connected import SPECS as DENSE
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
BY_DENSE_NAME = {spec.name: spec for spec in DENSE}
RUN = {name: by_kernel(spec) for name, spec in (BY_NAME | BY_DENSE_NAME).items()}
DTYPES = {"conv2d_a8w8": "int8", "conv2d_a8w16": "int16", "conv2d_a8w16_split": "int16"}
NAMES = tuple(DTYPES)
GEOMETRY = ("stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w", "groups")
Generator = np.random.Generator


def any_case(rng: Generator, profile: Profile | None = None, groups: int = 0) -> tuple[str, dict[str, Any]]:
    """Return the name of a kernel and a legal case for it."""
    name = NAMES[rng.integers(len(NAMES))]
    return name, small_conv2d_case(rng, profile or any_profile(rng), DTYPES[name], groups)


@every_profile
@given(rng=generators)
def test_conv2d_equals_its_reference(profile: Profile, rng: Generator) -> None:
    name, case = any_case(rng, profile)
    check_equals_reference(BY_NAME[name], RUN[name], case)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kernel", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_many_pixels_equal_the_reference(name: str, kernel: int, seed: int) -> None:
    """More pixels than a block of rows holds, any number of rows left over; 1x1 filters as a matrix."""
    rng = np.random.default_rng([seed, kernel])
    case = small_conv2d_case(rng, any_profile(rng), DTYPES[name], groups=1)
    size = (int(rng.integers(9, 14)), int(rng.integers(11, 14)))
    shape = (int(rng.integers(1, 3)), *size, int(rng.integers(1, 20)))
    filters = int(rng.choice([1, 7, 16, 19]))
    case["weights"] = integers(rng, (filters, kernel, kernel, shape[3]), DTYPES[name])
    case |= {"input": integers(rng, shape, "int8"), "bias": legal_bias(rng, case["weights"], filters)}
    case |= dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1)
    case |= {"pad_top": kernel - 1, "pad_left": kernel - 1, "output_size": size}
    case["output_shape"] = (shape[0], *size, filters)
    case = with_requantization(rng, any_profile(rng), case)
    check_equals_reference(BY_NAME[name], RUN[name], case)


@given(rng=generators, profile=profiles)
def test_split_form_is_bit_equal(rng: Generator, profile: Profile) -> None:
    case = small_conv2d_case(rng, profile, "int16")
    np.testing.assert_array_equal(RUN["conv2d_a8w16_split"](case), RUN["conv2d_a8w16"](case))


@given(rng=generators)
def test_int64_blocks_equal_int32_where_both_are_safe(rng: Generator) -> None:
    name, case = any_case(rng)
    if accumulator_bounds(case).max() < 2**31:
        narrow, wide = (RUN[name]({**case, "accumulator_bits": bits}) for bits in (32, 64))
        np.testing.assert_array_equal(wide, narrow)


@given(rng=generators, profile=profiles)
def test_int8_weights_widened_to_int16_change_nothing(rng: Generator, profile: Profile) -> None:
    case = small_conv2d_case(rng, profile, "int8")
    wide = RUN["conv2d_a8w16"]({**case, "weights": case["weights"].astype(np.int16)})
    np.testing.assert_array_equal(wide, RUN["conv2d_a8w8"](case))


def as_matrix_rows(case: Case) -> NDArray[np.int8]:
    """Return what each output pixel reads, [B * OH * OW, KH * KW * C]; the zero point all around."""
    margin = 64
    _, kernel_h, kernel_w, _ = case["weights"].shape
    padded = np.pad(
        case["input"],
        ((0, 0), (margin, margin), (margin, margin), (0, 0)),
        constant_values=case["input_zero_point"],
    )
    rows = np.arange(kernel_h) * case["dilation_h"] + margin - case["pad_top"]
    columns = np.arange(kernel_w) * case["dilation_w"] + margin - case["pad_left"]
    windows = [
        padded[b][rows + oh * case["stride_h"]][:, columns + ow * case["stride_w"]].ravel()
        for b, oh, ow in np.ndindex(*case["output_shape"][:3])
    ]
    return np.stack(windows)


def as_dense(name: str, case: Case, rows: NDArray[np.int8]) -> tuple[str, dict[str, Any]]:
    """Return the dense layer that multiplies `rows` with the filters."""
    filters = len(case["weights"])
    dense = {key: value for key, value in case.items() if key not in (*GEOMETRY, "output_size")}
    dense |= {"input": rows, "weights": case["weights"].reshape(filters, -1)}
    return name.replace("conv2d", "fully_connected"), {**dense, "output_shape": (len(rows), filters)}


@given(rng=generators)
def test_conv2d_equals_gemm_of_im2col(rng: Generator) -> None:
    name, case = any_case(rng, groups=1)
    dense_name, dense = as_dense(name, case, as_matrix_rows(case))
    expected = RUN[dense_name](dense).reshape(case["output_shape"])
    np.testing.assert_array_equal(RUN[name](case), expected)


@given(rng=generators)
def test_conv1x1_equals_fully_connected_per_pixel(rng: Generator) -> None:
    name, case = any_case(rng, groups=1)
    case |= dict.fromkeys(("stride_h", "stride_w"), 1) | dict.fromkeys(("pad_top", "pad_left"), 0)
    case["weights"] = case["weights"][:, :1, :1]
    case |= {"output_size": case["input"].shape[1:3], "accumulator_bits": 64}
    case["output_shape"] = (*case["input"].shape[:3], len(case["weights"]))
    dense_name, dense = as_dense(name, case, case["input"].reshape(-1, case["input"].shape[3]))
    np.testing.assert_array_equal(RUN[name](case).reshape(dense["output_shape"]), RUN[dense_name](dense))


@given(rng=generators)
def test_grouped_conv_is_concat_of_convs(rng: Generator) -> None:
    name, case = any_case(rng, groups=int(rng.integers(2, 5)))
    whole, parts = RUN[name](case), []
    for channels, filters in zip(
        np.split(np.arange(case["input"].shape[3]), case["groups"]),
        np.split(np.arange(len(case["weights"])), case["groups"]),
        strict=True,
    ):
        part = {key: case[key][filters] for key in ("weights", "bias", "multiplier", "shift")}
        part |= {"input": case["input"][..., channels], "groups": 1}
        parts.append(RUN[name]({**case, **part, "output_shape": (*case["output_shape"][:3], len(filters))}))
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=3))


@given(rng=generators)
def test_batch_rows_are_independent(rng: Generator) -> None:
    name, case = any_case(rng)
    order = rng.integers(0, len(case["input"]), int(rng.integers(1, 4)))
    chosen = {"input": case["input"][order], "output_shape": (len(order), *case["output_shape"][1:])}
    np.testing.assert_array_equal(RUN[name]({**case, **chosen}), RUN[name](case)[order])


@given(rng=generators)
def test_padding_equals_an_image_with_the_zero_point_around_it(rng: Generator) -> None:
    name, case = any_case(rng)
    sides = ((0, 0), (case["pad_top"], 2), (case["pad_left"], 1), (0, 0))
    image = np.pad(case["input"], sides, constant_values=case["input_zero_point"])
    np.testing.assert_array_equal(
        RUN[name]({**case, "input": image, "pad_top": 0, "pad_left": 0}), RUN[name](case)
    )


@given(rng=generators)
def test_dilation_equals_filters_with_holes(rng: Generator) -> None:
    name, case = any_case(rng)
    filters, kernel_h, kernel_w, channels = case["weights"].shape
    steps = case["dilation_h"], case["dilation_w"]
    shape = (filters, (kernel_h - 1) * steps[0] + 1, (kernel_w - 1) * steps[1] + 1, channels)
    holes = np.zeros(shape, case["weights"].dtype)
    holes[:, :: steps[0], :: steps[1]] = case["weights"]
    plain = RUN[name]({**case, "weights": holes, "dilation_h": 1, "dilation_w": 1})
    np.testing.assert_array_equal(plain, RUN[name](case))


@given(rng=generators)
def test_stride_keeps_every_nth_output(rng: Generator) -> None:
    name, case = any_case(rng)
    batch, height, width, filters = case["output_shape"]
    size = ((height - 1) * case["stride_h"] + 1, (width - 1) * case["stride_w"] + 1)
    dense = {"stride_h": 1, "stride_w": 1, "output_size": size, "output_shape": (batch, *size, filters)}
    every = RUN[name]({**case, **dense})
    np.testing.assert_array_equal(every[:, :: case["stride_h"], :: case["stride_w"]], RUN[name](case))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("depth", [7, 254, 255, 256, 300])
def test_extreme_products_are_exact_across_int32_blocks(name: str, depth: int) -> None:
    """Sums beyond 2**32 cancel against the zero point's share and the bias down to a few units."""
    low = int(np.iinfo(DTYPES[name]).min)
    pixels = np.full((1, 2, 2, depth), -128, np.int8)
    pixels[0, 0, 0, :3] = [-127, -126, 127]
    weights = np.full((2, 2, 2, depth), low, DTYPES[name])
    exact = (pixels.astype(np.int64) + 128).sum() * low
    case = {
        **{"input": pixels, "weights": weights, "bias": np.array([5 - exact, -9 - exact], np.int32)},
        **{"multiplier": np.full(2, 2**30, np.int32), "shift": np.ones(2, np.int32)},
        **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w", "groups"), 1),
        **dict.fromkeys(("pad_top", "pad_left", "output_zero_point", "rounding"), 0),
        **{"input_zero_point": -128, "clamp_low": -128, "clamp_high": 127, "accumulator_bits": 64},
        **{"output_shape": (1, 1, 1, 2), "output_size": (1, 1)},
    }
    np.testing.assert_array_equal(RUN[name](case).ravel(), [5, -9])


def accumulators(case: Case, **changes: Any) -> NDArray[np.int64]:
    case = {**case, **changes}
    return conv2d_accumulators_ref(
        case["input"],
        case["weights"],
        case["bias"],
        case["output_size"],
        (case["stride_h"], case["stride_w"]),
        (case["pad_top"], case["pad_left"]),
        (case["dilation_h"], case["dilation_w"]),
        case["groups"],
        case["input_zero_point"],
    )


def finish(case: Case, accumulator: NDArray[np.int64]) -> NDArray[np.int8]:
    value = requantize_ref(accumulator, case["multiplier"], case["shift"], case["rounding"])
    return np.clip(value + case["output_zero_point"], case["clamp_low"], case["clamp_high"]).astype(np.int8)


def pads_with_integer_zero(case: Case) -> NDArray[np.int8]:
    ones = np.ones_like(case["input"])
    no_bias = np.zeros_like(case["bias"])
    inside = accumulators(case, input=ones, bias=no_bias, input_zero_point=0)
    everything = case["weights"].astype(np.int64).sum(axis=(1, 2, 3))
    return finish(case, accumulators(case) - case["input_zero_point"] * (everything - inside))


def wraps_to_int8(case: Case) -> NDArray[np.int8]:
    value = requantize_ref(accumulators(case), case["multiplier"], case["shift"], case["rounding"])
    return (value + case["output_zero_point"]).astype(np.int8)


MUTANTS: dict[str, Callable[[Case], NDArray[np.int8]]] = {
    "zero point dropped": lambda case: finish(case, accumulators(case, input_zero_point=0)),
    "bias ignored": lambda case: finish(case, accumulators(case, bias=0 * case["bias"])),
    "padding one off": lambda case: finish(case, accumulators(case, pad_top=case["pad_top"] + 1)),
    "padding with integer 0": pads_with_integer_zero,
    "dilation ignored": lambda case: finish(case, accumulators(case, dilation_w=1)),
    "strides swapped": lambda case: finish(
        case, accumulators(case, stride_h=case["stride_w"], stride_w=case["stride_h"])
    ),
    "filters flipped": lambda case: finish(case, accumulators(case, weights=case["weights"][:, ::-1])),
    "next channel's multiplier": lambda case: finish(
        {**case, "multiplier": np.roll(case["multiplier"], 1)}, accumulators(case)
    ),
    "wraps instead of saturating": wraps_to_int8,
    "accumulates in 16 bits": lambda case: finish(case, accumulators(case).astype(np.int16).astype(np.int64)),
    "accumulators wrap at 32 bits": lambda case: finish(
        case, accumulators(case).astype(np.int32).astype(np.int64)
    ),
    "rounding swapped": lambda case: finish(
        {**case, "rounding": {0: 1, 1: 0, 2: 0}.get(case["rounding"], 2)}, accumulators(case)
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(mutant: Callable[[Case], NDArray[np.int8]]) -> None:
    spec = BY_NAME["conv2d_a8w16"]
    assert is_caught(mutant, spec, lambda rng: small_conv2d_case(rng, any_profile(rng), "int16"))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        name, case = any_case(np.random.default_rng(seed))
        np.testing.assert_array_equal(finish(case, accumulators(case)), reference_of(BY_NAME[name], case))
