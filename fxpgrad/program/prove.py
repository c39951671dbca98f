"""The accumulator prover: which layers fit int32, from their constants alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.program import Call, Program


@dataclass(frozen=True, slots=True)
class AccumulatorProof:
    """The largest magnitude that any partial sum of a layer can reach, over all int8 inputs."""

    call: str
    bound: int
    bits: int

    @property
    def fits_int32(self) -> bool:
        """Whether no partial sum can leave int32."""
        return self.bound < 2**31


def channel_bounds(
    weights: NDArray[Any], bias: NDArray[Any], input_zero_point: int, *, channel_axis: int = 0
) -> NDArray[np.int64]:
    """Return 128 * sum|w| + |bias - input_zero_point * sum w| per output channel (int64).

    weights: int8 or int16; bias: int32 [channels]; the zero point folds into the bias, so that the
    products are those of raw int8 inputs, |x| <= 128.
    """
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis % weights.ndim)
    w = weights.astype(np.int64)
    bounds: NDArray[np.int64] = 128 * np.abs(w).sum(axis=axes) + np.abs(
        bias.astype(np.int64) - input_zero_point * w.sum(axis=axes)
    )
    return bounds


def prove_call(program: Program, call: Call) -> AccumulatorProof | None:
    """Return the proof for a call with weights and a bias, None for the others."""
    if "weights" not in call.constants or "bias" not in call.constants:
        return None
    weights = program.constants[call.constants["weights"]]
    bias = program.constants[call.constants["bias"]].data
    zero_point = call.parameters["input_zero_point"]
    bound = int(channel_bounds(weights.data, bias, zero_point, channel_axis=weights.axis).max(initial=0))
    return AccumulatorProof(call.name, bound, bound.bit_length() + 1)


def prove(program: Program) -> tuple[AccumulatorProof, ...]:
    """Return the proofs of all layers that multiply."""
    proofs = (prove_call(program, call) for call in program.calls)
    return tuple(proof for proof in proofs if proof is not None)
