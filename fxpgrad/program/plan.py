"""The memory planner: one arena for all activations and workspaces, reused as lifetimes end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping
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


Request = tuple[str, int, int, int]


def _requests(program: Program, batch: int, workspaces: bool, scratch: Mapping[str, int]) -> list[Request]:
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
    for index, call in enumerate(program.calls if workspaces else ()):
        dtypes = {argument.name: argument.dtype for argument in call.spec.of_role("workspace")}
        for name, elements in workspace_elements(program, call).items():
            nbytes = elements * np.dtype(dtypes[name]).itemsize
            requests.append((f"{call.name}/{name}", index, index, nbytes))
    requests += [
        (f"{call.name}/scratch", index, index, scratch[call.name])
        for index, call in enumerate(program.calls)
        if call.name in scratch
    ]
    return [(owner, start, end, -(-size // ALIGNMENT) * ALIGNMENT) for owner, start, end, size in requests]


def _shared(program: Program, requests: list[Request], in_place: Container[str]) -> dict[str, str]:
    """Return the tensor whose block each tensor takes over, by name: for outputs of kernels of `in_place`.

    It is an input of the same type and size that nobody needs after the call. The output has one maker, and a
    reader.
    """
    ends = {owner: end for owner, _, end, _ in requests}
    kinds = {name: (info.dtype, info.elements) for name, info in program.tensors.items()}
    makers = Counter(call.output for call in program.calls)
    kept = {*program.outputs, *program.variables}
    taken: dict[str, str] = {}
    for index, call in enumerate(program.calls):
        output = call.output
        if call.kernel not in in_place or makers[output] > 1 or ends[output] == index:
            continue
        free = (n for n in call.inputs if n not in kept and ends[n] == index and kinds[n] == kinds[output])
        source = next(free, None)
        if source is not None and output not in program.variables:
            taken[output] = source
    return taken


def _joined_requests(requests: list[Request], taken: Mapping[str, str]) -> list[Request]:
    """Return the requests with one for each chain of tensors in one block, under the first one's name."""
    ends = {owner: end for owner, _, end, _ in requests}
    last = {source: output for output, source in taken.items()}
    joined = []
    for owner, start, end, nbytes in requests:
        if owner in taken:
            continue
        final = owner
        while final in last:
            final = last[final]
        joined.append((owner, start, max(end, ends[final]), nbytes))
    return joined


def _place(requests: list[Request]) -> dict[str, Block]:
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


def plan(
    program: Program,
    batch: int = 1,
    *,
    workspaces: bool = True,
    in_place: Container[str] = (),
    scratch: Mapping[str, int] | None = None,
) -> Plan:
    """Assign arena offsets for `batch` samples.

    Three greedy orders are tried (largest block first; longest-lived first; in order of calls) and the
    smallest arena wins; the result is deterministic.

    Parameters
    ----------
    workspaces : bool
        Whether kernels need their workspaces; the C ports take none.
    in_place : container of str
        Kernels that may write their output over an input, which then share a block if nobody else needs
        the input. Which kernels may depends on who implements them, so there is no default.
    scratch : mapping, optional
        Bytes that a caller needs for itself while a call runs, by the call's name: "<call>/scratch".
    """
    if not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch must be an integer of at least 1; got {batch!r}")
    requests = _requests(program, batch, workspaces, scratch or {})
    taken = _shared(program, requests, in_place)
    joined = _joined_requests(requests, taken)
    orders = (
        sorted(joined, key=lambda r: (-r[3], r[1], r[0])),
        sorted(joined, key=lambda r: (r[1] - r[2], -r[3], r[0])),
        sorted(joined, key=lambda r: (r[1], -r[3], r[0])),
    )
    placed = min((_place(order) for order in orders), key=_peak)
    offsets = {owner: block.offset for owner, block in placed.items()}
    for output, source in taken.items():  # in order of calls: a source has its place already
        offsets[output] = offsets[source]
    blocks = {owner: Block(owner, start, end, offsets[owner], size) for owner, start, end, size in requests}
    live = [
        sum(size for _, start, end, size in joined if start <= index <= end)
        for index in range(len(program.calls) + 1)
    ]
    return Plan(batch, blocks, _peak(placed), max(live, default=0))


def _peak(blocks: Mapping[str, Block]) -> int:
    return max((block.offset + block.nbytes for block in blocks.values()), default=0)
