"""Laws of the pooling operators."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad.conformance.cases.pooling import window_case
from fxpgrad_kernels.pooling.pooling import SPECS
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS}
every_window_kernel = pytest.mark.parametrize(
    "name", ["max_pool2d_a8", "average_pool2d_a8", "max_pool2d_a16", "average_pool2d_a16"]
)


def limits(x: NDArray[Any]) -> dict[str, int]:
    info = np.iinfo(x.dtype)
    return {"clamp_low": int(info.min), "clamp_high": int(info.max)}


@every_window_kernel
@given(rng=generators)
def test_window_pooling_equals_its_reference(name: str, rng: np.random.Generator) -> None:
    check_equals_reference(
        BY_NAME[name], by_kernel(BY_NAME[name]), window_case(BY_NAME[name], rng, any_profile(rng))
    )


@every_window_kernel
@given(rng=generators)
def test_pooling_a_constant_gives_the_constant(name: str, rng: np.random.Generator) -> None:
    case = window_case(BY_NAME[name], rng, any_profile(rng))
    value = int(rng.integers(-128, 128))
    case = {**case, "input": np.full_like(case["input"], value)}
    expected = np.clip(value, case["clamp_low"], case["clamp_high"])
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), np.full(case["output_shape"], expected))


@every_window_kernel
@given(rng=generators)
def test_a_one_pixel_window_copies(name: str, rng: np.random.Generator) -> None:
    x = integers(rng, (2, 3, 4, 5), f"int{name.rsplit('_a', 1)[1]}")
    ones = dict.fromkeys(("size_h", "size_w", "stride_h", "stride_w"), 1)
    case = {"input": x, **ones, "pad_top": 0, "pad_left": 0, **limits(x)}
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])({**case, "output_shape": x.shape}), x)


@every_window_kernel
@given(rng=generators)
def test_pooling_is_monotone(name: str, rng: np.random.Generator) -> None:
    case = window_case(BY_NAME[name], rng, any_profile(rng))
    dtype = case["input"].dtype
    raised = case["input"].astype(int) + rng.integers(0, 3, case["input"].shape)
    raised = np.minimum(raised, np.iinfo(dtype).max)
    run = by_kernel(BY_NAME[name])
    assert (run({**case, "input": raised.astype(dtype)}) >= run(case)).all()


@given(rng=generators)
def test_average_is_odd_under_a_change_of_sign(rng: np.random.Generator) -> None:
    case = {
        **draw_of(BY_NAME["average_pool2d_a8"], window_case)(rng),
        "clamp_low": -127,
        "clamp_high": 127,
    }
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


def test_large_images_of_extremes_do_not_overflow() -> None:
    x = np.full((1, 512, 512, 3), -128, np.int8)
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
    wide = np.full((1, 255, 255, 3), -32768, np.int16)
    window |= {"input": wide, "size_h": 255, "size_w": 255, **limits(wide)}
    np.testing.assert_array_equal(by_kernel(BY_NAME["average_pool2d_a16"])(window).ravel(), [-32768] * 3)


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
    assert is_caught(mutant, BY_NAME["max_pool2d_a8"], draw_of(BY_NAME["max_pool2d_a8"], window_case))


@pytest.mark.parametrize(
    "mutant", [average_over_the_padded_count, average_with_ties_to_even, average_with_ties_up]
)
def test_the_average_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, BY_NAME["average_pool2d_a8"], draw_of(BY_NAME["average_pool2d_a8"], window_case))
