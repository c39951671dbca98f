"""Operators element by element against TFLite-Micro: tests/golden/make_tflm_elementwise.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fxpgrad_kernels.registry import kernel_named
from tests.kernels.elementwise_vectors import ALL_INT8, clamps, stored_rows
from tests.kernels.spec_call import by_kernel, reference_of
from tests.kernels.tflm_vectors import pairs

Row = dict[str, Any]
Arguments = dict[str, Any]
BINARY_POINTS = ("input_a_zero_point", "input_b_zero_point", "output_zero_point")


def zero_points(row: Row, *names: str) -> dict[str, int]:
    return dict(zip(names, row["quantization"][:, 1].astype(int).tolist(), strict=True))


def scales_of(row: Row) -> list[float]:
    scales: list[float] = row["quantization"][:, 0].tolist()
    return scales


def operands(row: Row) -> Arguments:
    return {"input_a": row["input_a"], "input_b": row["input_b"]}


def bounds(row: Row, bits: int) -> dict[str, int]:
    scale, zero = row["quantization"][-1]
    return clamps(int(row["attribute"]), scale, int(zero), bits)


def sums(row: Row, bits: int) -> Arguments:
    a, b, output = scales_of(row)
    left, twice = 20 if bits == 8 else 15, 2 * max(a, b)
    reals = np.array([a / twice, b / twice, twice / (2**left * output)])
    points = zero_points(row, *BINARY_POINTS) if bits == 8 else {}
    return {**operands(row), **pairs(reals), **points, "left_shift": left, **bounds(row, bits)}


def products(row: Row, bits: int) -> Arguments:
    a, b, output = scales_of(row)
    reals = np.array([a * b / output])
    return {**operands(row), **pairs(reals), **zero_points(row, *BINARY_POINTS), **bounds(row, bits)}


def squares(row: Row, bits: int) -> Arguments:
    a, b, output = scales_of(row)
    left, twice = 7 if bits == 8 else 0, 2 * max(a, b)
    reals = np.array([a / twice, b / twice, twice * twice / (4**left * output)])
    return {**operands(row), **pairs(reals), **zero_points(row, *BINARY_POINTS), "left_shift": left}


def slopes(row: Row, bits: int) -> Arguments:
    del bits
    a, b, output = scales_of(row)
    points = zero_points(row, "input_zero_point", "slope_zero_point", "output_zero_point")
    reals = np.array([a / output, a * b / output])
    return {"input": row["input_a"], "slope": row["input_b"], **pairs(reals), **points}


def selection(row: Row, bits: int) -> Arguments:
    del bits
    return operands(row)


def one_input(row: Row) -> Arguments:
    points = zero_points(row, "input_zero_point", "output_zero_point")
    return {"input": row.get("input", ALL_INT8), **points}


def rescaled(row: Row, bits: int) -> Arguments:
    del bits
    a, output = scales_of(row)
    return {**one_input(row), **pairs(np.array([a / output]))}


def leaky(row: Row, bits: int) -> Arguments:
    del bits
    a, output = scales_of(row)
    reals = np.array([a / output, a * float(row["attribute"]) / output])
    return {**one_input(row), **pairs(reals)}


def sixteen_bit_pair(real: np.floating[Any]) -> tuple[int, int]:
    pair = pairs(np.array([float(real)]))
    return min((int(pair["multiplier"][0]) + 2**15) >> 16, 2**15 - 1), int(pair["shift"][0])


def swish(row: Row, bits: int) -> Arguments:
    del bits
    a, output = (np.float32(scale) for scale in scales_of(row))
    fine = np.float32(1 / 128) * a
    result, gate = (
        sixteen_bit_pair(fine / output),
        sixteen_bit_pair(fine / (np.float32(3) / np.float32(2**15))),
    )
    names = ("output_multiplier", "output_exponent", "gate_multiplier", "gate_exponent")
    return {**one_input(row), **dict(zip(names, result + gate, strict=True))}


def relu6(row: Row, bits: int) -> Arguments:
    """Clamp at the *input's* quantization: TFLite-Micro ignores the output's."""
    scale, zero = row["quantization"][0]
    return {"input": row.get("input", ALL_INT8), **clamps(3, scale, int(zero), bits)}


def relu(row: Row, bits: int) -> Arguments:
    """Rescale, then clamp at the output's zero point."""
    kernel = kernel_named(f"quantize_a{bits}")
    case = {**rescaled(row, bits), "rounding": 0, "output_shape": row["output"].shape}
    scale, zero = row["quantization"][1]
    return {"input": by_kernel(kernel)(case), **clamps(1, scale, int(zero), bits)}


Derive = Callable[[Row, int], Arguments]
WIDTHS = ((8, 8), (8, 16), (8, 32), (16, 8), (16, 16), (16, 32), (32, 8), (32, 16))
TABLE: list[tuple[str, str, Derive]] = [
    *((f"{op}_int{bits}", f"{op}_a{bits}", sums) for op in ("add", "sub") for bits in (8, 16)),
    *((f"mul_int{bits}", f"mul_a{bits}", products) for bits in (8, 16)),
    *((f"squared_difference_int{bits}", f"squared_difference_a{bits}", squares) for bits in (8, 16)),
    *((f"prelu_int{bits}", f"prelu_a{bits}", slopes) for bits in (8, 16)),
    *((f"{op}_int{b}", f"{op}_a{b}", selection) for op in ("maximum", "minimum") for b in (8, 16, 32)),
    *((f"leaky_relu_int{bits}", f"leaky_relu_a{bits}", leaky) for bits in (8, 16)),
    *((f"abs_int{bits}", f"abs_a{bits}", rescaled) for bits in (8, 16)),
    *((f"relu_int{bits}", f"clamp_a{bits}", relu) for bits in (8, 16)),
    *((f"relu6_int{bits}", f"clamp_a{bits}", relu6) for bits in (8, 16)),
    ("hard_swish_int8", "hard_swish_a8", swish),
    *((f"quantize_int{a}_int{b}", f"quantize_a{a}" + f"_a{b}" * (a != b), rescaled) for a, b in WIDTHS),
]
every_row = pytest.mark.parametrize(("stored", "kernel", "derive"), TABLE, ids=[row[0] for row in TABLE])


@every_row
def test_kernel_and_reference_equal_tflite_micro(stored: str, kernel: str, derive: Derive) -> None:
    spec, rows = kernel_named(kernel), stored_rows(stored)
    assert len(rows) >= 9
    for row in rows:
        case = {
            **derive(row, np.iinfo(row["output"].dtype).bits),
            "rounding": 0,
            "output_shape": row["output"].shape,
        }
        np.testing.assert_array_equal(by_kernel(spec)(case), row["output"])
        np.testing.assert_array_equal(reference_of(spec, case), row["output"])


def test_a_double_away_kernel_differs_from_the_other_roundings_on_these_vectors() -> None:
    spec = kernel_named("add_a8")
    for rounding in (1, 2):
        differing = 0
        for row in stored_rows("add_int8"):
            case = {**sums(row, 8), "rounding": rounding, "output_shape": row["output"].shape}
            differing += int((by_kernel(spec)(case) != row["output"]).sum())
        assert differing > 0


@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_the_sixteen_bit_functions_equal_tflite_micro_on_every_input(function: str) -> None:
    x = np.arange(-(2**15), 2**15).astype(np.int16)
    (steps,) = stored_rows("tanh_steps_int16")
    table = (steps["output"].astype(np.int32) + 2**15).astype(np.int32)  # tanh shows the table
    rows = stored_rows(f"{function}_int16")
    assert len(rows) == 16
    for row in rows:
        scale = float(row["quantization"][0, 0])
        shift, multiplier = 0, scale * 4096 * 3
        power_of_two = scale == 2.0**-12 or (scale == 2.0**-11 and function == "tanh")
        while not power_of_two and multiplier <= 32767 / 2 and shift <= 30:
            multiplier, shift = 2 * multiplier, shift + 1
        case = {
            "input": x,
            "table": table,
            "input_multiplier": int(multiplier),
            "input_shift": shift,
            "output_shape": x.shape,
        }
        output = by_kernel(kernel_named(f"{function}_a16"))(case)
        np.testing.assert_array_equal(output[::61], row["output"])
        assert hashlib.sha256(output.tobytes()).digest() == row["sha256"].tobytes()
        few = {**case, "input": x[::61], "output_shape": x[::61].shape}
        np.testing.assert_array_equal(reference_of(kernel_named(f"{function}_a16"), few), row["output"])


@pytest.mark.parametrize("operator", ["mul", "leaky_relu", "relu", "quantize", "abs"])
def test_tflite_micro_forms_real_multipliers_in_double(operator: str) -> None:
    rows = stored_rows(f"{operator}_formation")
    assert len(rows) >= 40
    for row in rows:
        a, b, output = (float(scale) for scale in row["quantization"][:, 0])
        factors = {"mul": [a, b], "leaky_relu": [a, float(row["attribute"])]}.get(operator, [a])
        x = np.array([row["input_a"]], np.int16)
        if operator == "mul":
            x = np.array([int(row["input_a"]) * int(row["input_b"])], np.int32)
        elif operator == "abs":
            x = np.abs(x)
        results = []
        for kind in (np.float64, np.float32):
            real = float(np.prod(np.array(factors, kind)) / kind(output))
            spec = kernel_named("quantize_a32_a16" if operator == "mul" else "quantize_a16")
            case = {"input": x, **pairs(np.array([real])), "input_zero_point": 0, "output_zero_point": 0}
            results.append(int(by_kernel(spec)({**case, "rounding": 0, "output_shape": (1,)})[0]))
        assert results[0] == int(row["output"])
        assert results[1] != int(row["output"])
