"""Laws of the memory planner."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.execute import Executor, run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.plan import ALIGNMENT, Block, Plan, _place, plan, workspace_elements
from fxpgrad.program.program import Program
from fxpgrad.quantize import quantize
from tests.program.random_programs import random_program, random_samples, small_network

SEEDS = st.integers(0, 40)
BATCHES = st.integers(1, 9)


def overlapping(one: Block, other: Block) -> bool:
    alive_together = one.first_call <= other.last_call and other.first_call <= one.last_call
    shared_bytes = one.offset < other.offset + other.nbytes and other.offset < one.offset + one.nbytes
    return alive_together and shared_bytes


def collisions(blocks: list[Block]) -> list[tuple[str, str]]:
    return [
        (one.owner, other.owner)
        for index, one in enumerate(blocks)
        for other in blocks[index + 1 :]
        if overlapping(one, other)
    ]


def lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """State again, per tensor, the first call that needs its room and the last one."""
    result = {}
    for name in program.tensors:
        uses = [i for i, call in enumerate(program.calls) if name in (*call.inputs, call.output)]
        first = 0 if name in program.inputs else min(uses)
        last = len(program.calls) if name in program.outputs else max(uses, default=0)
        result[name] = (first, last)
    return result


@given(seed=SEEDS, batch=BATCHES)
def test_no_two_live_blocks_overlap(seed: int, batch: int) -> None:
    result = plan(random_program(seed), batch)
    assert collisions(list(result.blocks.values())) == []


@given(seed=SEEDS, batch=BATCHES)
def test_blocks_are_large_enough_aligned_and_inside_the_arena(seed: int, batch: int) -> None:
    program = random_program(seed)
    result = plan(program, batch)
    for name, info in program.tensors.items():
        assert result.blocks[name].nbytes >= batch * info.nbytes
    for index, call in enumerate(program.calls):
        for argument in call.spec.of_role("workspace"):
            block = result.blocks[f"{call.name}/{argument.name}"]
            elements = workspace_elements(program, call)[argument.name]
            assert block.nbytes >= elements * np.dtype(argument.dtype).itemsize
            assert (block.first_call, block.last_call) == (index, index)
    for block in result.blocks.values():
        assert block.offset % ALIGNMENT == 0
        assert block.offset >= 0
        assert block.offset + block.nbytes <= result.peak_bytes


@given(seed=SEEDS, batch=BATCHES)
def test_lifetimes_reach_from_the_maker_to_the_last_reader(seed: int, batch: int) -> None:
    program = random_program(seed)
    blocks = plan(program, batch).blocks
    for name, (first, last) in lifetimes(program).items():
        assert (blocks[name].first_call, blocks[name].last_call) == (first, last), name


@given(seed=SEEDS, batch=BATCHES)
def test_peak_lies_between_the_lower_bound_and_the_sum(seed: int, batch: int) -> None:
    result = plan(random_program(seed), batch)
    sizes = [block.nbytes for block in result.blocks.values()]
    live = [
        sum(b.nbytes for b in result.blocks.values() if b.first_call <= index <= b.last_call)
        for index in range(len(random_program(seed).calls) + 1)
    ]
    assert result.lower_bound_bytes == max(live)
    assert max(sizes) <= result.lower_bound_bytes <= result.peak_bytes <= sum(sizes)


@given(seed=SEEDS)
def test_memory_grows_with_the_batch_by_activations_only(seed: int) -> None:
    program = random_program(seed)
    one, many = plan(program, 1), plan(program, 8)
    assert one.peak_bytes <= many.peak_bytes <= 8 * one.peak_bytes
    for owner, block in many.blocks.items():
        if owner in program.tensors:
            assert block.nbytes == -(-8 * program.tensors[owner].nbytes // ALIGNMENT) * ALIGNMENT
        else:
            assert block.nbytes == one.blocks[owner].nbytes


@given(seed=SEEDS)
def test_plan_is_a_function_of_program_and_batch(seed: int) -> None:
    assert plan(random_program(seed), 3) == plan(random_program(seed), 3)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 9)).map(
            lambda t: (t[0], t[0] + t[1], 16 * t[2])
        ),
        min_size=1,
        max_size=14,
    )
)
def test_placing_never_lets_live_blocks_overlap(lives: list[tuple[int, int, int]]) -> None:
    blocks = _place([(str(i), start, end, size) for i, (start, end, size) in enumerate(lives)])
    assert len(blocks) == len(lives)
    assert collisions(list(blocks.values())) == []


def test_a_chain_reuses_memory() -> None:
    net = GraphBuilder("chain")
    x = net.input("x", (4096,))
    for _ in range(6):
        x = net.activation(x, "relu")
    graph = quantize(net.build(x), np.ones((2, 4096), np.float32))
    result = plan(lower(graph))
    assert result.peak_bytes == result.lower_bound_bytes == 2 * 4096


def test_outputs_in_the_middle_stay_until_the_end() -> None:
    program = random_program(2)
    middle = program.calls[len(program.calls) // 2].output
    watched = dataclasses.replace(program, outputs=(*program.outputs, middle))
    x = random_samples(program, 2)
    executor = Executor(watched, len(x))
    seen = dict(executor.layers(x))
    np.testing.assert_array_equal(executor.view(middle), seen[middle])


@pytest.mark.parametrize("batch", [0, -1])
def test_empty_batches_are_refused(batch: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        plan(random_program(0), batch)


def squeezed(result: Plan, program: Program) -> Plan:
    """Return a wrong plan: the first tensor that has to wait for room is moved on top of the input."""
    first = result.blocks[program.inputs[0]]
    name = program.calls[0].output
    block = result.blocks[name]
    moved = dataclasses.replace(block, offset=min(first.offset, result.peak_bytes - block.nbytes))
    return dataclasses.replace(result, blocks={**result.blocks, name: moved})


def test_a_wrong_plan_is_caught_by_law_and_by_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    program = lower(small_network()[1])
    x = random_samples(program, 5)
    right = run_program(program, x)
    wrong = squeezed(plan(program, len(x)), program)
    assert collisions(list(wrong.blocks.values())) != []
    monkeypatch.setattr("fxpgrad.program.execute.plan", lambda program, batch: wrong)
    assert (Executor(program, len(x)).run(x) != right).any()


IN_PLACE = frozenset(("add_a8", "clamp_a8", "reshape_a8"))


@given(seed=SEEDS, batch=BATCHES)
def test_without_workspaces_only_tensors_have_blocks(seed: int, batch: int) -> None:
    program = random_program(seed)
    result = plan(program, batch, workspaces=False)
    assert set(result.blocks) == set(program.tensors)
    assert collisions(list(result.blocks.values())) == []
    assert result.peak_bytes <= plan(program, batch).peak_bytes


@given(seed=SEEDS, batch=BATCHES)
def test_in_place_only_an_input_that_ends_shares_bytes_with_the_output(seed: int, batch: int) -> None:
    program = random_program(seed)
    result = plan(program, batch, workspaces=False, in_place=IN_PLACE)
    assert set(result.blocks) == set(program.tensors)
    for one, other in collisions(list(result.blocks.values())):
        first, second = sorted((result.blocks[one], result.blocks[other]), key=lambda b: b.first_call)
        call = program.calls[first.last_call]
        assert call.kernel in IN_PLACE
        assert (call.output, first.offset) == (second.owner, second.offset)
        assert first.owner in call.inputs
        assert first.last_call == second.first_call
        assert program.tensors[first.owner].nbytes == program.tensors[second.owner].nbytes
        assert first.owner not in program.outputs
    without = plan(program, batch, workspaces=False)
    assert result.lower_bound_bytes <= without.lower_bound_bytes
    for name, block in without.blocks.items():  # lives are the same
        assert (block.first_call, block.last_call) == (
            result.blocks[name].first_call,
            result.blocks[name].last_call,
        )


def test_a_sum_of_two_branches_takes_the_place_of_one():
    rng = np.random.default_rng(0)
    builder = GraphBuilder("branches")
    x = builder.input("x", (8, 8, 4))
    for _ in range(2):
        branch = builder.conv2d(x, rng.normal(0, 0.3, (4, 3, 3, 4)), np.zeros(4), padding="same")
        x = builder.add(x, branch)
    program = lower(quantize(builder.build(x), rng.normal(0, 1, (8, 8, 8, 4)).astype(np.float32)))
    whole = program.tensors[program.inputs[0]].nbytes
    assert plan(program, workspaces=False).peak_bytes == 3 * whole
    assert plan(program, workspaces=False, in_place=IN_PLACE).peak_bytes == 2 * whole


def test_tensors_that_somebody_needs_are_not_written_over():
    rng = np.random.default_rng(0)
    builder = GraphBuilder("kept")
    x = builder.input("x", (4, 4, 2))
    first = builder.add(x, x)
    program = lower(quantize(builder.build(builder.add(first, x)), rng.normal(0, 1, (8, 4, 4, 2))))
    both = dataclasses.replace(program, outputs=(program.calls[0].output, *program.outputs))
    assert collisions(list(plan(both, workspaces=False, in_place=IN_PLACE).blocks.values())) != []
    for call in both.calls:
        block = plan(both, workspaces=False, in_place=IN_PLACE).blocks[call.output]
        assert block.last_call == (len(both.calls))
    kept = plan(both, workspaces=False, in_place=IN_PLACE).blocks[both.calls[0].output]
    last = plan(both, workspaces=False, in_place=IN_PLACE).blocks[both.calls[1].output]
    assert not overlapping(kept, last)
