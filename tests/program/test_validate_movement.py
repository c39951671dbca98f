"""check_program and movements: nothing that a file may claim leads a kernel out of its arrays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.shape.rearrange_ref import gather_ref, rearrange_ref
from tests.program.one_node_graphs import one_node_graph

SLICE = lower(
    one_node_graph("slice", ((5, 4),), (2, 3), {"begin": (4, 0), "size": (2, 3), "stride": (-2, 1)})
)
PAD = lower(one_node_graph("pad", ((3, 4),), (6, 4), {"padding": (1, 2, 0, 0), "value": 7}))
GATHER = lower(
    one_node_graph("gather", ((2, 3),), (2, 4), {"axis": 1}, constants={"indices": np.array([2, 0, 1, 1])})
)
CONCAT = lower(one_node_graph("concat", ((2, 3), (2, 2)), (2, 5), {"axis": 1}))
CONSTANT = lower(one_node_graph("constant", (), (2, 3), constants={"value": np.zeros((2, 3), np.int8)}))


def changed(program: Program, **changes: Any) -> Program:
    """Return the Program with other parameters or constants in its last call."""
    *calls, last = program.calls
    parameters = {**last.parameters, **{k: v for k, v in changes.items() if k in last.parameters}}
    constants = dict(program.constants)
    for role, name in last.constants.items():
        if role in changes:
            data = np.array(changes[role], constants[name].data.dtype)
            constants[name] = dataclasses.replace(constants[name], data=data)
    assert set(changes) <= set(last.parameters) | set(last.constants)
    calls.append(dataclasses.replace(last, parameters=parameters))
    return dataclasses.replace(program, calls=tuple(calls), constants=constants)


@pytest.mark.parametrize("program", [SLICE, PAD, GATHER, CONCAT, CONSTANT])
def test_what_lowering_makes_passes(program: Program) -> None:
    check_program(program)


FAULTS: dict[str, tuple[Program, dict[str, Any], str]] = {
    "read past the end": (SLICE, {"input_offset": 18}, "elements 10 to 20 of the input leave a sample of 20"),
    "read before the start": (SLICE, {"input_offset": 7}, "elements -1 to 9 of the input"),
    "read far": (SLICE, {"input_strides": [2**31 - 1, 1]}, "of the input leave"),
    "read far before": (SLICE, {"input_strides": [-(2**31), 1]}, "of the input leave"),
    "one row too many": (SLICE, {"extents": [3, 3]}, "of the output leave a sample of 6"),
    "reach beyond int64": (
        SLICE,
        {"extents": [2**31 - 1] * 3, "input_strides": [2**31 - 1] * 3, "output_strides": [2**31 - 1] * 3},
        "of the input leave",
    ),
    "write past the end": (
        PAD,
        {"output_offset": 13},
        "elements 13 to 24 of the output leave a sample of 24",
    ),
    "write before the start": (PAD, {"output_offset": -1}, r"output_offset must be in \[0"),
    "write backwards": (SLICE, {"output_strides": [3, -1]}, "output_strides must lie in"),
    "write in one place": (SLICE, {"output_strides": [1, 1]}, "two indices may meet"),
    "write all in one place": (SLICE, {"output_strides": [3, 0]}, "output_strides must lie in"),
    "no extent": (SLICE, {"extents": [0, 3]}, "extents must lie in"),
    "no axis": (SLICE, {"extents": [], "input_strides": [], "output_strides": []}, "must have the axes R"),
    "strides for other axes": (SLICE, {"input_strides": [1]}, "axis R of input_strides must be 2"),
    "nine axes": (
        SLICE,
        {"extents": [1] * 9, "input_strides": [1] * 9, "output_strides": [1] * 9},
        "9 axes are more than 8",
    ),
    "larger samples": (PAD, {"input_elements": 24}, "do not fit 12 and 24"),
    "smaller samples": (PAD, {"output_elements": 12}, "do not fit 12 and 24"),
    "parts of samples": (PAD, {"input_elements": 5}, "do not fit 12 and 24"),
    "fill outside the type": (PAD, {"fill": 128}, r"fill must be in \[-128, 127\]"),
    "index past the end": (GATHER, {"indices": [0, 1, 3, 0]}, r"the indices \[3\] are not in \[0, 3\)"),
    "index below zero": (GATHER, {"indices": [0, -1, 2, 0]}, "indices must lie in"),
    "fewer indices": (GATHER, {"indices": [0, 1]}, "do not make 8"),
    "longer axis": (GATHER, {"extent": 6}, "do not make 8"),
    "axis that does not divide": (GATHER, {"extent": 4}, "6 elements hold no axis of 4"),
    "wider entries": (GATHER, {"inner": 3}, "6 elements hold no axis of 3 entries of 3"),
    "product beyond int64": (GATHER, {"extent": 2**31 - 1, "inner": 2**31 - 1}, "hold no axis"),
    "block past the row": (CONCAT, {"column": 4}, "ends at column 6 of 5"),
    "block that leaves a gap": (CONCAT, {"input_row": 1, "column": 4}, "do not fit 4 and 10"),
    "block of a wider row": (CONCAT, {"output_row": 10}, "do not fit 4 and 10"),
    "block of long rows": (CONCAT, {"input_row": 4}, "do not fit 4 and 10"),
    "block in the place of another": (CONCAT, {"column": 2}, "must start at column 3 of rows of 5"),
    "shorter constant": (CONSTANT, {"value": np.zeros(3)}, "the 6 elements of one sample; it has 3"),
    "longer constant": (CONSTANT, {"value": np.zeros(12)}, "the 6 elements of one sample; it has 12"),
}


@pytest.mark.parametrize(("program", "changes", "message"), FAULTS.values(), ids=tuple(FAULTS))
def test_faults_are_refused(program: Program, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        check_program(changed(program, **changes))


def test_a_movement_into_its_own_input_is_refused() -> None:
    """Only a variable can be both; a kernel would overwrite what it has yet to read."""
    graph: Graph = one_node_graph("assign", ((4,),), (4,))
    program = lower(graph)
    (call,) = program.calls
    loop = dataclasses.replace(program, calls=(dataclasses.replace(call, inputs=("y",)),))
    with pytest.raises(LoweringError, match="writes y while it reads it"):
        check_program(loop)


small = st.integers(-3, 8)


@given(
    extents=st.lists(st.integers(1, 4), min_size=2, max_size=2),
    inputs=st.lists(small, min_size=2, max_size=2),
    outputs=st.lists(st.integers(1, 8), min_size=2, max_size=2),
    offsets=st.tuples(st.integers(0, 20), st.integers(0, 6)),
)
def test_rearrangements_that_pass_stay_inside_and_meet_nowhere(
    extents: list[int], inputs: list[int], outputs: list[int], offsets: tuple[int, int]
) -> None:
    program = changed(
        SLICE,
        extents=extents,
        input_strides=inputs,
        output_strides=outputs,
        input_offset=offsets[0],
        output_offset=offsets[1],
    )
    grid = [np.arange(extent) for extent in extents]
    read = offsets[0] + np.add.outer(grid[0] * inputs[0], grid[1] * inputs[1])
    written = offsets[1] + np.add.outer(grid[0] * outputs[0], grid[1] * outputs[1])
    inside = read.min() >= 0 and read.max() < 20 and written.max() < 6
    try:
        check_program(program)
    except LoweringError:
        # The rule may refuse interleaved axes that happen to miss one another, and nothing else.
        assert not inside or len(np.unique(written)) < written.size or min(extents) > 1
        return
    assert inside
    assert len(np.unique(written)) == written.size
    arrays = [np.array(values, np.int32) for values in (extents, inputs, outputs)]
    rearrange_ref(np.zeros(20, np.int8), *arrays, 20, 6, *offsets, 0)


@given(indices=st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_lists_that_pass_stay_inside(indices: list[int]) -> None:
    program = changed(GATHER, indices=indices)
    if max(indices) < 3:
        check_program(program)
        gather_ref(np.zeros(6, np.int8), np.array(indices, np.int32), 3, 1)
    else:
        with pytest.raises(LoweringError, match="are not in"):
            check_program(program)
