"""RESCALE outputs of the TOSA reference model, stored with their provenance in tests/golden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding
from tests.kernels.arithmetic.corpus import kernel_implementation

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "tosa_rescale.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def rescaled(golden, rounding):
    accumulator = golden["accumulator"].astype(np.int64)
    shape = accumulator.shape
    multiplier = np.broadcast_to(golden["multiplier"].astype(np.int64), shape)
    shift = np.broadcast_to(31 - golden["right_shift"].astype(np.int64), shape)
    return kernel_implementation(accumulator.ravel(), multiplier.ravel(), shift.ravel(), rounding).reshape(
        shape
    )


@pytest.mark.parametrize("mode", ["single", "double"])
def test_int32_output_equals_the_reference_model(golden, mode):
    result = rescaled(golden, PROFILES[f"tosa_{mode}"].rounding)
    np.testing.assert_array_equal(result, golden[f"{mode}_int32"])


@pytest.mark.parametrize("mode", ["single", "double"])
@pytest.mark.parametrize("zero_point", [-128, -5])
def test_int8_output_equals_the_reference_model(golden, mode, zero_point):
    result = rescaled(golden, PROFILES[f"tosa_{mode}"].rounding) + zero_point
    np.testing.assert_array_equal(np.clip(result, -128, 127), golden[f"{mode}_int8_zero_point_{zero_point}"])


def test_tflite_double_equals_the_reference_model_in_double_mode(golden):
    np.testing.assert_array_equal(rescaled(golden, Rounding.DOUBLE_AWAY), golden["double_int32"])


@pytest.mark.parametrize(
    ("rounding", "mode"),
    [(Rounding.SINGLE, "double"), (Rounding.TOSA_DOUBLE, "single"), (Rounding.DOUBLE_UP, "double")],
)
def test_vectors_tell_a_wrong_rounding(golden, rounding, mode):
    assert (rescaled(golden, rounding) != golden[f"{mode}_int32"]).any()
