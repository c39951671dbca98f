"""A training step in C takes the trainer's steps: every loss, every count, every trained value."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxpgrad.codegen.c_project import c_project
from fxpgrad.codegen.emulated_boards import BOARDS, build, run
from fxpgrad.codegen.host_compiler import SANITIZED
from fxpgrad.codegen.training_form import BIAS_LIMIT, training_form
from fxpgrad.errors import InputError
from fxpgrad.program.execute import run_program
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from tests.codegen.exported_training import TrainingProject
from tests.trainer.small_programs import dense_integers, dense_program, image_program

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("make") is None, reason="needs a C compiler and make"
)

FT = TrainerConfig(scope="ft", epsilon=3e-2, learning_rate=1e-2)
AFFINE = TrainerConfig(scope="affine", epsilon=3e-2, learning_rate=1e-2, distribution="rademacher")
CASES = {
    "ft 16 bits": (16, FT),
    "ft 8 bits, relative": (8, TrainerConfig(relative=True, epsilon=1e-1, learning_rate=3e-2)),
    "ft nearest, signs": (16, TrainerConfig(epsilon=3e-2, rounding="nearest", distribution="rademacher")),
    "ft floor, the paper's form": (16, TrainerConfig(epsilon=3e-2, rounding="floor", form="paper")),
    "ft without biases": (16, TrainerConfig(epsilon=3e-2, train_bias=False, seed=2**62 + 1)),
    "lp": (16, TrainerConfig(scope="lp", epsilon=3e-2, learning_rate=3e-2)),
    "last_k": (16, TrainerConfig(scope="last_k", layers=2, epsilon=3e-2, learning_rate=3e-2)),
    "affine": (8, AFFINE),
    "affine, split rows": (
        8,
        TrainerConfig(scope="affine", rows="split", num_directions=6, epsilon=3e-2, learning_rate=3e-2),
    ),
}


EXACT = {
    "exact head alone": (8, TrainerConfig(scope="lp", head="exact")),
    "exact head alone, without bias": (16, TrainerConfig(scope="lp", head="exact", train_bias=False)),
    "exact head, affine, split rows": (8, dataclasses.replace(CASES["affine, split rows"][1], head="exact")),
    "exact head, ft": (16, dataclasses.replace(FT, head="exact", head_rate=0.5, rounding="nearest")),
}


@pytest.mark.parametrize(("bits", "config"), (CASES | EXACT).values(), ids=CASES | EXACT)
def test_steps_in_c_are_the_trainers(bits: int, config: TrainerConfig, tmp_path: Path) -> None:
    program, x, y = image_program(bits)
    project = TrainingProject(program, config, 6, tmp_path / "project", (x[:6], y[:6]))
    project.write_data(x, y)
    project.make("train")
    done = project.run("samples.bin", "labels.bin", "7", "trained.bin")
    assert done.returncode == 0, done.stderr
    reports = project.train_here(x, y, 7)
    project.assert_same_steps(done.stdout, reports)
    project.assert_same_values()
    assert sum(report.moved for report in reports) > 0


def test_unsigned_samples_are_trained_on(tmp_path: Path) -> None:
    program, x, y = image_program(16)
    name = program.inputs[0]
    unsigned = dataclasses.replace(program.tensors[name], unsigned=True)
    program = dataclasses.replace(program, tensors={**program.tensors, name: unsigned})
    project = TrainingProject(program, FT, 6, tmp_path / "project")
    outer = x.view(np.uint8) ^ np.uint8(0x80)
    project.write_data(outer, y)
    project.make("train")
    done = project.run("samples.bin", "labels.bin", "3", "trained.bin")
    project.assert_same_steps(done.stdout, project.train_here(outer, y, 3))
    project.assert_same_values()


AFTERWARDS = """\
#include "image.h"
#include <stdio.h>
int main(void) {
    static int8_t samples[30 * IMAGE_INPUT_SIZE];
    int32_t labels[30];
    FILE *file = fopen("samples.bin", "rb");
    if (file == NULL || fread(samples, 1, sizeof samples, file) != sizeof samples) { return 1; }
    fclose(file);
    file = fopen("labels.bin", "rb");
    if (file == NULL || fread(labels, 1, sizeof labels, file) != sizeof labels) { return 1; }
    fclose(file);
    for (int32_t step = 0; step < 5; step++) {
        image_step_report report;
        if (image_train_step(samples + step * 6 * IMAGE_INPUT_SIZE, labels + step * 6, &report)) { return 2; }
    }
    for (int32_t row = 0; row < 30; row++) {
        for (int32_t i = 0; i < IMAGE_INPUT_SIZE; i++) {
            image_input()[i] = samples[row * IMAGE_INPUT_SIZE + i];
        }
        image_infer();
        for (int32_t i = 0; i < IMAGE_OUTPUT_SIZE; i++) { printf("%ld ", (long)image_output()[i]); }
    }
    return 0;
}
"""


@pytest.mark.parametrize("config", [FT, AFFINE], ids=["ft", "affine"])
def test_inference_after_training_uses_the_trained_values(config: TrainerConfig, tmp_path: Path) -> None:
    program, x, y = image_program(8 if config is AFFINE else 16)
    project = TrainingProject(program, config, 6, tmp_path / "project")
    project.write_data(x, y)
    (project.folder / "after.c").write_text(AFTERWARDS)
    sources = [project.folder / "after.c", *project.sources[1:]]
    words = ["cc", "-std=c99", *SANITIZED, *map(str, sources), "-o", str(project.folder / "after")]
    subprocess.run(words, check=True)
    done = subprocess.run(["./after"], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    project.train_here(x, y, 5)
    expected = run_program(project.trainer.write_into(program), x)
    np.testing.assert_array_equal(np.array(done.stdout.split(), np.int64), expected.ravel())


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_takes_the_trainers_steps(board: Any, tmp_path: Path) -> None:
    if board.missing():
        pytest.skip(f"{board.missing()} not installed")
    program, x, y = image_program(16)
    project = TrainingProject(program, FT, 3, tmp_path / "project")
    project.write_data(x, y)
    main = project.sources[0]
    main.write_text(main.read_text().replace("#define TRAIN_STEPS 200", "#define TRAIN_STEPS 3"))
    elf = build(board, project.sources, project.folder / "train.elf", include=[project.folder])
    status, said = run(board, elf, folder=project.folder, seconds=120)
    assert status == 0, said
    project.assert_same_steps(said, project.train_here(x, y, 3))
    project.assert_same_values()


def test_files_are_the_same_each_time() -> None:
    program, _, _ = image_program(16)
    first, second = (c_project(program, training=training_form(program, FT, 4)).files for _ in range(2))
    assert first == second


def built_dense(folder: Path) -> tuple[TrainingProject, Any, Any]:
    program = dense_program()
    project = TrainingProject(program, FT, 4, folder)
    x, y = dense_integers(program, 8)
    project.write_data(x, y)
    project.make("train")
    return project, x, y


def test_bad_files_are_named(tmp_path: Path) -> None:
    project, x, y = built_dense(tmp_path / "project")
    (project.folder / "odd.bin").write_bytes(b"7 bytes")
    bad = {
        ("nowhere.bin", "labels.bin", "2", "out.bin"): "nowhere.bin: No such file",
        ("samples.bin", "samples.bin", "2", "out.bin"): "samples.bin: must hold one 32-bit label",
        ("odd.bin", "labels.bin", "2", "out.bin"): "odd.bin: its length",
        ("samples.bin", "labels.bin", "x", "out.bin"): "x: must be a number of steps",
        ("samples.bin", "labels.bin", "0", "out.bin"): "0: must be a number of steps",
        (
            "samples.bin",
            "labels.bin",
            str(2**29),
            "out.bin",
        ): "1 to 2^31 / the batch",
        ("samples.bin", "labels.bin", "2", "no/out.bin"): "no/out.bin: No such file",
        ("samples.bin", "labels.bin", "2", "labels.bin"): "labels.bin: would be written over",
        ("samples.bin",): "usage",
    }
    samples = (project.folder / "samples.bin").read_bytes()
    for arguments, message in bad.items():
        done = project.run(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
    assert (project.folder / "samples.bin").read_bytes() == samples
    project.write_data(x, np.full_like(y, 3))
    done = project.run("samples.bin", "labels.bin", "2", "out.bin")
    assert done.returncode == 2
    assert "labels.bin: a label is out of range" in done.stderr
    assert not (project.folder / "out.bin").exists()


def test_a_training_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    project, x, y = built_dense(tmp_path / "project")
    (project.folder / "trained.bin").write_bytes(b"of another day")
    project.write_data(x, np.full_like(y, 3))
    assert project.run("samples.bin", "labels.bin", "2", "trained.bin").returncode == 2
    assert (project.folder / "trained.bin").read_bytes() == b"of another day"


def test_layers_may_have_any_name(tmp_path: Path) -> None:
    program = dense_program()
    first, *rest = program.calls
    named = dataclasses.replace(first, name='say "x" */ 100%s \\')
    program = dataclasses.replace(program, calls=(named, *rest), name="p")
    project = TrainingProject(program, FT, 4, tmp_path / "project")
    project.make("train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "exact"}, "a first batch of data"),
        ({"schedule": "linear"}, "a falling learning rate"),
        ({"blocks": 2}, "blocks"),
        ({"scalar": "magnitude"}, "scalars by magnitude"),
        ({"momentum": 0.5}, "momentum"),
        ({"distribution": "sparse"}, "sparse signs"),
    ],
)
def test_parts_that_c_does_not_have_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        training_form(dense_program(), TrainerConfig(**changes), 4)


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="one class is always 0"):
        training_form(dense_program(classes=1), FT, 4)


@pytest.mark.parametrize("role", ["inputs", "outputs"])
def test_several_inputs_or_outputs_are_refused(role: str) -> None:
    program = dense_program()
    names = getattr(program, role)
    several = dataclasses.replace(program, **{role: (*names, program.calls[0].output)})
    with pytest.raises(InputError, match=f"has 2 {role}"):
        training_form(several, FT, 4)


def with_bias(program: Program, value: int) -> Program:
    name = program.calls[0].constants["bias"]
    return program.with_constants({name: np.full_like(program.constants[name].data, value)})


def test_a_bias_beyond_its_limit_is_refused() -> None:
    training_form(with_bias(dense_program(), BIAS_LIMIT), FT, 4)
    with pytest.raises(InputError, match="the bias of"):
        training_form(with_bias(dense_program(), BIAS_LIMIT + 1), FT, 4)


def test_a_ram_limit_counts_the_passes() -> None:
    program, _, _ = image_program(16)
    form = training_form(program, FT, 4)
    need = c_project(program, training=form).text.arena_bytes
    assert need >= c_project(program).text.arena_bytes
    c_project(program, training=form, ram_limit=need)
    with pytest.raises(InputError, match="too small by 16"):
        c_project(program, training=form, ram_limit=need - 16)
