"""Programs of a single kernel call, and what a damaged or hostile file might make of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.errors import LoweringError
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import Argument

Generator = np.random.Generator


def _of_one_sample(argument: Argument, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[1:] if argument.shape[0] == "B" else shape)


def _program(name: str, case: Case, profile: str) -> Program:
    """Return the Program that makes one call of a case; flat arrays are one sample whole."""
    spec = kernel_named(name)
    tensors: dict[str, TensorInfo] = {}
    constants: dict[str, Constant] = {}
    for argument in spec.arguments:
        key = argument.name
        if argument.role == "constant":
            axis = argument.shape.index("O") if "O" in argument.shape else 0
            constants[key] = Constant(key, np.ascontiguousarray(case[key]), None, axis)
        elif argument.role in ("input", "state", "output"):
            shape = case["shapes"][key] if argument.role == "output" else case[key].shape
            tensors[key] = TensorInfo(key, _of_one_sample(argument, shape), argument.dtype)
    parameters = {a.name: int(case[a.name]) for a in spec.of_role("parameter")}
    inputs = tuple(a.name for a in spec.of_role("input"))
    states = tuple(a.name for a in spec.of_role("state"))
    output = spec.of_role("output")[0].name
    call = Call("call", name, inputs + states, {key: key for key in constants}, output, parameters)
    return Program(
        name, profile, tensors, constants, (call,), inputs, (output,), variables=dict.fromkeys(states, 0)
    )


def one_call_program(name: str, rng: Generator) -> Program | None:
    """Return a sound Program of one call under a profile that takes its integers; None if there is none."""
    case = legal_case(name, rng)
    for profile in PROFILES:
        program = _program(name, case, profile)
        try:
            check_program(program)
        except LoweringError:
            continue
        return program
    return None


def _other_parameter(program: Program, rng: Generator) -> Program:
    (call,) = program.calls
    if not call.parameters:
        return program
    key = str(rng.choice(list(call.parameters)))
    argument = next(a for a in call.spec.arguments if a.name == key)
    old = call.parameters[key]
    values = [old - 1, old + 1, old + 2, 2 * old, int(rng.integers(40)), argument.low]
    if key.startswith(("pad", "input_off", "output_off", "column")):
        values.append(argument.high)
    parameters = {**call.parameters, key: int(rng.choice(values))}
    return replace(program, calls=(replace(call, parameters=parameters),))


def _other_constant(program: Program, rng: Generator) -> Program:
    if not program.constants:
        return program
    key = str(rng.choice(list(program.constants)))
    constant = program.constants[key]
    argument = next(a for a in program.calls[0].spec.arguments if a.name == key)
    if constant.data.size and rng.random() < 0.3:
        data = constant.data.copy()
        data.flat[rng.integers(data.size)] = int(rng.choice([argument.low, argument.high]))
    else:
        shape = list(constant.data.shape)
        axis = int(rng.integers(len(shape)))
        shape[axis] = max(0, shape[axis] + int(rng.choice([-1, 1, 2])))
        data = np.resize(constant.data, shape)
    return replace(program, constants={**program.constants, key: replace(constant, data=data)})


def _other_shape(program: Program, rng: Generator) -> Program:
    key = str(rng.choice(list(program.tensors)))
    shape = list(program.tensors[key].shape)
    kind, axis = rng.random(), int(rng.integers(len(shape)))
    if kind < 0.2:
        shape.insert(axis, int(rng.integers(1, 3)))
    elif kind < 0.4 and len(shape) > 1:
        size = shape.pop(axis)
        shape[axis - 1] *= size
    else:
        shape[axis] = max(1, shape[axis] + int(rng.choice([-2, -1, 1, 2, 16])))
    changed = replace(program.tensors[key], shape=tuple(shape))
    return replace(program, tensors={**program.tensors, key: changed})


def accepted_programs(name: str, seed: int, changed: int) -> Iterator[Program]:
    """Yield a sound Program and those of `changed` damaged ones that `check_program` accepts."""
    rng = np.random.default_rng([seed, *name.encode()])
    program = one_call_program(name, rng)
    if program is None:
        return
    yield program
    ways: Any = (_other_parameter, _other_constant, _other_shape)
    for _ in range(changed):
        other = program
        for way in rng.choice(ways, rng.integers(1, 3)):
            other = way(other, rng)
        try:
            check_program(other)
        except LoweringError:
            continue
        yield other
