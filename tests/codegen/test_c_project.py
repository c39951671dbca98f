"""The files of a C project: what they may hold, that they say what is wrong, and that they never change."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.codegen import c_project as module
from fxpgrad.codegen.c_project import c_project
from fxpgrad.codegen.golden_runs import CHECKSUM_FACTOR, checksum, sample_inputs
from fxpgrad.codegen.memory_need import layer_needs
from fxpgrad.codegen.model_text import ModelText, c_plan
from fxpgrad.errors import InputError
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from tests.codegen.compilers import needed
from tests.codegen.exported import Built
from tests.program.random_programs import random_program, small_network

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@pytest.fixture(scope="module")
def program() -> Program:
    return lower(small_network(classes=4)[1])


def test_the_same_program_gives_the_same_files(program):
    assert c_project(program).files == c_project(program).files
    code = (
        "import hashlib; from fxpgrad.codegen.c_project import c_project\n"
        "from tests.program.random_programs import random_program\n"
        "print(hashlib.sha256(repr(c_project(random_program(3)).files).encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": ":".join(filter(None, sys.path)),
                "HOME": str(Path.home()),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != ""


def test_model_and_kernels_include_nothing_but_stdint_and_hold_no_real_numbers(program):
    for name, content in c_project(program).files.items():
        if name in ("selftest.c", "host_main.c") or not name.endswith((".c", ".h")):
            continue
        assert set(re.findall(r"#include <(.*?)>", content)) <= {"stdint.h"}, name
        code = COMMENT.sub("", content)
        assert not re.search(r"\b(float|double|malloc|calloc|alloca)\b", code), name
        code = re.sub(r"#define \w+_SCALE .*", "", code)  # labels: see the next test
        assert not re.search(r"\d\.\d", code), name


def test_no_code_reads_a_scale(program):
    for name, content in c_project(program).files.items():
        if name.endswith((".c", ".h")):
            assert len(re.findall(r"\w+_SCALE\b", COMMENT.sub("", content))) == (
                2 if name.endswith(f"{c_project(program).text.prefix}.h") else 0
            )


def test_only_needed_kernels_are_copied_and_declared(program):
    files = c_project(program).files
    assert "kernels/svdf.c" not in files
    assert "kernels/update.c" not in files
    header = files["kernels/fxpgrad_kernels.h"]
    for call in program.calls:
        assert f"fxp_{call.kernel}(" in header
    assert "fxp_update_w8(" not in header


def test_every_layer_is_one_call_with_its_name(program):
    text = ModelText.of(program)
    source = c_project(program).files[f"{text.prefix}.c"]
    for index, call in enumerate(program.calls):
        assert f"/* {text.title(index)} */" in source
        assert text.is_idle(call) or text.call_text(call) in source


def test_a_call_can_be_written_with_other_arguments(program):
    text = ModelText.of(program)
    call = next(call for call in program.calls if "weights" in call.constants)
    weights = text.expressions(call)["weights"]
    assert weights.startswith("c_")
    other = text.call_text(call, {"weights": "perturbed"})
    assert other == text.call_text(call).replace(weights, "perturbed")


@pytest.mark.parametrize("damaged", [0, 2])
def test_the_self_test_names_the_first_wrong_layer(program, damaged, tmp_path):
    needed("gcc")
    built = Built(program, tmp_path / "project")
    text = built.project.text
    layers = [call for call in program.calls if "bias" in call.constants]
    call = layers[damaged]
    name = text.constant_names[call.constants["bias"]]
    constants = built.folder / f"{text.prefix}_constants.h"
    changed = constants.read_text().replace(f"{name}[", f"{name}_unused[", 1)
    size = program.constants[call.constants["bias"]].data.size
    constants.write_text(f"{changed}\nstatic const int32_t {name}[{size}] = {{ 100000 }};\n")
    test = built.compile("gcc", "-O1", "-Wno-unused-variable")
    done = subprocess.run([str(test)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"the first layer that differs is {program.calls.index(call)}, " in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "selftest: FAILED"


def test_infer_says_what_is_wrong(program, tmp_path):
    needed("gcc")
    built = Built(program, tmp_path / "project")
    built.make("gcc", "infer", flags="-O0", afresh=True)

    def said(*arguments: str) -> str:
        words = ["./infer", *arguments]
        done = subprocess.run(words, cwd=built.folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        return done.stderr

    row = program.tensors[program.inputs[0]].nbytes
    (built.folder / "short.bin").write_bytes(b"\0" * (row + 1))
    (built.folder / "empty.bin").write_bytes(b"")
    (built.folder / "good.bin").write_bytes(b"\0" * row)
    assert "usage: infer IN.bin OUT.bin" in said("one")
    assert f"short.bin: its length must be a multiple of {row}" in said("short.bin", "out.bin")
    assert "empty.bin: its length" in said("empty.bin", "out.bin")
    assert "none.bin: No such file" in said("none.bin", "out.bin")
    assert "no/out.bin: No such file" in said("good.bin", "no/out.bin")
    assert "good.bin: is the input" in said("good.bin", "good.bin")
    assert not (built.folder / "out.bin").exists()
    if Path("/dev/full").exists():
        assert "/dev/full: cannot be written" in said("good.bin", "/dev/full")


def test_cmake_builds_and_tests_it(program, tmp_path):
    needed("cmake")
    folder = Built(program, tmp_path / "project").folder
    for words in (["cmake", "-B", "build"], ["cmake", "--build", "build"], ["ctest", "--test-dir", "build"]):
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout
    assert (folder / "build" / "infer").exists()


TWO = """\
cmake_minimum_required(VERSION 3.10)
project(two C)
add_subdirectory(first)
add_subdirectory(second)
add_executable(two two.c)
target_link_libraries(two first_model second_model)
"""


def test_two_models_are_parts_of_one_program(program, tmp_path):
    needed("cmake")
    for name in ("first", "second"):
        Built(dataclasses.replace(program, name=name), tmp_path / name)
    (tmp_path / "CMakeLists.txt").write_text(TWO)
    (tmp_path / "two.c").write_text(
        '#include "first.h"\n#include "second.h"\n'
        "int main(void) { first_infer(); second_infer(); return first_output() == second_output(); }\n"
    )
    for words in (["cmake", "-B", "build"], ["cmake", "--build", "build"], ["build/two"]):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_header_is_good_for_cplusplus(program, tmp_path):
    needed("g++")
    built = Built(program, tmp_path / "project")
    (tmp_path / "use.cpp").write_text(f'#include "project/{built.project.text.prefix}.h"\nint main() {{}}\n')
    words = ["g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "use.cpp"]
    assert subprocess.run(words, cwd=tmp_path, check=False).returncode == 0


def test_strange_names_do_no_harm(program, tmp_path):
    needed("gcc")
    strange = ["*/ int exp; /*", "exp", "EXP", "int", "3", "", "a\\\n%s", '"??/', "ü"]
    mapping = {name: strange[i % 9] + "x" * (i // 9) for i, name in enumerate(program.tensors)}
    renamed = dataclasses.replace(
        program,
        name="*/ 1 \\ %s",
        tensors={mapping[n]: dataclasses.replace(t, name=mapping[n]) for n, t in program.tensors.items()},
        calls=tuple(
            dataclasses.replace(
                call,
                name=f"{strange[i % 9]} {i}",
                inputs=tuple(mapping[name] for name in call.inputs),
                output=mapping[call.output],
            )
            for i, call in enumerate(program.calls)
        ),
        inputs=tuple(mapping[name] for name in program.inputs),
        outputs=tuple(mapping[name] for name in program.outputs),
    )
    assert "all equal" in Built(renamed, tmp_path / "project").make("gcc", "check", flags="-O0")


def test_a_kernel_without_a_port_is_named(program, monkeypatch):
    known = dict(module.port_files())
    del known[program.calls[0].kernel]
    monkeypatch.setattr(module, "port_files", lambda: known)
    with pytest.raises(InputError, match=f"needs the kernel {program.calls[0].kernel}, which has no C port"):
        c_project(program)


def test_a_limit_that_is_too_small_names_the_layer_and_what_is_missing(program):
    peak = c_plan(program).peak_bytes
    worst = max(layer_needs(program, c_plan(program)), key=lambda need: need.reach_bytes)
    assert c_project(program, ram_limit=peak).text.plan.peak_bytes == peak
    with pytest.raises(InputError, match=f"layer {worst.index}, .*the limit of {peak - 5} is too small by 5"):
        c_project(program, ram_limit=peak - 5)


@pytest.mark.parametrize("samples", [0, -1, 1001])
def test_samples_out_of_range_are_refused(samples, program):
    with pytest.raises(InputError, match="samples must be from 1 to 1000"):
        c_project(program, samples=samples)


@given(seed=st.integers(0, 40))
def test_no_layer_reaches_beyond_the_arena_and_one_reaches_its_end(seed: int) -> None:
    program = random_program(seed)
    memory = c_plan(program)
    needs = layer_needs(program, memory)
    assert max(need.reach_bytes for need in needs) <= memory.peak_bytes
    assert all(need.live_bytes <= need.reach_bytes for need in needs)


@given(values=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_a_checksum_is_the_polynomial_of_all_values(values: list[int]) -> None:
    total = 0
    for value in values:
        total = (total * CHECKSUM_FACTOR + value) % 2**32
    assert checksum(np.array(values, np.int32)) == total


def test_samples_cover_the_range_and_the_ends_and_stay_what_they_are(program):
    (name,) = program.inputs
    x = sample_inputs(program, 4)[name]
    assert len(np.unique(x[0])) > 30
    assert set(np.unique(x[1])) == {-128, 127}
    assert x[2].tobytes() != x[0].tobytes()
    np.testing.assert_array_equal(sample_inputs(program, 2)[name], x[:2])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_sizes_are_what_the_compiler_makes(program, tmp_path):
    needed("gcc")
    built = Built(program, tmp_path / "project")
    said = built.make("gcc", "size").splitlines()[-1].split()
    assert int(said[2]) == built.project.text.plan.peak_bytes  # bss
    assert int(said[0]) >= built.project.text.constant_bytes
