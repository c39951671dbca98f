"""The accumulator prover: which layers fit int32, from their constants alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.program import Call, Program
from fxpgrad_kernels.arithmetic.profiles import Profile, profile_named

# An accumulator of 64 bits is saturated to int32 before a 32-bit requantization. Saturation
# cannot be seen if 2**31 * multiplier is beyond every int8 output and clamp: 2**31 * 2**-22 = 512.
SMALLEST_SATURABLE_MULTIPLIER = 2.0**-22


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


def real_multipliers(program: Program, call: Call) -> NDArray[np.float64] | None:
    """Return multiplier * 2**(shift - 31) per channel, or None for a call that gives accumulators."""
    if "multiplier" not in call.constants:
        return None
    multiplier = program.constants[call.constants["multiplier"]].data.astype(np.float64)
    real: NDArray[np.float64] = multiplier * np.exp2(program.constants[call.constants["shift"]].data - 31.0)
    return real


def required_bits(profile: Profile, proof: AccumulatorProof, real: NDArray[np.float64] | None) -> int:
    """Return 32 where the proof allows it, 64 where that gives the exact result, else refuse.

    Parameters
    ----------
    profile : Profile
    proof : AccumulatorProof
    real : float64 [channels] or None
        The real multipliers; None where the accumulators themselves are the output.

    Raises
    ------
    LoweringError
        The bound leaves int32, and a wider sum would not give the exact result either.
    """
    if proof.fits_int32:
        return 32
    reach = f"layer {proof.call}: its accumulator may reach {proof.bound}, beyond int32"
    if real is None:
        raise LoweringError(f"{reach}, and it is the output; use 8-bit weights or fewer inputs per output")
    if profile.accumulator_bits == 64:
        if proof.bound >= 2**47:
            raise LoweringError(f"{reach}, and beyond the 48 bits that {profile.name} can requantize")
    elif float(np.min(real)) < SMALLEST_SATURABLE_MULTIPLIER:
        raise LoweringError(
            f"{reach}, and its smallest multiplier {float(np.min(real)):.3g} is too small for the saturated "
            "sum to be exact; use 8-bit weights, fewer inputs per output, or the profile tflite_16x8"
        )
    return 64


def with_proved_accumulators(program: Program) -> Program:
    """Return the Program with every layer's accumulator width chosen anew from its present weights.

    Raises
    ------
    LoweringError
        See `required_bits`.
    """
    profile = profile_named(program.profile)
    calls = []
    for call in program.calls:
        proof = prove_call(program, call)
        if proof is None:
            calls.append(call)
            continue
        bits = required_bits(profile, proof, real_multipliers(program, call))
        calls.append(dataclasses.replace(call, parameters={**call.parameters, "accumulator_bits": bits}))
    return dataclasses.replace(program, calls=tuple(calls))
