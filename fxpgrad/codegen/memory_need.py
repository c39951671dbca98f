"""What each layer of a C project needs in bytes, and the refusal of a model that needs more than there is."""

from __future__ import annotations

from dataclasses import dataclass

from fxpgrad.errors import InputError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.plan import Plan
from fxpgrad.program.program import Program


@dataclass(frozen=True, slots=True)
class LayerNeed:
    """One layer in a memory plan.

    Attributes
    ----------
    constant_bytes : int
        Of its constants; one that several layers share counts for each.
    live_bytes : int
        Of all tensors that must exist while the layer runs.
    reach_bytes : int
        Where the last of them ends in the arena: what the arena must hold for this layer.
    """

    index: int
    layer: str
    kernel: str
    output: tuple[int, ...]
    constant_bytes: int
    live_bytes: int
    reach_bytes: int


def layer_needs(program: Program, plan: Plan) -> tuple[LayerNeed, ...]:
    """Return the needs of every layer, in order."""
    needs = []
    for index, call in enumerate(program.calls):
        live = [block for block in plan.blocks.values() if block.first_call <= index <= block.last_call]
        places = {(block.offset, block.nbytes) for block in live}  # tensors that share a place count once
        needs.append(
            LayerNeed(
                index,
                call.name,
                call.kernel,
                program.tensors[call.output].shape,
                sum(program.constants[name].data.nbytes for name in call.constants.values()),
                sum(nbytes for _, nbytes in places),
                max(offset + nbytes for offset, nbytes in places),
            )
        )
    return tuple(needs)


def check_ram_limit(program: Program, plan: Plan, limit: int) -> None:
    """Raise `InputError` unless the arena has at most `limit` bytes, naming the layer that needs the most."""
    if plan.peak_bytes <= limit:
        return
    worst = max(layer_needs(program, plan), key=lambda need: need.reach_bytes)
    raise InputError(
        f"layer {worst.index}, {short_name(worst.layer)} ({worst.kernel}), needs an arena of "
        f"{worst.reach_bytes} bytes; the limit of {limit} is too small by {worst.reach_bytes - limit}"
    )
