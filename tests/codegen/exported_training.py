"""Exported projects that train, beside the trainer: the same samples, step by step."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.c_project import CProject, c_project
from fxpgrad.codegen.training_form import LabelledBatch, TrainingForm, training_form
from fxpgrad.files import write_folder
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.report import StepReport
from fxpgrad.trainer.trainer import Trainer
from tests.codegen.kernel_objects import add_objects

Labels = NDArray[np.int32]


class TrainingProject:
    """A project in a folder, with samples and labels beside it, and the trainer that it must equal."""

    def __init__(
        self,
        program: Program,
        config: TrainerConfig,
        batch: int,
        folder: Path,
        first_batch: LabelledBatch | None = None,
    ) -> None:
        self.form: TrainingForm = training_form(program, config, batch, first_batch)
        self.project: CProject = c_project(program, training=self.form, samples=1)
        self.folder, self.batch, self.program = folder, batch, program
        self.trainer = Trainer(self.form.program, config, LinearCrossEntropy(), batch, rows_at_once=1)
        write_folder(folder, self.project.files)

    @property
    def prefix(self) -> str:
        return self.project.text.prefix

    @property
    def sources(self) -> list[Path]:
        """The files of the training program."""
        names = ("train_main.c", f"{self.prefix}.c")
        return [*(self.folder / name for name in names), *sorted((self.folder / "kernels").glob("*.c"))]

    def write_data(self, x: NDArray[Any], y: Labels) -> None:
        (self.folder / "samples.bin").write_bytes(x.tobytes())
        (self.folder / "labels.bin").write_bytes(y.tobytes())

    def make(self, target: str, compiler: str = "cc", flags: str = "-O1 -Werror") -> None:
        add_objects(self.folder, compiler, flags)
        words = ["make", "-s", f"CC={compiler}", f"CFLAGS={flags}", target]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["./train", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def train_here(self, x: NDArray[Any], y: Labels, steps: int) -> list[StepReport]:
        """Take the trainer's steps on the samples that `train` takes."""
        features, reports = self.trainer.features(x), []
        for step in range(steps):
            rows = (step * self.batch + np.arange(self.batch)) % len(x)
            reports.append(self.trainer.step(features[rows], y[rows]))
        return reports

    def assert_same_steps(self, said: str, reports: list[StepReport]) -> None:
        expected = [
            (
                report.step,
                sum(report.losses_plus),
                sum(report.losses_minus),
                report.moved,
                report.probes_saturated + report.updates_saturated,
            )
            for report in reports
        ]
        assert [tuple(map(int, line.split())) for line in said.splitlines()] == expected

    def assert_same_values(self) -> None:
        content = (self.folder / "trained.bin").read_bytes()
        for item in self.trainer.trainables:
            found = np.frombuffer(content[: item.values.nbytes], item.values.dtype)
            np.testing.assert_array_equal(found, item.values.reshape(-1), item.name)
            content = content[item.values.nbytes :]
        trained = self.trainer.write_into(self.form.program).constants
        for step in self.trainer.head_steps:
            values = trained[step.name].data
            found = np.frombuffer(content[: values.nbytes], values.dtype)
            np.testing.assert_array_equal(found, values.reshape(-1), step.name)
            content = content[values.nbytes :]
        assert content == b""
