"""Between real numbers and the integers at the two ends of a Program."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import TensorInfo
from fxpgrad.program.real_values import dequantize_output, output_scale, quantize_input
from tests.program.random_programs import small_network

INFO = TensorInfo("image", (2,), "int8", zero_point=-3, scale=0.25)
PROGRAM = lower(small_network()[1])


@given(st.integers(-128, 127), st.integers(-128, 127), st.floats(1e-6, 1e6))
def test_integers_survive_the_way_there_and_back(q: int, zero_point: int, scale: float) -> None:
    info = TensorInfo("x", (1,), "int8", zero_point, scale)
    assert quantize_input(info, np.array([scale * (q - zero_point)])) == q


@given(st.floats(-40, 40), st.integers(-128, 127), st.floats(1e-3, 10))
def test_real_values_inside_the_range_move_by_half_a_step_at_most(
    real: float, zero_point: int, scale: float
) -> None:
    info = TensorInfo("x", (1,), "int8", zero_point, scale)
    low, high = (scale * (end - zero_point) for end in (-128, 127))
    back = scale * (int(quantize_input(info, np.array([real]))[0]) - zero_point)
    assert abs(back - np.clip(real, low, high)) <= scale * 0.5000001


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_by_the_name_of_the_input(value: float) -> None:
    with pytest.raises(InputError, match="input image holds NaN or infinity"):
        quantize_input(INFO, np.array([0.0, value]))


@pytest.mark.parametrize("values", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_what_is_no_real_number_is_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="must be real numbers"):
        quantize_input(INFO, values)


def test_values_beyond_the_range_saturate_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny = TensorInfo("x", (1,), "int8", 0, 1e-300)
        extremes = np.array([1e308, -1e308, 1e30, 0.0])
        np.testing.assert_array_equal(quantize_input(tiny, extremes), [127, -128, 127, 0])
    np.testing.assert_array_equal(
        quantize_input(INFO, np.array([31.9, 99, -32, -99])), [125, 127, -128, -128]
    )


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.uint64, np.float16, np.float32, np.float64])
def test_every_real_type_gives_the_same_integers(dtype: type) -> None:
    np.testing.assert_array_equal(quantize_input(INFO, np.array([0, 1], dtype)), [-3, 1])


def test_outputs_come_back_in_their_scale() -> None:
    info = PROGRAM.tensors[PROGRAM.outputs[0]]
    integers = np.array([[info.zero_point, info.zero_point + 1, -128]], np.int8)
    expected = info.scale * (integers.astype(float) - info.zero_point)
    np.testing.assert_allclose(dequantize_output(PROGRAM, integers), expected, rtol=1e-15)
    assert output_scale(PROGRAM) == [info.scale]


def test_accumulators_come_back_in_one_scale_for_each_class() -> None:
    program = with_accumulator_output(PROGRAM)
    scale = program.constants[program.calls[-1].constants["bias"]].scale
    assert scale is not None
    assert scale.shape == (3,)
    np.testing.assert_array_equal(output_scale(program), scale)
    back = dequantize_output(program, np.array([[1000, -5, 2**31 - 1]], np.int32))
    np.testing.assert_array_equal(back, scale * [[1000.0, -5.0, 2.0**31 - 1]])
