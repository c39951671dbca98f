"""What an import loads: no optional package, and nothing slow, before its first use."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

OPTIONAL = {"torch", "onnx", "onnxruntime", "matplotlib", "tflite"}
HEAVY = {"scipy.stats", "scipy.special", "scipy.linalg"}  # numba itself asks for the version of scipy


def loaded_by(code: str) -> set[str]:
    """Return what a fresh process has imported after running `code`."""
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    paths = os.pathsep.join(path for path in sys.path if path)
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_import_of_the_package_loads_nothing_else():
    assert not loaded_by("import fxpgrad") & (OPTIONAL | {"numpy", "numba", "scipy", "fxpgrad_kernels"})


@pytest.mark.parametrize("module", ["fxpgrad_kernels.registry", "fxpgrad.program.execute", "fxpgrad.trainer"])
def test_library_loads_no_optional_package(module):
    assert not loaded_by(f"import {module}") & (OPTIONAL | HEAVY)


def test_command_line_loads_no_optional_package():
    pytest.importorskip("click")
    pytest.importorskip("rich")
    assert not loaded_by("import fxpgrad.cli.application") & (OPTIONAL | HEAVY)
