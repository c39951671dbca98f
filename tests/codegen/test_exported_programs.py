"""Exported Programs compute the Program's integers: every kernel, profile, type, and state."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fxpgrad.codegen.c_project import c_project
from fxpgrad.codegen.golden_runs import sample_inputs
from fxpgrad.codegen.host_compiler import SANITIZED
from fxpgrad.codegen.ports import port_files
from fxpgrad.errors import InputError
from fxpgrad.importers.model_file import program_from
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.validate import NOT_IN_PROGRAMS
from fxpgrad_kernels.registry import kernels
from tests.codegen.compilers import COMPILERS, needed
from tests.codegen.exported import Built, assert_equal_outputs, run_all
from tests.importers.tflite_builder import TfliteBuilder
from tests.importers.tflite_seed_models import seed_builders
from tests.program.one_call_programs import one_call_program
from tests.program.random_programs import random_program, small_network

ROWS = 12
KERNELS = sorted(
    name
    for name, spec in kernels().items()
    if spec.operator not in NOT_IN_PROGRAMS and name in port_files() and spec.of_role("input")
)


def check(program: Program, folder: Path, compiler: str, flags: str = "-O1") -> Built:
    needed(compiler)
    built = Built(program, folder / "project")
    said = built.make(compiler, "all", "check", flags=flags)
    assert said.endswith(f"selftest: 2 samples, {len(program.calls)} layers, all equal\n")
    feed = sample_inputs(program, ROWS)
    assert_equal_outputs(built.infer(feed), run_all(program, feed))
    return built


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed: int, compiler: str, tmp_path: Path) -> None:
    check(random_program(seed), tmp_path, compiler, "-O2")


@pytest.mark.parametrize("profile", ["onnx_float32", "xnnpack_float32", "tosa_single", "tflite_single"])
def test_profiles(profile: str, tmp_path: Path) -> None:
    check(lower(small_network()[1], profile), tmp_path, "gcc")


def test_accumulator_head(tmp_path: Path) -> None:
    program = with_accumulator_output(lower(small_network()[1]))
    assert program.calls[-1].kernel.startswith("fully_connected_accumulate")
    built = check(program, tmp_path, "gcc")
    assert "int32_t *" in built.project.files[f"{built.project.text.prefix}.h"]


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel(name: str, tmp_path: Path) -> None:
    programs = (one_call_program(name, np.random.default_rng([seed, *name.encode()])) for seed in range(99))
    program = next((found for found in programs if found is not None), None)
    if program is None:
        pytest.skip("no profile takes the integers that the test draws for it")
    check(program, tmp_path, "gcc", "-O0")


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_constants_as_operands(bits: int, tmp_path: Path) -> None:
    dtype = f"int{bits}"
    value = np.array([np.iinfo(dtype).min, -3, 7, np.iinfo(dtype).max], dtype)
    tensors = {name: TensorInfo(name, (4,), dtype) for name in "xcy"}
    calls = (
        Call("c", f"constant_a{bits}", (), {"value": "value"}, "c", {}),
        Call("y", f"maximum_a{bits}", ("x", "c"), {}, "y", {}),
    )
    constants = {"value": Constant("value", value)}
    check(Program("constant", "tflite_double", tensors, constants, calls, ("x",), ("y",)), tmp_path, "gcc")


def portable(builder: TfliteBuilder) -> Program | None:
    program = program_from(builder.content(), "seed.tflite")
    return program if all(call.kernel in port_files() for call in program.calls) else None


@pytest.mark.parametrize("index", range(len(seed_builders())))
@pytest.mark.parametrize("compiler", COMPILERS)
def test_models_with_uint8_ends_with_state_and_with_moved_blocks(
    index: int, compiler: str, tmp_path: Path
) -> None:
    program = portable(seed_builders()[index])
    if program is None:
        pytest.skip("a kernel of it has no C port yet")
    check(program, tmp_path, compiler)


def running_sum() -> Program:
    b = TfliteBuilder()
    x, handle = b.input((1, 3)), b.tensor((), "RESOURCE")
    b.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=1)
    b.operator("VAR_HANDLE", [], handle, "VarHandleOptions", Container="", SharedName="state")
    old, new = b.tensor((1, 3)), b.tensor((1, 3))
    b.operator("READ_VARIABLE", [handle], old)
    b.operator("ADD", [x, old], new, "AddOptions")
    b.operator("ASSIGN_VARIABLE", [handle, new], [])
    b.outputs = [new]
    b.start_subgraph()
    start, zero = b.tensor((), "RESOURCE"), b.tensor((1, 3), data=np.zeros((1, 3)))
    b.operator("VAR_HANDLE", [], start, "VarHandleOptions", Container="", SharedName="state")
    b.operator("ASSIGN_VARIABLE", [start, zero], [])
    return program_from(b.content(), "sum.tflite")


@pytest.mark.parametrize("first", [0, -7])
def test_variables_start_at_their_value_and_go_on_from_row_to_row(first: int, tmp_path: Path) -> None:
    program = running_sum()
    program = dataclasses.replace(program, variables=dict.fromkeys(program.variables, first))
    built = check(program, tmp_path, "gcc")
    source = built.project.files[f"{built.project.text.prefix}.c"]
    assert f"void {built.project.text.prefix}_reset(void)" in source
    x = np.array([[1, 2, 3], [4, 5, 6], [-3, 0, 1]], np.int8)
    found = built.infer({program.inputs[0]: x})[program.outputs[0]]
    np.testing.assert_array_equal(found, first + np.cumsum(x, axis=0))


def test_a_variable_that_is_a_uint8_output_is_refused():
    program = running_sum()
    (name,) = program.variables
    tensors = {**program.tensors, name: dataclasses.replace(program.tensors[name], unsigned=True)}
    changed = dataclasses.replace(program, tensors=tensors, outputs=(name,))
    with pytest.raises(InputError, match=f"variable {name} is an output of type uint8"):
        c_project(changed)


@pytest.mark.parametrize("seed", range(3))
def test_sanitizers_are_silent(seed: int, tmp_path: Path) -> None:
    needed("gcc")
    built = Built(random_program(seed), tmp_path / "project")
    test = built.compile("gcc", "-O1", *SANITIZED)
    done = subprocess.run(
        [str(test)], capture_output=True, text=True, check=False, env={"ASAN_OPTIONS": "detect_leaks=0"}
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
