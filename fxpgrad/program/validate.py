"""check_program: a Program is consistent before anything runs it, so that inner loops can assume."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.program.call_shapes import GREATEST_ELEMENTS, check_call_shapes
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.prove import prove_call, real_multipliers, required_bits
from fxpgrad_kernels.arithmetic.profiles import Profile, Rounding, profile_named
from fxpgrad_kernels.spec import Argument

# Random numbers, losses and updates belong to the trainer, narrow accumulators to the check of a model.
NOT_IN_PROGRAMS = frozenset(("arithmetic", "loss", "narrow_accumulator", "random", "training"))
_ACTIVATION_DTYPES = ("int8", "int16", "int32")


def check_program(program: Program) -> None:
    """Raise `LoweringError` unless every call can run safely on what the Program holds.

    Checked: known profile and kernels; every tensor made once, before it is read, and completely;
    each call has exactly its kernel's constants and parameters, of the right type, rank and range;
    all shapes agree (`check_call_shapes`); rounding and shifts are the profile's; accumulators are
    proved again.

    Raises
    ------
    LoweringError
    UnknownKernelError, UnknownProfileError
    """
    profile = profile_named(program.profile)
    if not program.calls or not program.inputs or not program.outputs:
        raise LoweringError(f"program {program.name} needs at least one input, one call and one output")
    for name, info in program.tensors.items():
        _check_tensor(name, info)
    for name, constant in program.constants.items():
        _check_scale(name, constant)
    _check_names(program)
    made = {*program.inputs, *program.variables}
    blocks: dict[str, tuple[int, int]] = {}
    for call in program.calls:
        _check_call(program, profile, call, made)
        _check_output(program, call, made, blocks)
    unmade = [name for name in program.tensors if name not in made]
    if unmade:
        raise LoweringError(f"tensors that nothing makes, or not completely: {unmade}")


def _check_tensor(name: str, info: TensorInfo) -> None:
    known = info.dtype in _ACTIVATION_DTYPES
    if name != info.name or not known or min(info.shape, default=1) < 1:
        raise LoweringError(f"tensor {name} has a bad name, type or shape: {info}")
    if math.prod(info.shape) > GREATEST_ELEMENTS:
        raise LoweringError(f"tensor {name} has more than 2^31 - 1 elements: {info.shape}")
    if not 0 < info.scale < math.inf:
        raise LoweringError(f"tensor {name}: its scale must be finite and above 0; got {info.scale}")
    if info.unsigned and info.dtype != "int8":
        raise LoweringError(f"tensor {name}: only int8 tensors can stand for uint8; it is {info.dtype}")
    limits = np.iinfo(info.dtype)
    if not limits.min <= info.zero_point <= limits.max:
        raise LoweringError(f"tensor {name}: zero point {info.zero_point} is outside {info.dtype}")


def _check_scale(name: str, constant: Constant) -> None:
    """Check the label of a constant: one finite positive scale for each entry of its channel axis."""
    data, scale = constant.data, constant.scale
    if name != constant.name or not data.flags.c_contiguous or not data.dtype.isnative:
        raise LoweringError(f"constant {name} must carry its own name and hold a contiguous native array")
    if not 0 <= constant.axis < max(data.ndim, 1):
        raise LoweringError(f"constant {name}: axis must be in [0, {data.ndim}); got {constant.axis}")
    if scale is None:
        return
    channels = data.shape[constant.axis] if data.ndim else 1
    if scale.shape != (channels,) or not (np.isfinite(scale) & (scale > 0)).all():
        raise LoweringError(f"constant {name} needs {channels} finite scales above 0; got {scale}")


def _check_names(program: Program) -> None:
    """Check that names exist, and that no two blocks of the arena would share one."""
    for role, names in (("inputs", program.inputs), ("outputs", program.outputs)):
        unknown = [name for name in names if name not in program.tensors]
        if unknown or len(set(names)) != len(names):
            raise LoweringError(f"{role} must be distinct tensors of the program; got {names}")
    for name, value in program.variables.items():
        if name not in program.tensors or name in program.inputs:
            raise LoweringError(f"variable {name} must be a tensor of the program, and no input")
        limits = np.iinfo(program.tensors[name].dtype)
        if not limits.min <= value <= limits.max:
            raise LoweringError(f"variable {name} starts as {value}, outside {limits.dtype}")
    workspaces = [
        f"{call.name}/{space.name}" for call in program.calls for space in call.spec.of_role("workspace")
    ]
    owners = [*program.tensors, *workspaces]
    calls = [call.name for call in program.calls]
    for group in (calls, owners):
        twice = [name for name, count in Counter(group).items() if count > 1]
        if twice:
            raise LoweringError(
                f"two calls, or a tensor and a workspace, share the name {twice[0]!r}; rename one"
            )


def _check_call(program: Program, profile: Profile, call: Call, made: set[str]) -> None:
    spec = call.spec
    where = f"call {call.name} ({call.kernel})"
    if spec.operator in NOT_IN_PROGRAMS:
        raise LoweringError(f"{where}: a Program cannot call kernels of {spec.operator}")
    _check_inputs(program, call, made, where)
    for role, given in (("constant", call.constants), ("parameter", call.parameters)):
        wanted = {argument.name for argument in spec.of_role(role)}  # type: ignore[arg-type]
        if wanted != set(given):
            raise LoweringError(f"{where} needs exactly the {role}s {sorted(wanted)}, has {sorted(given)}")
    for argument in spec.of_role("parameter"):
        value = call.parameters[argument.name]
        if type(value) is not int:
            raise LoweringError(f"{where}: {argument.name} must be an int; got {value!r}")
        if not argument.low <= value <= argument.high:
            raise LoweringError(
                f"{where}: {argument.name} must be in [{argument.low}, {argument.high}]; got {value}"
            )
    for argument in spec.of_role("constant"):
        _check_constant(program, call, argument, where)
    _check_types(program, call, where)
    check_call_shapes(program, call, where)
    _check_arithmetic(program, profile, call, where)


def _check_inputs(program: Program, call: Call, made: set[str], where: str) -> None:
    spec = call.spec
    for name in (*call.inputs, call.output):
        if name not in program.tensors:
            raise LoweringError(f"{where} names the unknown tensor {name!r}")
    for name in call.inputs:
        if name not in made:
            raise LoweringError(f"{where} reads {name} before it is written")
    wanted_inputs = len(spec.of_role("input")) + len(spec.of_role("state"))
    if len(call.inputs) != wanted_inputs:
        raise LoweringError(f"{where} takes {wanted_inputs} inputs, has {len(call.inputs)}")
    for name in call.inputs[len(spec.of_role("input")) :]:
        if name not in program.variables:
            raise LoweringError(f"{where} rewrites {name}, which is not a variable of the program")
        if call.inputs.count(name) > 1:
            raise LoweringError(f"{where} rewrites {name} while it reads it")


def _check_constant(program: Program, call: Call, argument: Argument, where: str) -> None:
    name = call.constants[argument.name]
    if name not in program.constants:
        raise LoweringError(f"{where} names the unknown constant {name!r}")
    constant = program.constants[name]
    data = constant.data
    if data.dtype != np.dtype(argument.dtype) or data.ndim != len(argument.shape):
        raise LoweringError(
            f"{where}: {argument.name} must be {argument.dtype} of rank {len(argument.shape)}; "
            f"got {data.dtype} of rank {data.ndim}"
        )
    if data.size and (int(data.min()) < argument.low or int(data.max()) > argument.high):
        raise LoweringError(f"{where}: {argument.name} must lie in [{argument.low}, {argument.high}]")
    channel_axis = argument.shape.index("O") if "O" in argument.shape else 0
    if constant.axis != channel_axis:
        raise LoweringError(f"{where}: the channels of {name} are axis {channel_axis}, not {constant.axis}")


def _check_types(program: Program, call: Call, where: str) -> None:
    names = (*call.inputs, call.output)
    spec = call.spec
    arguments = (*spec.of_role("input"), *spec.of_role("state"), *spec.of_role("output"))
    for argument, name in zip(arguments, names, strict=True):
        info = program.tensors[name]
        if info.dtype != argument.dtype:
            raise LoweringError(f"{where}: {name} must be {argument.dtype}; it is {info.dtype}")


def _check_arithmetic(program: Program, profile: Profile, call: Call, where: str) -> None:
    """Check what one parameter alone does not tell: profile, shifts, clamps, accumulators."""
    parameters = call.parameters
    operand = parameters.get("operand_rounding", int(Rounding.SINGLE))
    if operand != Rounding.SINGLE or ("operand_rounding" in parameters and not profile.exceptions):
        raise LoweringError(f"{where}: its operand_rounding {operand} is not that of {program.profile}")
    rounding = parameters.get("rounding", int(profile.rounding))
    if rounding not in profile.roundings():
        raise LoweringError(f"{where}: its rounding {rounding} is not one of {program.profile}")
    if "rounding" in parameters and "shift" in call.constants:
        limits = profile.limits(Rounding(rounding))
        low, high = limits.shift_low, limits.shift_high
        shift = program.constants[call.constants["shift"]].data
        if int(shift.min()) < low or int(shift.max()) > high:
            raise LoweringError(f"{where}: shifts must lie in [{low}, {high}] ({program.profile})")
    if "clamp_low" in parameters and parameters["clamp_low"] > parameters["clamp_high"]:
        raise LoweringError(f"{where}: clamp_low must not exceed clamp_high")
    bits = parameters.get("accumulator_bits", 32)
    if bits not in (32, 64):
        raise LoweringError(f"{where}: accumulator_bits must be 32 or 64; got {bits}")
    proof = prove_call(program, call)
    if proof is None:
        return
    needed = required_bits(profile, proof, real_multipliers(program, call))
    if "accumulator_bits" in parameters and needed > bits:
        raise LoweringError(f"{where}: an accumulator may reach {proof.bound}, beyond the int32 it is given")


def _check_output(program: Program, call: Call, made: set[str], blocks: dict[str, tuple[int, int]]) -> None:
    """Mark the output as made; blocks of a concatenation must follow one another without a gap."""
    name, where = call.output, f"call {call.name} ({call.kernel})"
    if name in call.inputs:
        raise LoweringError(f"{where} writes {name} while it reads it")
    if name in program.variables:
        return
    if name in made:
        raise LoweringError(f"{where} writes {name}, which is complete already")
    if not call.kernel.startswith("concatenate_block_"):
        if name in blocks:
            raise LoweringError(f"{where} writes {name}, which other calls write in blocks")
        made.add(name)
        return
    row, column = call.parameters["output_row"], call.parameters["column"]
    wanted_row, end = blocks.get(name, (row, 0))
    if row != wanted_row or column != end:
        raise LoweringError(f"{where}: the block must start at column {end} of rows of {wanted_row}")
    end += call.parameters["input_row"]
    blocks[name] = (row, end)
    if end == row:
        made.add(name)
