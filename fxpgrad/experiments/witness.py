"""A third-party runtime as a witness: what it computes from a file that has been adapted."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.experiments.adapt import written_tflite
from fxpgrad.program.execute import run_program


def count_differences(
    content: bytes, layers: Mapping[str, Mapping[str, NDArray[Any]]], x: NDArray[np.int8]
) -> dict[str, int | str]:
    """Write trained values into a .tflite file and compare its outputs under tflite-micro with ours.

    Return `witness` (the runtime, or why there is none) and, if there is one, how many output values were
    compared and how many differ.
    """
    written, program = written_tflite(content, "the adapted file", None, layers)
    try:
        runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")
    except ImportError:
        return {"witness": "tflite-micro is not installed"}
    interpreter = runtime.Interpreter.from_bytes(written)
    ours = run_program(program, x)
    differing = 0
    for row, expected in zip(x, ours, strict=True):
        interpreter.set_input(row[None], 0)
        interpreter.invoke()
        differing += int(np.count_nonzero(interpreter.get_output(0)[0] != expected))
    return {"witness": "tflite-micro", "compared": int(ours.size), "differing": differing}
