"""How much a Program computes."""

from __future__ import annotations

from fxpgrad.program.program import Call, Program


def multiply_accumulates(program: Program, call: Call) -> int:
    """Return the multiplications of inputs by weights that a call makes for one sample, padding included."""
    if "weights" not in call.constants:
        return 0
    weights = program.constants[call.constants["weights"]]
    channels = weights.data.shape[weights.axis]
    return int(program.tensors[call.output].elements // channels * weights.data.size)
