"""Exported C projects, built and run on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.c_project import CProject, c_project
from fxpgrad.codegen.host_compiler import STRICT, run_compiler
from fxpgrad.files import write_folder
from fxpgrad.program.execute import joined, named_inputs, run_batches
from fxpgrad.program.program import Program
from tests.codegen.kernel_objects import add_objects

Arrays = dict[str, NDArray[Any]]


class Built:
    """A project in a folder of its own, built by its Makefile or by hand."""

    def __init__(self, program: Program, folder: Path, samples: int = 2) -> None:
        self.program = program
        self.project: CProject = c_project(program, samples=samples)
        self.folder = folder
        write_folder(folder, self.project.files)

    def make(self, compiler: str, *targets: str, flags: str = "-O1", afresh: bool = False) -> str:
        """Run make with every warning an error, and return what it prints; afresh: kernels too."""
        if not afresh:
            add_objects(self.folder, compiler, f"{flags} -Werror")
        words = ["make", "-s", f"CC={compiler}", f"CFLAGS={flags} -Werror", *targets]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def compile(self, compiler: str, *flags: str) -> Path:
        """Build the self-test in one go, as a user without make would."""
        sources = sorted(self.folder.glob("kernels/*.c"))
        macro = f"-D{self.project.text.macro}_WATCH"
        output = self.folder / "selftest"
        names = ("selftest.c", f"{self.project.text.prefix}.c")
        model = [self.folder / name for name in names]
        run_compiler([compiler, *STRICT, *flags, macro, *model, *sources, "-o", output])
        return output

    def infer(self, feed: Arrays) -> Arrays:
        """Run `infer` on rows and return the outputs by name."""
        rows = len(next(iter(feed.values())))
        columns = [np.ascontiguousarray(feed[name]).reshape(rows, -1) for name in self.program.inputs]
        source, target = self.folder / "in.bin", self.folder / "out.bin"
        source.write_bytes(b"".join(part[row].tobytes() for row in range(rows) for part in columns))
        done = subprocess.run(
            ["./infer", "in.bin", "out.bin"], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{rows} rows\n"
        infos = [self.program.tensors[name] for name in self.program.outputs]
        row_type = np.dtype([(info.name, info.outer_dtype, info.shape) for info in infos])
        found = np.frombuffer(target.read_bytes(), row_type)
        assert len(found) == rows
        return {info.name: found[info.name] for info in infos}


def run_all(program: Program, feed: Any) -> Arrays:
    """Return all outputs of the Program for all rows; a stateful one starts fresh."""
    batches = run_batches(program, named_inputs(program, feed))
    return joined(executor.run_all(rows) for executor, rows in batches)


def assert_equal_outputs(found: Arrays, expected: Arrays) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)
