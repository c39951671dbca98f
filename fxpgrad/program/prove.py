"""The accumulator prover: which layers fit int32, from their constants alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Program
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding, profile_named
from fxpgrad_kernels.spec import Role

# An accumulator of 64 bits is saturated to int32 before a 32-bit requantization. Saturation
# cannot be seen if 2**31 * multiplier is beyond every output and clamp: 2**31 * 2**-22 = 512 for int8,
# 2**31 * 2**-14 = 131,072 for int16.
SMALLEST_SATURABLE_MULTIPLIER = 2.0**-22
_SMALLEST_BY_OUTPUT = {8: SMALLEST_SATURABLE_MULTIPLIER, 16: 2.0**-14}


@dataclass(frozen=True, slots=True)
class AccumulatorProof:
    """The largest magnitude that any partial sum of a layer can reach, over all inputs.

    rounding: the call's own, None for the profile's; output_bits: 8 or 16; wraps: the kernel is defined
    to keep its sums modulo 2**32 (svdf), so that nothing needs to be proved.
    """

    call: str
    bound: int
    bits: int
    rounding: int | None = None
    output_bits: int = 8
    wraps: bool = False

    @property
    def fits_int32(self) -> bool:
        """Whether no partial sum can leave int32."""
        return self.bound < 2**31


def channel_bounds(
    weights: NDArray[Any],
    bias: NDArray[Any],
    input_zero_point: int,
    *,
    channel_axis: int = 0,
    largest_input: int = 128,
) -> NDArray[np.int64]:
    """Return largest_input * sum|w| + |bias - input_zero_point * sum w| per output channel (int64).

    weights: int8 or int16; bias: int32 or int64 [channels]; the zero point folds into the bias, so that
    the products are those of raw inputs, |x| <= 128 for int8 and |x| <= 32768 for int16.
    """
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis % weights.ndim)
    w = weights.astype(np.int64)
    bounds: NDArray[np.int64] = largest_input * np.abs(w).sum(axis=axes) + np.abs(
        bias.astype(np.int64) - input_zero_point * w.sum(axis=axes)
    )
    return bounds


def prove_call(program: Program, call: Call) -> AccumulatorProof | None:
    """Return the proof for a call that multiplies and sums, None for the others."""
    operator = call.spec.operator
    if operator == "batch_matmul":
        bound = _matmul_bound(call)
    elif operator == "svdf":
        bound = _svdf_bound(program, call)
    elif "weights" in call.constants and "bias" in call.constants:
        weights = program.constants[call.constants["weights"]]
        bounds = channel_bounds(
            weights.data,
            program.constants[call.constants["bias"]].data,
            call.parameters.get("input_zero_point", 0),
            channel_axis=weights.axis,
            largest_input=2 ** (_bits(call, "input") - 1),
        )
        bound = int(bounds.max(initial=0))
    else:
        return None
    rounding = call.parameters.get("rounding")
    width = bound.bit_length() + 1
    output = min(_bits(call, "output"), 16)
    return AccumulatorProof(call.name, bound, width, rounding, output, operator == "svdf")


def _bits(call: Call, role: Role) -> int:
    """Return the width of the first input or output of a call's kernel."""
    return int(8 * np.dtype(call.spec.of_role(role)[0].dtype).itemsize)


def _matmul_bound(call: Call) -> int:
    """Return depth times the largest product of two centred activations."""
    largest: int = 2 ** (_bits(call, "input") - 1)
    points = (abs(call.parameters.get(f"input_{side}_zero_point", 0)) for side in "ab")
    a, b = (largest + point for point in points)
    return call.parameters["depth"] * a * b


def _svdf_bound(program: Program, call: Call) -> int:
    """Return the larger of the bounds of its two sums, over all inputs and all states."""
    arrays = {role: program.constants[name].data.astype(np.int64) for role, name in call.constants.items()}
    feature = channel_bounds(
        arrays["feature_weights"],
        np.zeros(len(arrays["feature_weights"]), np.int64),
        call.parameters["input_zero_point"],
    )
    largest = 2 ** (_bits(call, "state") - 1) + abs(call.parameters["state_zero_point"])
    units = np.abs(arrays["time_weights"]).reshape(len(arrays["bias"]), -1).sum(axis=1)
    time = largest * units + np.abs(arrays["bias"])
    return int(max(feature.max(), time.max()))


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
    if proof.fits_int32 or proof.wraps:
        return 32
    reach = f"layer {short_name(proof.call)}: its accumulator may reach {proof.bound}, beyond int32"
    if real is None:
        raise LoweringError(f"{reach}, and it is the output; use 8-bit weights or fewer inputs per output")
    rounding = profile.rounding if proof.rounding is None else Rounding(proof.rounding)
    if profile.limits(rounding).exact_bits > 32:
        if proof.bound >= 2**47:
            raise LoweringError(f"{reach}, and beyond the 48 bits that {profile.name} can requantize")
    elif float(np.min(real)) < _SMALLEST_BY_OUTPUT[proof.output_bits]:
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
        parameters = dict(call.parameters)
        if proof is not None:
            bits = required_bits(profile, proof, real_multipliers(program, call))
            if "accumulator_bits" in parameters:  # the others sum in 64 bits whatever the bound
                parameters["accumulator_bits"] = bits
        calls.append(dataclasses.replace(call, parameters=parameters))
    return dataclasses.replace(program, calls=tuple(calls))
