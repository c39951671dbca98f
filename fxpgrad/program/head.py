"""Classification heads on a Program: attach one, or expose the accumulators of the one it has."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, LoweringError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.prove import prove_call

ACCUMULATORS = "accumulators"
_LIMITS = {8: 127, 16: 32767}


def has_linear_head(program: Program) -> bool:
    """Whether the last call is a fully connected layer that makes the first output."""
    last = program.calls[-1]
    return last.kernel.startswith("fully_connected") and last.output == program.outputs[0]


def without_softmax(program: Program) -> Program:
    """Return the Program without a softmax at its end: probabilities of 8 bits are too coarse a loss.

    A Program that ends in something else is returned as it is.
    """
    last = program.calls[-1] if program.calls else None
    if last is None or last.spec.operator != "softmax" or program.outputs != (last.output,):
        return program
    calls = program.calls[:-1]
    kept = {name for call in calls for name in call.constants.values()}
    return dataclasses.replace(
        program,
        tensors={name: info for name, info in program.tensors.items() if name != last.output},
        constants={name: value for name, value in program.constants.items() if name in kept},
        calls=calls,
        outputs=last.inputs,
    )


def with_accumulator_output(program: Program) -> Program:
    """Return the Program with its last fully connected layer giving int32 accumulators.

    The loss reads accumulators: the two losses of a pair differ by less than an int8 logit can show.
    A Program that does so already is returned as it is.

    Raises
    ------
    InputError
        The last call is not a fully connected layer.
    """
    if not program.calls or not has_linear_head(program):
        raise InputError(
            f"program {program.name} does not end in a fully connected layer; attach a head first"
        )
    last = program.calls[-1]
    if last.kernel.startswith("fully_connected_accumulate"):
        return program
    if (last.parameters["clamp_low"], last.parameters["clamp_high"]) != (-128, 127):
        raise InputError(
            f"layer {short_name(last.name)}, the last of program {program.name}, clamps its output (an "
            "activation); logits that are trained must not be clamped: end the network in a plain fully "
            "connected layer"
        )
    weights = program.constants[last.constants["weights"]]
    constants = {name: last.constants[name] for name in ("weights", "bias")}
    parameters = {name: last.parameters[name] for name in ("input_zero_point", "accumulator_bits")}
    width = 8 * weights.data.dtype.itemsize
    output = _fresh_name(program, ACCUMULATORS)
    kernel = f"fully_connected_accumulate_a8w{width}"
    call = Call(last.name, kernel, last.inputs, constants, output, parameters)
    tensors = {name: info for name, info in program.tensors.items() if name != last.output}
    tensors[output] = TensorInfo(output, program.tensors[last.output].shape, "int32")
    others = {name for other in program.calls[:-1] for name in other.constants.values()}
    unused = set(last.constants.values()) - set(constants.values()) - others
    return dataclasses.replace(
        program,
        tensors=tensors,
        constants={name: value for name, value in program.constants.items() if name not in unused},
        calls=(*program.calls[:-1], call),
        outputs=(output, *program.outputs[1:]),
    )


def _fresh_name(program: Program, wanted: str) -> str:
    """Return `wanted`, with a number behind it if a tensor, call or constant is called so already."""
    taken = {*program.tensors, *program.constants, *(call.name for call in program.calls)}
    prefixes = {name.split("/")[0] for name in taken} | taken
    candidates = (wanted, *(f"{wanted}_{number}" for number in range(2, len(prefixes) + 3)))
    return next(name for name in candidates if name not in prefixes)


def attach_linear_head(
    program: Program,
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    *,
    weight_bits: int = 16,
    headroom: float = 1.125,
    name: str = "head",
) -> Program:
    """Append a fully connected layer with accumulator output to a Program that ends in features.

    Parameters
    ----------
    program : Program
        Its first output is int8 [D].
    weights, bias : float64 [N, D], [N]
        The head in real numbers; one scale is shared by all classes, so that accumulators compare.
    weight_bits : {8, 16}
    headroom : float >= 1
        How far the weights' range reaches beyond the largest one, so that training does not clip it.
    name : str
        Name of the new call; a number is added if it is taken.

    Raises
    ------
    InputError
        Shapes that do not fit the features.
    LoweringError
        An accumulator bound beyond int32.
    """
    source = program.tensors[program.outputs[0]]
    if source.dtype != "int8" or len(source.shape) != 1 or weights.shape[1:] != source.shape:
        raise InputError(
            f"a head of shape {weights.shape} does not fit the output {short_name(source.name)}: "
            f"{source.dtype} {source.shape}; it must be int8 [features]"
        )
    if bias.shape != weights.shape[:1] or not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise InputError(f"a head of {len(weights)} classes needs as many biases, and finite numbers")
    if weight_bits not in _LIMITS:
        raise InputError(f"weight_bits must be 8 or 16; got {weight_bits}")
    name = _fresh_name(program, name)
    output = _fresh_name(program, ACCUMULATORS)
    limit = _LIMITS[weight_bits]
    scale = max(float(np.abs(weights).max(initial=0.0)) / limit, float(np.finfo(np.float32).tiny))
    scale = max(scale, float(np.abs(bias).max(initial=0.0)) / (source.scale * 2**30))
    dtype = np.int8 if weight_bits == 8 else np.int16
    quantized = np.clip(np.rint(weights / scale), -limit, limit).astype(dtype)
    bias_scale = scale * source.scale
    quantized_bias = np.rint(bias / bias_scale).astype(np.int32)
    per_class = np.ones(len(weights))
    constants = dict(program.constants)
    constants[f"{name}/weights"] = Constant(f"{name}/weights", quantized, scale * per_class)
    constants[f"{name}/bias"] = Constant(f"{name}/bias", quantized_bias, bias_scale * per_class)
    call = Call(
        name,
        f"fully_connected_accumulate_a8w{weight_bits}",
        (source.name,),
        {"weights": f"{name}/weights", "bias": f"{name}/bias"},
        output,
        {"input_zero_point": source.zero_point, "accumulator_bits": 32},
    )
    tensors = {**program.tensors, output: TensorInfo(output, (len(weights),), "int32")}
    attached = dataclasses.replace(
        program, tensors=tensors, constants=constants, calls=(*program.calls, call), outputs=(output,)
    )
    proof = prove_call(attached, call)
    if proof is None or not proof.fits_int32:
        raise LoweringError(f"head {name}: its accumulators may leave int32; use 8-bit head weights")
    return attached


def split_before(program: Program, index: int) -> tuple[Program | None, Program]:
    """Split a Program at call `index`: (the calls before it, the calls from it on).

    The first part is None if it is empty. Only one tensor may cross the cut.

    Raises
    ------
    LoweringError
        More than one tensor crosses the cut (a residual branch, say).
    """
    if index == 0:
        return None, program
    made = {call.output for call in program.calls[:index]} | set(program.inputs)
    crossing = sorted(
        {name for call in program.calls[index:] for name in call.inputs if name in made}
        | {name for name in program.outputs if name in made}
    )
    if len(crossing) != 1:
        raise LoweringError(
            f"{len(crossing)} tensors cross the cut before {short_name(program.calls[index].name)}: "
            f"{', '.join(map(short_name, crossing))}; "
            "cut where a single tensor passes"
        )
    return (
        _part(program, program.calls[:index], program.inputs, (crossing[0],)),
        _part(program, program.calls[index:], (crossing[0],), program.outputs),
    )


def _part(
    program: Program, calls: tuple[Call, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> Program:
    tensors = {*inputs, *outputs, *(call.output for call in calls)}
    constants = {name for call in calls for name in call.constants.values()}
    return dataclasses.replace(
        program,
        tensors={name: info for name, info in program.tensors.items() if name in tensors},
        constants={name: value for name, value in program.constants.items() if name in constants},
        calls=calls,
        inputs=inputs,
        outputs=outputs,
    )
