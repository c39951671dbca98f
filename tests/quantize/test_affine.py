"""Laws of the affine map between real numbers and integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Quantization
from fxpgrad.quantize import asymmetric_int8, dequantize_array, quantize_array

REALS = st.floats(-1e30, 1e30, allow_subnormal=True)


@given(REALS, REALS)
def test_zero_is_exactly_representable(first: float, second: float) -> None:
    quantization = asymmetric_int8(min(first, second), max(first, second))
    assert quantization.scale[0] > 0
    assert -128 <= quantization.zero_point[0] <= 127
    zero = quantize_array(0.0, quantization)
    assert zero == quantization.zero_point[0]
    assert dequantize_array(zero, quantization) == 0.0


@given(REALS, REALS)
def test_range_is_covered_to_within_half_a_step(first: float, second: float) -> None:
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    quantization = asymmetric_int8(min(first, second), max(first, second))
    if high - low > 1e-290:
        bounds = dequantize_array(np.array([-128, 127], np.int8), quantization)
        slack = quantization.scale[0] * 0.5000001
        assert bounds[0] <= low + slack
        assert bounds[1] >= high - slack


@given(REALS, REALS, st.integers(0, 2**32 - 1))
def test_quantize_then_dequantize_moves_a_value_in_range_by_at_most_one_step(
    first: float, second: float, seed: int
) -> None:
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    quantization = asymmetric_int8(low, high)
    values = low + (high - low) * np.random.default_rng(seed).random(50)
    error = np.abs(dequantize_array(quantize_array(values, quantization), quantization) - values)
    # half a step of rounding, and at the ends half a step of the zero point's rounding
    assert (error <= quantization.scale[0] * 1.000001).all()
    restored = dequantize_array(np.arange(-128, 128), quantization)
    np.testing.assert_array_equal(quantize_array(restored, quantization), np.arange(-128, 128))


def test_constant_tensors_have_a_positive_scale() -> None:
    for value in (0.0, 5.0, -5.0, 1e-320):
        quantization = asymmetric_int8(value, value)
        assert quantization.scale[0] > 0
        assert abs(dequantize_array(quantize_array(value, quantization), quantization) - value) < 1e-12


@pytest.mark.parametrize("bounds", [(np.nan, 1.0), (0.0, np.inf), (2.0, 1.0)])
def test_a_range_that_is_none_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="finite with low <= high"):
        asymmetric_int8(*bounds)


def test_ties_go_away_from_zero_and_values_saturate() -> None:
    quantization = Quantization(np.array([2.0]), np.array([3], np.int64))
    values = [1.0, -1.0, 3.0, -3.0, 1e9, -1e9]
    np.testing.assert_array_equal(quantize_array(values, quantization), [4, 2, 5, 1, 127, -128])
    with pytest.raises(InputError, match="NaN"):
        quantize_array([np.nan], quantization)


def test_channels_follow_their_axis() -> None:
    quantization = Quantization(np.array([1.0, 2.0]), np.array([0, 0], np.int64), 1)
    np.testing.assert_array_equal(quantize_array([[4.0, 4.0]], quantization, "int16"), [[4, 2]])
    np.testing.assert_array_equal(dequantize_array(np.array([[4, 2]]), quantization), [[4.0, 4.0]])
