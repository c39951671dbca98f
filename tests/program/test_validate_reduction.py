"""check_program and row operators: nothing that a file may claim leads a kernel out of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.shape_rules.resize import _last_place
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.resize.resize_ref import _places
from tests.program.reduction_graphs import stored_graphs
from tests.program.test_validate_movement import changed


def program_of(operator: str, case: int = 0) -> Program:
    return lower(list(stored_graphs(operator))[case][0])


SOFTMAX, TABLES = program_of("softmax_a8"), program_of("softmax_a16")
MEAN, PLACES = program_of("mean_a8"), program_of("arg_max")
RESIZE, L2 = program_of("resize_bilinear", 2), program_of("l2_normalization", 2)
EXP = TABLES.constants["y/exp_table"].data
FAULTS: dict[str, tuple[Program, dict[str, Any], str]] = {
    "rows that do not divide": (SOFTMAX, {"depth": 3}, "are no rows of 3"),
    "rows longer than a sample": (SOFTMAX, {"depth": 60}, "are no rows of 60"),
    "no rows": (SOFTMAX, {"depth": 0}, r"depth must be in \[1"),
    "rows too long for the sum": (SOFTMAX, {"depth": 8192}, r"depth must be in \[1, 8191\]"),
    "a right shift": (SOFTMAX, {"left_shift": 0}, "left_shift must be in"),
    "a short table": (TABLES, {"exp_table": EXP[:512]}, "axis T of reciprocal_table|must have 513 entries"),
    "a table that vanishes at 0": (TABLES, {"exp_table": EXP * 0}, "must end with at least 16384"),
    "a negative entry": (TABLES, {"exp_table": np.where(EXP > 9, EXP, -1)}, "exp_table must lie in"),
    "a shift that overflows": (TABLES, {"shift": 16}, "shift must be in"),
    "more results than there are": (MEAN, {"reduced": 1}, "do not make 5"),
    "fewer results than there are": (MEAN, {"reduced": 98}, "do not make 5"),
    "results half outside": (MEAN, {"inner": 3}, "do not make 5"),
    "no elements to reduce": (PLACES, {"reduced": 0}, r"reduced must be in \[1"),
    "places beyond the input": (PLACES, {"reduced": 8}, "do not make"),
    "both modes": (RESIZE, {"align_corners": 1, "half_pixel_centers": 1}, "exclude each other"),
    "another kind of ties": (RESIZE, {"ties": 1}, r"ties must be in \[2, 3\]"),
    "rows of another length": (L2, {"depth": 7}, "are no rows of 7"),
}


@pytest.mark.parametrize(("program", "changes", "message"), FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_refused(program: Program, changes: dict[str, Any], message: str) -> None:
    check_program(program)
    with pytest.raises(LoweringError, match=message):
        check_program(changed(program, **changes))


@pytest.mark.parametrize("modes", [(0, 0), (1, 0), (0, 1)])
def test_the_last_place_is_the_greatest_that_a_resize_reads(modes: tuple[int, int]) -> None:
    for extent in (1, 2, 3, 7, 100):
        for count in (1, 2, 5, 64, 3000, 20_000):
            places = [first for first, _, _ in _places(extent, count, *modes)]
            assert _last_place(extent, count, *modes) == max(places)


def test_any_view_that_passes_runs() -> None:
    """Every division of the input that the rule lets through stays inside (and gives what it names)."""
    passed = 0
    x = np.arange(-122, 123, dtype=np.int8).reshape(1, 7, 7, 5)
    for reduced in range(1, 60):
        for inner in range(1, 60):
            try:
                program = changed(MEAN, reduced=reduced, inner=inner)
                check_program(program)
            except LoweringError:
                continue
            passed += 1
            assert run_program(program, x).shape == (1, 5)
    assert passed == 2  # 49 elements, 1 or 5 apart
