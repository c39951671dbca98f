"""Layers with weights against TFLite-Micro: stored vectors, made by tests/golden/make_tflm_weighted.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.registry import kernel_named
from tests.kernels.spec_call import by_kernel, reference_of
from tests.kernels.tflm_vectors import pairs
from tests.kernels.tflm_weighted import (
    Case,
    formation_cases,
    layer_arguments,
    matmul_arguments,
    svdf_steps,
    weighted_cases,
)

LAYERS = {
    "conv2d_a8w8": "conv2d_a8w8",
    "depthwise_conv2d_a8w8": "depthwise_conv2d_a8w8",
    "conv2d_a16w8_bias64": "conv2d_a16w8",
    "conv2d_a16w8_bias32": "conv2d_a16w8",
    "conv2d_a16w8_no_bias": "conv2d_a16w8",
    "depthwise_conv2d_a16w8_bias64": "depthwise_conv2d_a16w8",
    "depthwise_conv2d_a16w8_no_bias": "depthwise_conv2d_a16w8",
    "fully_connected_a16w8_bias64": "fully_connected_a16w8",
    "fully_connected_a16w8_bias32": "fully_connected_a16w8",
    "fully_connected_a16w8_no_bias": "fully_connected_a16w8",
    "fully_connected_a16w8_per_channel": "fully_connected_a16w8",
    "fully_connected_a16w8_zero_points": "fully_connected_a16w8",
    "fully_connected_a16w8_zero_points_bias32": "fully_connected_a16w8",
    "fully_connected_a8w8": "fully_connected_a8w8",
    "fully_connected_per_channel": "fully_connected_a8w8",
    "fully_connected_zero_point": "fully_connected_a8w16",
    "transpose_conv2d_a8w8": "transpose_conv2d_a8w8",
    "transpose_conv2d_a16w8_bias64": "transpose_conv2d_a16w8",
    "transpose_conv2d_a16w8_no_bias": "transpose_conv2d_a16w8",
}
PRODUCTS = ("batch_matmul_a8", "batch_matmul_a16")
FILTERS_THAT_REMEMBER = {"svdf_a8": "svdf_a8", "svdf_a8_s8": "svdf_a8_s8", "svdf_a8_overflowing": "svdf_a8"}
FORMED = (
    "conv2d", "depthwise_conv2d", "fully_connected", "fully_connected_per_channel", "transpose_conv2d",
    "svdf",
)  # fmt: skip
every_layer = pytest.mark.parametrize("family", LAYERS)


@every_layer
def test_layer_equals_tflite_micro(family: str) -> None:
    spec, cases = kernel_named(LAYERS[family]), weighted_cases(family)
    assert len(cases) == 4
    for case in cases:
        arguments, expected = layer_arguments(family, case), case["output"]
        np.testing.assert_array_equal(by_kernel(spec)(arguments).reshape(expected.shape), expected)
        np.testing.assert_array_equal(reference_of(spec, arguments).reshape(expected.shape), expected)


@pytest.mark.parametrize("family", PRODUCTS)
def test_product_equals_tflite_micro(family: str) -> None:
    spec, cases = kernel_named(family), weighted_cases(family)
    assert len(cases) == 4
    for case in cases:
        arguments, expected = matmul_arguments(case), case["output"].ravel()
        np.testing.assert_array_equal(by_kernel(spec)(arguments), expected)
        np.testing.assert_array_equal(reference_of(spec, arguments), expected)


def outputs_of_steps(family: str, case: Case, run: Callable[[Case], Any]) -> NDArray[np.int8]:
    """Run all steps, handing the state on."""
    steps = svdf_steps(case)
    outputs, state = [], steps[0]["state"]
    for step in steps:
        output, state = run({**step, "state": state})
        outputs.append(output)
    return np.array(outputs)


@pytest.mark.parametrize("family", FILTERS_THAT_REMEMBER)
def test_ten_steps_equal_tflite_micro(family: str) -> None:
    spec, cases = kernel_named(FILTERS_THAT_REMEMBER[family]), weighted_cases(family)
    assert len(cases) == 4
    for case in cases:
        expected = case["output"]
        assert len(expected) == 10
        np.testing.assert_array_equal(outputs_of_steps(family, case, by_kernel(spec)), expected)
        np.testing.assert_array_equal(
            outputs_of_steps(family, case, lambda step: reference_of(spec, step)), expected
        )


def test_sums_over_time_wrap_at_32_bits_as_tflite_micro_lets_them() -> None:
    beyond = 0
    for case in weighted_cases("svdf_a8_overflowing"):
        steps = svdf_steps(case)
        state = steps[0]["state"]
        for step in steps:
            _, state = reference_of(kernel_named("svdf_a8"), {**step, "state": state})
            shape = (len(state), len(case["bias"]), -1)
            products = (state.astype(np.int64) * case["time_weights"].ravel()).reshape(shape)
            beyond += int((abs(products.sum(axis=2) + case["bias"]) >= 2**31).sum())
    assert beyond > 20


def test_vectors_tell_a_state_that_is_not_handed_on() -> None:
    for family, kernel in FILTERS_THAT_REMEMBER.items():
        spec = kernel_named(kernel)
        forgetful = [
            np.array([by_kernel(spec)(step)[0] for step in svdf_steps(case)]) != case["output"]  # type: ignore[index]
            for case in weighted_cases(family)
        ]
        assert any(differs.any() for differs in forgetful)


@every_layer
@pytest.mark.parametrize("other", [0, 2, 4])
def test_vectors_tell_another_rounding(family: str, other: int) -> None:
    cases = [layer_arguments(family, case) for case in weighted_cases(family)]
    if other == cases[0]["rounding"] or "zero_point" in family:
        pytest.skip("the rounding itself, or vectors with few ties")
    wrong = by_kernel(kernel_named(LAYERS[family]))
    assert any(
        (wrong({**case, "rounding": other}).reshape(case["output"].shape) != case["output"]).any()
        for case in cases
    )


def formed(scales: NDArray[np.float64], product: Any, quotient: Any) -> NDArray[np.float64]:
    """Form input * weight / output with the product and the quotient in the given types."""
    first = product(scales[0]) * product(scales[1])
    return np.atleast_1d(np.float64(quotient(first) / quotient(scales[2])))


@pytest.mark.parametrize("operator", FORMED)
def test_tflite_micro_forms_real_multipliers_in_float64(operator: str) -> None:
    outcomes = {"double": 0, "float32_product": 0, "float32": 0}
    for case in formation_cases(operator):
        for name, types in {
            "double": (np.float64, np.float64),
            "float32_product": (np.float32, np.float64),
            "float32": (np.float32, np.float32),
        }.items():
            pair = pairs(formed(case["scales"], *types))
            expected = requantize_ref(case["bias"], pair["multiplier"][0], pair["shift"][0], 0)
            outcomes[name] += int((expected != case["output"]).sum())
    assert outcomes["double"] == 0
    assert min(outcomes["float32_product"], outcomes["float32"]) > 0


def test_vectors_do_not_all_saturate() -> None:
    for family in (*LAYERS, *PRODUCTS, *FILTERS_THAT_REMEMBER):
        outputs = np.concatenate([case["output"].ravel() for case in weighted_cases(family)])
        assert np.unique(outputs).size > 40, family
