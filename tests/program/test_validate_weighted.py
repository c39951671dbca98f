"""check_program and layers with weights: what a file may claim of them leads no kernel astray."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.validate import check_program
from tests.kernels.tflm_weighted import weighted_cases
from tests.program.test_validate_movement import changed
from tests.program.weighted_graphs import layer_graph, matmul_graph, svdf_graph


def layer(family: str, case: int = 0) -> Program:
    return lower(layer_graph(family, weighted_cases(family)[case]))


CONV = layer("conv2d_a16w8_bias64")
DENSE = layer("fully_connected_a16w8_bias64")
DEPTHWISE = layer("depthwise_conv2d_a16w8_bias64")
TRANSPOSED = layer("transpose_conv2d_a8w8")
PRODUCT = lower(matmul_graph(weighted_cases("batch_matmul_a8")[0]))
SVDF = lower(svdf_graph(weighted_cases("svdf_a8")[0]))
EVERY = (CONV, DENSE, DEPTHWISE, TRANSPOSED, PRODUCT, SVDF)


@pytest.mark.parametrize("program", EVERY)
def test_what_lowering_makes_passes(program: Program) -> None:
    check_program(program)


def parameter(program: Program, name: str) -> int:
    return program.calls[-1].parameters[name]


def constant(program: Program, role: str) -> Any:
    return program.constants[program.calls[-1].constants[role]].data


FAULTS: dict[str, tuple[Program, dict[str, Any], str]] = {
    "more groups": (CONV, {"groups": parameter(CONV, "groups") + 1}, "do not fit"),
    "a bias beyond 48 bits": (
        DENSE,
        {"bias": np.full_like(constant(DENSE, "bias"), 2**50)},
        "bias must lie in",
    ),
    "a shift that the wide rounding lacks": (
        DENSE,
        {"shift": np.full_like(constant(DENSE, "shift"), 8)},
        r"shifts must lie in \[-31, 7\]",
    ),
    "a rounding of another runtime": (DENSE, {"rounding": 2}, "its rounding 2 is not one"),
    "fewer outputs": (
        TRANSPOSED,
        {"bias": constant(TRANSPOSED, "bias").repeat(2)},
        "finite scales|axis O of",
    ),
    "other channels": (
        TRANSPOSED,
        {"weights": constant(TRANSPOSED, "weights").repeat(2, axis=3)},
        "axis C of weights",
    ),
    "no stride": (TRANSPOSED, {"stride_w": 0}, "stride_w must be in"),
    "a depth too many": (PRODUCT, {"depth": parameter(PRODUCT, "depth") + 1}, "are no matrices of"),
    "rows for columns": (PRODUCT, {"rows": 1, "columns": 1}, "are no matrices of"),
    "huge matrices": (PRODUCT, {"rows": 2**31 - 1, "columns": 2**31 - 1}, "are no matrices of"),
    "no rows": (PRODUCT, {"rows": 0}, "rows must be in"),
    "another rank": (SVDF, {"rank": parameter(SVDF, "rank") + 1}, "units of rank"),
    "a longer memory": (
        SVDF,
        {"time_weights": constant(SVDF, "time_weights").repeat(2, axis=1)},
        "does not hold",
    ),
    "one pair": (SVDF, {"multiplier": [2**30]}, "axis 2 of multiplier must be 2"),
    "wider features": (
        SVDF,
        {"feature_weights": constant(SVDF, "feature_weights").repeat(2, axis=1)},
        "axis I of feature_weights",
    ),
}


@pytest.mark.parametrize(("program", "changes", "message"), FAULTS.values(), ids=tuple(FAULTS))
def test_planted_fault_is_refused(program: Program, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        check_program(changed(program, **changes))


def test_a_state_that_is_no_variable_is_refused() -> None:
    with pytest.raises(LoweringError):
        check_program(dataclasses.replace(SVDF, variables={}))


def test_a_product_that_could_leave_int32_is_refused() -> None:
    """255 * 255 * depth reaches 2**31 at depth 33,026; a small multiplier would show the saturation."""
    case = weighted_cases("batch_matmul_a8")[0]
    case |= {"rows": 1, "depth": 40000, "columns": 1, "adjoint_a": 0, "adjoint_b": 0}
    case |= {"input_a": np.zeros((1, 1, 40000), np.int8), "input_b": np.zeros((1, 40000, 1), np.int8)}
    case |= {"input_a_zero_point": 127, "input_b_zero_point": 127, "output": np.zeros((1, 1, 1), np.int8)}
    case["output_scale"] = case["input_a_scale"] * case["input_b_scale"] * 2**21.5
    program = lower(matmul_graph(case))
    assert program.calls[-1].parameters["depth"] == 40000
    case["output_scale"] *= 2
    with pytest.raises(LoweringError, match="too small for the saturated sum"):
        lower(matmul_graph(case))
