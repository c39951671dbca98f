"""check_program: a Program is consistent before anything runs it, so that inner loops can assume."""

from __future__ import annotations

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.program.program import Call, Program
from fxpgrad.program.prove import prove_call
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.spec import Argument

_ACTIVATION_DTYPES = ("int8", "int32")


def check_program(program: Program) -> None:
    """Raise `LoweringError` unless every call can run safely on what the Program holds.

    Checked: known profile and kernels; every tensor made before it is read; each call has exactly
    its kernel's constants and parameters, of the right type, rank and range; 32-bit accumulators
    are proved again.

    Raises
    ------
    LoweringError
    UnknownKernelError, UnknownProfileError
    """
    profile_named(program.profile)
    if not program.calls or not program.inputs or not program.outputs:
        raise LoweringError(f"program {program.name} needs at least one input, one call and one output")
    for info in program.tensors.values():
        if info.dtype not in _ACTIVATION_DTYPES or min(info.shape, default=1) < 1:
            raise LoweringError(f"tensor {info.name} has a bad type or shape: {info.dtype} {info.shape}")
    made = set(program.inputs)
    for call in program.calls:
        _check_call(program, call, made)
        made.add(call.output)
    missing = [name for name in (*program.outputs, *program.inputs) if name not in program.tensors]
    unmade = [name for name in program.outputs if name not in made]
    if missing or unmade:
        raise LoweringError(f"outputs that nothing makes: {missing or unmade}")


def _check_call(program: Program, call: Call, made: set[str]) -> None:
    spec = call.spec
    where = f"call {call.name} ({call.kernel})"
    for name in (*call.inputs, call.output):
        if name not in program.tensors:
            raise LoweringError(f"{where} names the unknown tensor {name!r}")
    for name in call.inputs:
        if name not in made:
            raise LoweringError(f"{where} reads {name} before anything writes it")
    if len(call.inputs) != len(spec.of_role("input")):
        raise LoweringError(f"{where} takes {len(spec.of_role('input'))} inputs, has {len(call.inputs)}")
    for role, given in (("constant", call.constants), ("parameter", call.parameters)):
        wanted = {argument.name for argument in spec.of_role(role)}  # type: ignore[arg-type]
        if wanted != set(given):
            raise LoweringError(f"{where} needs exactly the {role}s {sorted(wanted)}, has {sorted(given)}")
    for argument in spec.of_role("parameter"):
        value = call.parameters[argument.name]
        if not argument.low <= value <= argument.high:
            raise LoweringError(
                f"{where}: {argument.name} must be in [{argument.low}, {argument.high}]; got {value}"
            )
    for argument in spec.of_role("constant"):
        _check_constant(program, call, argument, where)
    _check_tensors(program, call, where)
    proof = prove_call(program, call)
    if proof is not None and not proof.fits_int32 and call.parameters.get("accumulator_bits") == 32:
        raise LoweringError(f"{where}: an accumulator may reach {proof.bound}, beyond the int32 it is given")


def _check_constant(program: Program, call: Call, argument: Argument, where: str) -> None:
    name = call.constants[argument.name]
    if name not in program.constants:
        raise LoweringError(f"{where} names the unknown constant {name!r}")
    data = program.constants[name].data
    if data.dtype != np.dtype(argument.dtype) or data.ndim != len(argument.shape):
        raise LoweringError(
            f"{where}: {argument.name} must be {argument.dtype} of rank {len(argument.shape)}; "
            f"got {data.dtype} of rank {data.ndim}"
        )
    if data.size and (int(data.min()) < argument.low or int(data.max()) > argument.high):
        raise LoweringError(f"{where}: {argument.name} must lie in [{argument.low}, {argument.high}]")


def _check_tensors(program: Program, call: Call, where: str) -> None:
    names = (*call.inputs, call.output)
    for argument, name in zip((*spec_inputs(call), *call.spec.of_role("output")), names, strict=True):
        info = program.tensors[name]
        if info.dtype != argument.dtype:
            raise LoweringError(f"{where}: {name} must be {argument.dtype}; it is {info.dtype}")


def spec_inputs(call: Call) -> tuple[Argument, ...]:
    """Return the input arguments of a call's kernel."""
    return call.spec.of_role("input")
