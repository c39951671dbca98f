"""The memory planner: one arena for all activations and workspaces, reused as lifetimes end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fxpgrad.errors import InputError
from fxpgrad.program.program import Call, Program

ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the arena: who holds it, from which call to which (inclusive), where, how long."""

    owner: str
    first_call: int
    last_call: int
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything lies for one batch size.

    blocks: by owner; a tensor's owner is its name, a workspace's is ``<call>/<argument>``.
    peak_bytes: the size of the arena. lower_bound_bytes: the largest sum of live blocks over the
    calls; no plan can be smaller.
    """

    batch: int
    blocks: Mapping[str, Block]
    peak_bytes: int
    lower_bound_bytes: int


def array_shapes(program: Program, call: Call) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a call's arrays by argument name, with batch 1.

    Where a kernel takes fewer axes than a tensor has (but not all in one), the leading axes join the
    batch, as the executor hands the array over.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    arguments = (*call.spec.of_role("input"), *call.spec.of_role("state"))
    for argument, tensor in zip(arguments, call.inputs, strict=True):
        shapes[argument.name] = _joined(program.tensors[tensor].shape, len(argument.shape))
    for argument_name, constant in call.constants.items():
        shapes[argument_name] = program.constants[constant].data.shape
    for argument in call.spec.of_role("output"):
        shapes[argument.name] = _joined(program.tensors[call.output].shape, len(argument.shape))
    return shapes


def _joined(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    whole = (1, *shape)
    if not 1 < rank < len(whole):
        return whole
    return (math.prod(whole[: 1 - rank]), *whole[1 - rank :])


def workspace_elements(program: Program, call: Call) -> dict[str, int]:
    """Return the number of elements of each of a call's workspaces."""
    if call.spec.workspace is None:
        return {}
    return dict(call.spec.workspace(array_shapes(program, call), call.parameters))


def _requests(program: Program, batch: int) -> list[tuple[str, int, int, int]]:
    """Return (owner, first call, last call, bytes) of everything that needs room."""
    first: dict[str, int] = dict.fromkeys(program.inputs, 0)
    last: dict[str, int] = dict.fromkeys(program.inputs, 0)
    for index, call in enumerate(program.calls):
        first.setdefault(call.output, index)
        for name in (*call.inputs, call.output):
            last[name] = index
    for name in program.outputs:
        last[name] = len(program.calls)
    for name in program.variables:
        first[name], last[name] = 0, len(program.calls)
    requests = [(name, first[name], last[name], batch * program.tensors[name].nbytes) for name in first]
    for index, call in enumerate(program.calls):
        dtypes = {argument.name: argument.dtype for argument in call.spec.of_role("workspace")}
        for name, elements in workspace_elements(program, call).items():
            nbytes = elements * np.dtype(dtypes[name]).itemsize
            requests.append((f"{call.name}/{name}", index, index, nbytes))
    return [(owner, start, end, -(-size // ALIGNMENT) * ALIGNMENT) for owner, start, end, size in requests]


def _place(requests: list[tuple[str, int, int, int]]) -> dict[str, Block]:
    """Place blocks in the given order, each at the lowest offset free during its lifetime."""
    placed: list[Block] = []
    for owner, start, end, nbytes in requests:
        offset = 0
        for block in sorted(placed, key=lambda b: b.offset):
            if block.last_call < start or end < block.first_call:
                continue
            if offset + nbytes <= block.offset:
                break
            offset = max(offset, block.offset + block.nbytes)
        placed.append(Block(owner, start, end, offset, nbytes))
    return {block.owner: block for block in placed}


def plan(program: Program, batch: int = 1) -> Plan:
    """Assign arena offsets for `batch` samples.

    Two greedy orders are tried (largest block first; longest-lived first, then largest) and the
    smaller arena wins; the result is deterministic.
    """
    if not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch must be an integer of at least 1; got {batch!r}")
    requests = _requests(program, batch)
    orders = (
        sorted(requests, key=lambda r: (-r[3], r[1], r[0])),
        sorted(requests, key=lambda r: (r[1] - r[2], -r[3], r[0])),
        sorted(requests, key=lambda r: (r[1], -r[3], r[0])),
    )
    best: dict[str, Block] | None = None
    best_peak = 0
    for order in orders:
        blocks = _place(order)
        peak = max((block.offset + block.nbytes for block in blocks.values()), default=0)
        if best is None or peak < best_peak:
            best, best_peak = blocks, peak
    live = [
        sum(size for _, start, end, size in requests if start <= index <= end)
        for index in range(len(program.calls) + 1)
    ]
    return Plan(batch, best or {}, best_peak, max(live, default=0))
