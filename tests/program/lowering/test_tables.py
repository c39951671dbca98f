"""Tables of functions of one value against TFLite-Micro and LiteRT, and what must be refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.program.lowering import fixed_point
from fxpgrad.program.lowering.tables import (
    Affine,
    fixed_point_table,
    float_table,
    rsqrt_table,
    sigmoid_input,
    sigmoid_table,
)
from tests.kernels.elementwise_vectors import ALL_INT8, stored_rows

LITERT = "litert_tables.npz"
LOGISTIC, TANH = Affine(2.0**-8, -128), Affine(2.0**-7, 0)


def affines(row: dict[str, Any]) -> tuple[Affine, Affine]:
    source, output = (Affine(float(scale), int(zero)) for scale, zero in row["quantization"])
    return source, output


@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_fixed_point_tables_equal_tflite_micro(function: str) -> None:
    rows = stored_rows(f"{function}_int8")
    assert len(rows) == 36
    for row in rows:
        np.testing.assert_array_equal(fixed_point_table(function, *affines(row)), row["output"])


def test_elu_equals_tflite_micro() -> None:
    for row in stored_rows("elu_int8"):
        np.testing.assert_array_equal(float_table("elu", *affines(row)), row["output"])


def test_rsqrt_equals_tflite_micro_from_the_zero_point_on() -> None:
    for row in stored_rows("rsqrt_int8"):
        source, output = affines(row)
        defined = source.zero_point <= ALL_INT8
        np.testing.assert_array_equal(rsqrt_table(source, output)[defined], row["output"][defined])


def test_rsqrt_equals_litert() -> None:
    for row in stored_rows("rsqrt", LITERT):
        np.testing.assert_array_equal(rsqrt_table(*affines(row)), row["output"])


@pytest.mark.parametrize("function", ["logistic", "tanh", "elu", "exp", "gelu", "gelu_approximate"])
def test_float_tables_equal_litert_or_are_refused(function: str) -> None:
    compared = 0
    for row in stored_rows(function, LITERT):
        try:
            table = float_table(function, *affines(row))
        except LoweringError:
            continue
        np.testing.assert_array_equal(table, row["output"])
        compared += 1
    assert compared >= 12


@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_the_stored_results_tell_the_two_runtimes_apart(function: str) -> None:
    differing = 0
    for row in stored_rows(function, LITERT):
        differing += int((fixed_point_table(function, *affines(row)) != row["output"]).sum())
    for row in stored_rows(f"{function}_int8"):
        try:
            differing += int((float_table(function, *affines(row)) != row["output"]).sum())
        except LoweringError:
            continue
    assert differing > 0


def test_the_sigmoid_table_is_the_one_that_tanh_shows() -> None:
    (row,) = stored_rows("tanh_steps_int16")
    np.testing.assert_array_equal(sigmoid_table() - 2**15, row["output"])


@pytest.mark.parametrize(
    ("scale", "expected"), [(2.0**-12, (3, 0)), (2.0**-12 * 1.0006, (3, 0)), (1.0, (24576, 1))]
)
def test_the_input_of_the_sixteen_bit_functions(scale: float, expected: tuple[int, int]) -> None:
    assert sigmoid_input("logistic", Affine(scale, 0), Affine(2.0**-15, 0)) == expected


def test_tanh_has_a_second_power_of_two() -> None:
    source, output = Affine(2.0**-11, 0), Affine(2.0**-15, 0)
    assert sigmoid_input("tanh", source, output) == (6, 0)
    assert sigmoid_input("logistic", source, output) == (24576, 12)


def test_fixed_point_functions_are_near_the_real_ones() -> None:
    for raw in range(-(2**31) + 1, 2**31, 2**24 - 7):
        x = raw / 2**27
        assert abs(fixed_point.logistic(raw, 4) / 2**31 - 1 / (1 + math.exp(-x))) < 1e-7
        assert abs(fixed_point.tanh(raw, 4) / 2**31 - math.tanh(x)) < 2e-7
    for value in range(1, 70_000, 37):
        multiplier, shift = fixed_point.inverse_square_root(value)
        assert multiplier * 2.0 ** (shift - 31) == pytest.approx(value**-0.5, rel=2e-6)


REFUSED = {
    "logistic output scale": lambda: fixed_point_table("logistic", Affine(0.1, 0), Affine(0.004, -128)),
    "tanh output zero point": lambda: fixed_point_table("tanh", Affine(0.1, 0), Affine(2.0**-7, 1)),
    "tiny input scale": lambda: fixed_point_table("tanh", Affine(2.0**-30, 0), TANH),
    "int16 zero point": lambda: sigmoid_input("tanh", Affine(2.0**-12, 1), Affine(2.0**-15, 0)),
    "int16 output scale": lambda: sigmoid_input("tanh", Affine(2.0**-12, 0), Affine(2.0**-14, 0)),
    "int16 input scale": lambda: sigmoid_input("tanh", Affine(3.0, 0), Affine(2.0**-15, 0)),
    "edge of a power of two": lambda: sigmoid_input("tanh", Affine(2**-12.001, 0), Affine(2.0**-15, 0)),
    "a tie": lambda: float_table("logistic", Affine(2.0**-7, 0), LOGISTIC),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_runtimes_leave_open_is_refused(case: str) -> None:
    with pytest.raises(LoweringError, match=r"must|tie|rounding decides"):
        REFUSED[case]()
