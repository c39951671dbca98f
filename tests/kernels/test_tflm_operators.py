"""Operators against TFLite-Micro: stored vectors, made by tests/golden/make_tflm_operators.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d import SPECS as DEPTHWISE
from fxpgrad_kernels.elementwise.elementwise import SPECS as ELEMENTWISE
from fxpgrad_kernels.pooling.pooling import SPECS as POOLING
from fxpgrad_kernels.quantization.quantization import SPECS as QUANTIZATION
from fxpgrad_kernels.reduction.sums import SPECS as SUMS
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.spec_call import by_kernel, reference_of
from tests.kernels.tflm_vectors import pairs, stored_cases

KERNELS = {spec.name: spec for spec in (*DEPTHWISE, *ELEMENTWISE, *POOLING, *QUANTIZATION, *SUMS)}
TFLM = {"rounding": int(PROFILES["tflite_double"].rounding), "output_zero_point": 0}


def one_ratio(case: dict[str, Any]) -> dict[str, Any]:
    return pairs(case["input_scale"] / case["output_scale"])


def convolution(case: dict[str, Any]) -> dict[str, Any]:
    return {
        **pairs(case["input_scale"] * case["weights_scale"] / case["output_scale"]),
        "accumulator_bits": 32,
    }


def sixteen_bit(case: dict[str, Any]) -> dict[str, Any]:
    return {**convolution(case), "weights": case["weights"].astype(np.int16)}


def two_scales(case: dict[str, Any]) -> dict[str, Any]:
    double = 2 * max(case["input_a_scale"], case["input_b_scale"])
    operands = [case["input_a_scale"] / double, case["input_b_scale"] / double]
    return {**pairs(np.array([*operands, double / (2**20 * case["output_scale"])])), "left_shift": 20}


def over_the_image(case: dict[str, Any]) -> dict[str, Any]:
    """Flatten images for the mean over height and width."""
    _, height, width, channels = case["input"].shape
    view = {"input": case["input"].ravel(), "reduced": height * width, "inner": channels}
    view["output"] = case["output"].ravel()
    return {**one_ratio(case), **view}


def nothing(case: dict[str, Any]) -> dict[str, Any]:
    del case
    return {}


TABLE = [
    ("depthwise_conv2d", "depthwise_conv2d_a8w8", convolution),
    ("depthwise_conv2d", "depthwise_conv2d_a8w16", sixteen_bit),
    ("depthwise_conv2d", "depthwise_conv2d_a8w16_split", sixteen_bit),
    ("max_pool2d", "max_pool2d_a8", nothing),
    ("average_pool2d", "average_pool2d_a8", nothing),
    ("global_average_pool2d", "mean_a8", over_the_image),
    ("add", "add_a8", two_scales),
    ("quantize", "quantize_a8", one_ratio),
]
every_row = pytest.mark.parametrize(("operator", "kernel", "derive"), TABLE, ids=[row[1] for row in TABLE])


def arguments(kernel: str, derive: Any, stored: dict[str, Any]) -> dict[str, Any]:
    case = {**TFLM, **stored, **derive(stored)}
    case["output_shape"] = case["output"].shape
    if any("OH" in argument.shape for argument in KERNELS[kernel].arguments):
        case["output_size"] = stored["output"].shape[1:3]
    return case


@every_row
def test_kernel_equals_tflite_micro(operator: str, kernel: str, derive: Any) -> None:
    stored = stored_cases(operator)
    assert len(stored) == 8
    for case in stored:
        given = arguments(kernel, derive, case)
        np.testing.assert_array_equal(by_kernel(KERNELS[kernel])(given), given["output"])


@every_row
def test_reference_equals_tflite_micro(operator: str, kernel: str, derive: Any) -> None:
    for case in stored_cases(operator):
        spec: KernelSpec = KERNELS[kernel]
        given = arguments(kernel, derive, case)
        np.testing.assert_array_equal(reference_of(spec, given), given["output"])


@pytest.mark.parametrize("operator", ["depthwise_conv2d", "add", "global_average_pool2d", "quantize"])
@pytest.mark.parametrize("rounding", [1, 2])
def test_vectors_tell_a_wrong_rounding(operator: str, rounding: int) -> None:
    kernel, derive = next((row[1], row[2]) for row in TABLE if row[0] == operator)
    cases = [{**arguments(kernel, derive, case), "rounding": rounding} for case in stored_cases(operator)]
    assert any((by_kernel(KERNELS[kernel])(case) != case["output"]).any() for case in cases)


def test_vectors_do_not_all_saturate() -> None:
    for operator in {row[0] for row in TABLE}:
        outputs = np.concatenate([case["output"].ravel() for case in stored_cases(operator)])
        assert np.unique(outputs).size > 50, operator
