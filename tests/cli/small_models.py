"""Small models on disk and labelled data for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from fxpgrad.cli.application import application
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input
from fxpgrad.program.store import save
from fxpgrad.quantize import quantize

CLASSES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A Program, its file, and data: real samples, the same as the Program's integers, labels."""

    program: Program
    path: Path
    real: NDArray[np.float32]
    x: NDArray[np.int8]
    y: NDArray[np.int64]


def write_model(folder: Path, *, classifier: bool = True) -> Model:
    """Write a convolutional network that ends in int8 logits, or in int8 features."""
    rng = np.random.default_rng(7)
    labels = np.arange(30) % CLASSES
    images = rng.normal(0, 0.3, (30, 6, 6, 2)).astype(np.float32)
    images[..., 0] += labels[:, None, None] - 1
    builder = GraphBuilder("small")
    x = builder.input("image", (6, 6, 2))
    x = builder.conv2d(x, rng.normal(0, 0.4, (8, 3, 3, 2)), rng.normal(0, 0.4, 8), activation="relu")
    x = builder.global_average_pool2d(builder.max_pool2d(x, (2, 2)), name="features")
    if classifier:
        x = builder.fully_connected(x, rng.normal(0, 0.3, (CLASSES, 8)), np.zeros(CLASSES), name="logits")
    program = lower(quantize(builder.build(x), images, headroom=1.25))
    path = folder / ("classifier.fxp" if classifier else "features.fxp")
    save(program, path)
    return Model(program, path, images, quantize_input(program.tensors["image"], images), labels)


def write_data(path: Path, **arrays: Any) -> Path:
    """Write an .npz file."""
    np.savez(path, **arrays)
    return path


def call(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(application, [str(argument) for argument in arguments])


def adapt(model: object, data: object, output: object, *options: object) -> dict[str, Any]:
    """Run `fxpgrad adapt`, which must succeed; return its report."""
    result = call("adapt", model, "--data", data, "-o", output, "--json", *options)
    assert result.exit_code == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 2, one line on standard error with these words, nothing on standard output."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("fxpgrad: ")
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
