"""check_program and operators element by element: what a file may not claim."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.validate import check_program
from tests.program.test_lower_elementwise import graph_of

BYTE, WORD = ((4,), "int8", 0.1, 2), ((4,), "int16", 0.001, 0)
LOGISTIC = lower(graph_of("logistic", [BYTE], ((4,), "int8", 2.0**-8, -128)))
LOGISTIC_16 = lower(graph_of("logistic", [WORD], ((4,), "int16", 2.0**-15, 0)))
ADD = lower(graph_of("add", [BYTE, BYTE], BYTE, {"activation": "none"}))
MIXED = lower(graph_of("add", [BYTE, BYTE], BYTE, {"activation": "none"}), "tflite_x86_optimized")
SWISH = lower(graph_of("hard_swish", [BYTE], BYTE))
QUANTIZE = lower(graph_of("quantize", [WORD], BYTE))
PRELU = lower(graph_of("prelu", [BYTE, BYTE], BYTE))
GOOD = (LOGISTIC, LOGISTIC_16, ADD, MIXED, SWISH, QUANTIZE, PRELU)


def changed(program: Program, **changes: Any) -> Program:
    """Return the Program with other parameters or constants in its only call."""
    (call,) = program.calls
    constants = dict(program.constants)
    for role, name in call.constants.items():
        if role in changes:
            data = np.array(changes[role], constants[name].data.dtype)
            constants[name] = dataclasses.replace(constants[name], data=data)
    parameters = {key: changes.get(key, value) for key, value in call.parameters.items()}
    assert set(changes) <= set(call.parameters) | set(call.constants)
    return dataclasses.replace(
        program, calls=(dataclasses.replace(call, parameters=parameters),), constants=constants
    )


@pytest.mark.parametrize("program", GOOD, ids=[program.calls[0].kernel for program in GOOD])
def test_what_lowering_makes_passes(program: Program) -> None:
    check_program(program)


FAULTS: dict[str, tuple[Program, dict[str, Any]]] = {
    "a short table": (LOGISTIC, {"table": [0] * 255}),
    "a short interpolated table": (LOGISTIC_16, {"table": [2**15] * 255}),
    "an entry of the table beyond 16 bits": (LOGISTIC_16, {"table": [2**15] * 255 + [2**16]}),
    "an input multiplier of 16 bits": (LOGISTIC_16, {"input_multiplier": 2**15}),
    "an input shift beyond 31": (LOGISTIC_16, {"input_shift": 32}),
    "a left shift that overflows": (ADD, {"left_shift": 23}),
    "two pairs for three": (ADD, {"multiplier": [2**30] * 2, "shift": [0] * 2}),
    "a shift beyond the kernel's": (ADD, {"shift": [31, 0, 0]}),
    "clamps the wrong way round": (ADD, {"clamp_low": 5, "clamp_high": 4}),
    "a rounding of another runtime": (ADD, {"rounding": 5}),
    "operands' shifts beyond their rounding": (MIXED, {"operand_rounding": 4, "shift": [8, 0, 0]}),
    "an operand rounding that does not exist": (MIXED, {"operand_rounding": 6}),
    "a positive output exponent": (SWISH, {"output_exponent": 1}),
    "a gate exponent beyond 30": (SWISH, {"gate_exponent": 31}),
    "a gate multiplier of 16 bits": (SWISH, {"gate_multiplier": 2**15}),
    "a zero point outside int8": (QUANTIZE, {"output_zero_point": 128}),
    "one pair for two": (PRELU, {"multiplier": [2**30], "shift": [0]}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refused(fault: str) -> None:
    program, changes = FAULTS[fault]
    with pytest.raises(LoweringError):
        check_program(changed(program, **changes))


def test_operands_of_different_lengths_are_refused() -> None:
    tensors = {**ADD.tensors, "x1": dataclasses.replace(ADD.tensors["x1"], shape=(3,))}
    with pytest.raises(LoweringError, match="axis N"):
        check_program(dataclasses.replace(ADD, tensors=tensors))


def test_a_slope_of_another_type_is_refused() -> None:
    tensors = {**PRELU.tensors, "x1": dataclasses.replace(PRELU.tensors["x1"], dtype="int16")}
    with pytest.raises(LoweringError, match="must be int8"):
        check_program(dataclasses.replace(PRELU, tensors=tensors))
