"""Trains a model on emulated microcontrollers and compares every trained value with the trainer's.

    python examples/train_on_boards.py MODEL DATA.npz [--scope lp ft affine] [--board cortex-m4 rv32]

MODEL: .tflite, .onnx or .fxp, ending in a dense layer. DATA.npz: x, the model's input type, and y or labels.
--noise adds normal noise of so many steps to the samples, so that there is something to adapt to. Needs the
packages that `fxpgrad emulate` asks for. Exit code 1: a value differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fxpgrad.codegen.c_project import c_project
from fxpgrad.codegen.emulated_boards import board_named
from fxpgrad.codegen.emulation import emulate
from fxpgrad.codegen.model_text import c_plan
from fxpgrad.codegen.project_folder import write_folder
from fxpgrad.codegen.training_form import training_form
from fxpgrad.experiments.evaluate import evaluate
from fxpgrad.experiments.methods import config_in_c
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.program import Program
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--scope", nargs="+", default=["lp", "affine", "ft"], choices=["lp", "affine", "ft"])
    parser.add_argument("--board", nargs="+", default=["cortex-m4", "rv32"])
    parser.add_argument("--head", default="forward", choices=["forward", "exact"])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--samples", type=int, default=400, help="to train with; others judge, 400 at most")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation, in steps")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def load(path: Path, noise: float) -> tuple[Any, Any]:
    """Return samples, noise added, and labels, in a fixed random order."""
    with np.load(path) as file:
        x, y = file["x"], file["y" if "y" in file else "labels"].astype(np.int32)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    x, y = x[order], y[order]
    if noise:
        limits = np.iinfo(x.dtype)
        x = np.clip(np.rint(x + rng.normal(0, noise, x.shape)), limits.min, limits.max).astype(x.dtype)
    return x, y


def run(program: Program, scope: Any, x: Any, y: Any, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Train in one scope here and on every board."""
    batch, steps, count = arguments.batch, arguments.steps, arguments.samples
    config = replace(config_in_c(program, scope, batch), head=arguments.head)
    form = training_form(program, config, batch, (x[:batch], y[:batch]))
    project = c_project(program, training=form)
    trainer = Trainer(form.program, form.config, LinearCrossEntropy(), batch)
    features = trainer.features(x[:count])
    for step in range(steps):
        rows = (step * batch + np.arange(batch)) % count
        trainer.step(features[rows], y[:count][rows])
    constants = trainer.write_into(form.program).constants
    trained = [item.values for item in trainer.trainables]
    trained += [constants[step.name].data for step in trainer.head_steps]
    expected = b"".join(values.tobytes() for values in trained)
    judges = slice(count, count + 400)
    accuracies = [evaluate(p, x[judges], y[judges]).accuracy for p in (program, trainer.write_into(program))]
    found = []
    for name in arguments.board:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "project"
            write_folder(folder, project.files)
            (folder / "samples.bin").write_bytes(x[:count].tobytes())
            (folder / "labels.bin").write_bytes(y[:count].tobytes())
            start = time.perf_counter()
            done = emulate(folder, board_named(name), "train", steps=steps, optimize="-O2")
            seconds = time.perf_counter() - start
            actual = (folder / "trained.bin").read_bytes() if done.status == 0 else b""
        differing = sum(a != b for a, b in zip(actual, expected, strict=False))
        differing += abs(len(actual) - len(expected))
        inference, passes = c_plan(program).peak_bytes, done.sizes.bss
        found.append(
            {
                "scope": scope, "board": name, "steps": steps, "batch": batch,
                "directions": form.config.num_directions, "trained_bytes": len(expected),
                "differing_bytes": differing, "inference_arena": inference, "training_bss": passes,
                "ratio": passes / inference, "ratio_with_trained": done.sizes.ram / inference,
                "flash": done.sizes.flash, "accuracy_before": accuracies[0], "accuracy_after": accuracies[1],
                "seconds": seconds,
            }
        )  # fmt: skip
    return found


def main() -> int:
    arguments = parse()
    x, y = load(arguments.data, arguments.noise)
    program = load_program(arguments.model, None)
    rows = [row for scope in arguments.scope for row in run(program, scope, x, y, arguments)]
    if arguments.json:
        print(json.dumps(rows, indent=1))
    else:
        print(
            "| scope | board | steps | trained bytes | differing | arena, inference | RAM, training | ratio |"
            " with trained values | flash | accuracy |\n|---|---|---|---|---|---|---|---|---|---|---|"
        )
        for row in rows:
            print(
                f"| {row['scope']} | {row['board']} | {row['steps']} of {row['batch']} | "
                f"{row['trained_bytes']:,} | {row['differing_bytes']} | {row['inference_arena']:,} | "
                f"{row['training_bss']:,} | {row['ratio']:.3f} | {row['ratio_with_trained']:.3f} | "
                f"{row['flash']:,} | {row['accuracy_before']:.3f} → {row['accuracy_after']:.3f} |"
            )
    return int(any(row["differing_bytes"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
