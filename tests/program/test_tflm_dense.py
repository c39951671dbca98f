"""conv2d and fully_connected against stored results of TFLite-Micro, multipliers derived from the scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad.program.multiplier import derive_multiplier, real_multiplier
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.registry import kernel_named
from tests.kernels.spec_call import by_kernel, reference_of
from tests.kernels.tflm_vectors import stored_cases

FORMATION = {"conv2d": "double", "fully_connected": "float32_product"}
every_operator = pytest.mark.parametrize("operator", FORMATION)
every_form = pytest.mark.parametrize("form", ["a8w8", "a8w16", "a8w16_split"])


def legal_case(
    operator: str, form: str, stored: dict[str, Any], profile: str = "tflite_double"
) -> dict[str, Any]:
    """Return a kernel's arguments from what TFLite-Micro was given."""
    formation: Any = FORMATION[operator]
    real = real_multiplier(
        [stored["input_scale"], stored["weights_scale"]], stored["output_scale"], formation
    )
    multiplier, shift = derive_multiplier(real, profile=PROFILES[profile])
    case = {
        **stored,
        "multiplier": multiplier,
        "shift": shift,
        "weights": stored["weights"].astype(np.int8 if form == "a8w8" else np.int16),
        "rounding": int(PROFILES[profile].rounding),
        "accumulator_bits": 32,
        "output_shape": stored["output"].shape,
    }
    if operator == "conv2d":
        case |= {"groups": 1, "output_size": stored["output"].shape[1:3]}
    return case


@every_operator
@every_form
def test_kernel_and_reference_equal_tflite_micro(operator: str, form: str) -> None:
    spec = kernel_named(f"{operator}_{form}")
    cases = stored_cases(operator)
    assert len(cases) == 8
    for stored in cases:
        case = legal_case(operator, form, stored)
        np.testing.assert_array_equal(by_kernel(spec)(case), stored["output"])
        np.testing.assert_array_equal(reference_of(spec, case), stored["output"])


@every_operator
@pytest.mark.parametrize("profile", ["tflite_x86_optimized", "tflite_single"])
def test_vectors_tell_another_rounding(operator: str, profile: str) -> None:
    run = by_kernel(kernel_named(f"{operator}_a8w8"))
    assert any(
        (run(legal_case(operator, "a8w8", stored, profile)) != stored["output"]).any()
        for stored in stored_cases(operator)
    )


def test_vectors_reach_every_geometry_and_do_not_all_saturate() -> None:
    cases = stored_cases("conv2d")
    for names in (("stride_h", "stride_w"), ("pad_top", "pad_left"), ("dilation_h", "dilation_w")):
        assert len({case[name] for case in cases for name in names}) > 1, names
    for operator in FORMATION:
        outputs = np.concatenate([case["output"].ravel() for case in stored_cases(operator)])
        assert np.unique(outputs).size > 50
