"""Operators against ONNX Runtime on the CPU: vectors of tests/golden/make_ort_vectors.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad_kernels.registry import kernel_named
from tests.kernels import dialect_arguments as arguments
from tests.kernels.spec_call import by_kernel, reference_of

STORED = arguments.stored_cases("ort_vectors.npz")
LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected", "fully_connected_per_tensor")
every_layer = pytest.mark.parametrize("operator", LAYERS)


def made(operator: str, formation: Any = None) -> list[arguments.Case]:
    return [arguments.layer(operator, case, "onnx", formation) for case in STORED[operator]]


def differing(operator: str, cases: list[arguments.Case]) -> int:
    kernel = by_kernel(kernel_named(f"{operator.removesuffix('_per_tensor')}_a8w8"))
    return sum(int((kernel(case) != case["onnx"]).sum()) for case in cases)


@every_layer
def test_layer_equals_onnx_runtime(operator: str) -> None:
    assert len(made(operator)) >= 8
    assert differing(operator, made(operator)) == 0


@every_layer
def test_reference_equals_onnx_runtime(operator: str) -> None:
    spec = kernel_named(f"{operator.removesuffix('_per_tensor')}_a8w8")
    for case in made(operator):
        image = {"output_size": case["output_shape"][1:3]} if len(case["output_shape"]) == 4 else {}
        np.testing.assert_array_equal(reference_of(spec, {**case, **image}), case["onnx"])


@every_layer
@pytest.mark.parametrize("rounding", [0, 1, 2])
def test_vectors_tell_a_wrong_rounding(operator: str, rounding: int) -> None:
    assert differing(operator, [{**case, "rounding": rounding} for case in made(operator)]) > 0


@every_layer
def test_vectors_tell_how_the_multiplier_is_formed(operator: str) -> None:
    assert differing(operator, made(operator, "double")) > 0


# --- add and mul: float32 with the zero point added before the rounding, as docs/dialects.md states it


def multiply_add(x: Any, y: Any, z: Any) -> Any:
    """Return x * y + z rounded once to float32; exact in float64 for 8-bit x and the sums that occur here."""
    return (np.asarray(x, np.float64) * np.float64(y) + np.asarray(z, np.float64)).astype(np.float32)


def added(case: arguments.Case, a: Any, b: Any) -> Any:
    ratio_a, ratio_b = (case[f"input_{side}_scale"] / case["output_scale"] for side in "ab")
    zero_a, zero_b = (np.float32(case[f"input_{side}_zero_point"]) for side in "ab")
    fixed = np.float32(case["output_zero_point"]) - multiply_add(zero_a, ratio_a, zero_b * ratio_b)
    return multiply_add(a, ratio_a, multiply_add(b, ratio_b, fixed))


def multiplied(case: arguments.Case, a: Any, b: Any) -> Any:
    ratio = (case["input_a_scale"] * case["input_b_scale"]) / case["output_scale"]
    centred_a, centred_b = (
        value.astype(np.float32) - np.float32(case[f"input_{side}_zero_point"])
        for value, side in ((a, "a"), (b, "b"))
    )
    return centred_a * centred_b * ratio + np.float32(case["output_zero_point"])


def clipped(value: Any) -> Any:
    return np.clip(np.rint(value), -128, 127).astype(np.int8)


@pytest.mark.parametrize(("operator", "formula"), [("add", added), ("mul", multiplied)])
def test_pair_of_values_equals_the_stated_formula(operator: str, formula: Any) -> None:
    a, b = STORED["pairs"][0]["input_a"], STORED["pairs"][0]["input_b"]
    misses = 0
    for case in STORED[operator]:
        np.testing.assert_array_equal(clipped(formula(case, a, b)), case["onnx"])
        zero = case["output_zero_point"]
        late = clipped(np.rint(formula({**case, "output_zero_point": 0}, a, b)) + zero)
        misses += int((late != case["onnx"]).sum())
    assert misses > 0  # the zero point added after the rounding is another function
