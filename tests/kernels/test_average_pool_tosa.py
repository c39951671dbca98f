"""Laws of average pooling by a reciprocal (TOSA's AVG_POOL2D)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.conformance.cases.pooling import tosa_window_case
from fxpgrad_kernels.pooling.average_pool_tosa import SPECS
from fxpgrad_kernels.pooling.average_pool_tosa_ref import reciprocal_ref
from fxpgrad_kernels.pooling.pooling import SPECS as POOLING
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

(SPEC,) = SPECS
draw = draw_of(SPEC, tosa_window_case)
TFLITE = next(spec for spec in POOLING if spec.name == "average_pool2d_a8")


@given(rng=generators)
def test_average_pool_tosa_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(SPEC, by_kernel(SPEC), draw(rng))


@given(rng=generators)
def test_zero_points_of_zero_give_tflites_average(rng: np.random.Generator) -> None:
    case = {**draw(rng), "input_zero_point": 0, "output_zero_point": 0}
    np.testing.assert_array_equal(by_kernel(SPEC)(case), by_kernel(TFLITE)(case))


@given(rng=generators)
def test_one_pixel_is_moved_from_zero_point_to_zero_point(rng: np.random.Generator) -> None:
    case = {**draw(rng), "size_h": 1, "size_w": 1, "pad_top": 0, "pad_left": 0}
    case |= {"stride_h": 1, "stride_w": 1, "output_shape": case["input"].shape}
    moved = case["input"].astype(int) - case["input_zero_point"] + case["output_zero_point"]
    expected = np.clip(moved, case["clamp_low"], case["clamp_high"])
    np.testing.assert_array_equal(by_kernel(SPEC)(case), expected)


@given(count=st.integers(1, 2**22))
def test_reciprocal_is_a_trace_too_large(count: int) -> None:
    multiplier, shift = reciprocal_ref(count)
    error = Fraction(multiplier, 2**shift) * count - 1
    assert 0 < error < Fraction(1, 2**28)
    assert 2**30 <= multiplier <= 2**32
    assert 30 <= shift <= 52


def test_largest_window_of_extremes_does_not_overflow() -> None:
    case: dict[str, Any] = {
        "input": np.full((1, 2048, 2048, 1), -128, np.int8),
        **{"size_h": 2048, "size_w": 2048, "stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0},
        **{"clamp_low": -128, "clamp_high": 127, "input_zero_point": 127, "output_zero_point": 127},
        "output_shape": (1, 1, 1, 1),
    }
    assert by_kernel(SPEC)(case).item() == -128
    case |= {"input": np.full((1, 2048, 2048, 1), 127, np.int8)}
    assert by_kernel(SPEC)({**case, "input_zero_point": -128, "output_zero_point": -128}).item() == 127


def averages(
    case: Case, count_padding: bool = False, exact: bool = False, raw: bool = False
) -> NDArray[np.int8]:
    x = case["input"].astype(np.int64)
    output = np.zeros(case["output_shape"], np.int64)
    for b, oh, ow in np.ndindex(*case["output_shape"][:3]):
        top, left = oh * case["stride_h"] - case["pad_top"], ow * case["stride_w"] - case["pad_left"]
        rows, columns = slice(max(top, 0), top + case["size_h"]), slice(max(left, 0), left + case["size_w"])
        pixels = x[b, rows, columns].reshape(-1, x.shape[3])
        count = case["size_h"] * case["size_w"] if count_padding else len(pixels)
        total = (pixels - (0 if raw else case["input_zero_point"])).sum(axis=0)
        multiplier, shift = reciprocal_ref(count)
        if exact:
            multiplier = 2**shift // count
        output[b, oh, ow] = (total * multiplier + (1 << (shift - 1))) >> shift
    output += 0 if raw else case["output_zero_point"]
    return np.clip(output, case["clamp_low"], case["clamp_high"]).astype(np.int8)


@pytest.mark.parametrize("fault", ["count_padding", "exact", "raw"])
def test_the_comparison_catches(fault: str) -> None:
    assert is_caught(lambda case: averages(case, **{fault: True}), SPEC, draw)
    assert not is_caught(averages, SPEC, draw)
