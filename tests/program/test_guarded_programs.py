"""Whatever `check_program` accepts keeps to its arrays: a Program from a file may claim anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fxpgrad.conformance.guarded_memory import SIDES
from fxpgrad.program.execute import Executor, run_reference
from fxpgrad.program.plan import plan
from fxpgrad.program.program import Program
from fxpgrad.program.validate import NOT_IN_PROGRAMS
from fxpgrad_kernels.registry import kernels
from tests.guarded_memory import Sandbox, needs_guards
from tests.guarded_tape import Note, guarded_tapes
from tests.program.one_call_programs import accepted_programs

pytestmark = needs_guards

LARGEST_ARENA = 20_000_000
# A block alone makes no whole tensor, a constant alone reads no input.
ALONE = [
    name
    for name, spec in kernels().items()
    if spec.operator not in NOT_IN_PROGRAMS and not name.startswith(("concatenate_block", "constant"))
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def told(program: Program) -> object:
    """Return what a message needs to show the Program."""
    shapes = {name: info.shape for name, info in program.tensors.items()}
    shapes |= {name: constant.data.shape for name, constant in program.constants.items()}
    return program.name, shapes, program.calls[0].parameters


def check_accepted(note: Note, name: str, seeds: int, changed: int) -> int:
    """Compare what accepted Programs give between guards with the definition; return how many ran."""
    count = 0
    for seed in range(seeds):
        for program in accepted_programs(name, seed, changed):
            rng = np.random.default_rng(seed)
            batch = int(rng.integers(1, 4))
            if plan(program, batch).peak_bytes > LARGEST_ARENA:
                continue
            infos = [program.tensors[key] for key in program.inputs]
            feed = {i.name: rng.integers(-100, 100, (batch, *i.shape)).astype(i.dtype) for i in infos}
            expected = run_reference(program, feed)
            note(told(program))
            for side in SIDES:
                with guarded_tapes(side, lambda call: None):
                    found = Executor(program, batch).run_all(feed)
                for output, values in found.items():
                    np.testing.assert_array_equal(values, expected[output])
            count += 1
    return count


@pytest.mark.parametrize("name", ALONE)
def test_an_accepted_program_keeps_to_its_arrays(name: str, sandbox: Sandbox) -> None:
    assert sandbox.call(check_accepted, name, 6, 4) >= 1


@pytest.mark.deep
@pytest.mark.parametrize("name", ALONE)
def test_accepted_programs_keep_to_their_arrays_in_many_cases(name: str, sandbox: Sandbox) -> None:
    assert sandbox.call(check_accepted, name, 300, 10) >= 100
