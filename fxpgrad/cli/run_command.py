"""`fxpgrad run`: inference on a file of samples."""

from __future__ import annotations

import time
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from fxpgrad.cli.arrays import npy_bytes, npz_bytes
from fxpgrad.cli.terminal import FILE_NAME, json_option, load_model, print_json, print_rich, require_writable
from fxpgrad.errors import InputError
from fxpgrad.files import write_atomically
from fxpgrad.program.execute import Executor, check_input, run_program
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.tasks.npz_data import load_array


@click.command("run")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--input",
    "input_path",
    type=FILE_NAME,
    required=True,
    help=".npy file, batch first, in the model's integer type.",
)
@click.option("--output", "output_path", type=FILE_NAME, required=True, help=".npy file to write.")
@click.option("--real", is_flag=True, help="The input holds real numbers, and so shall the output.")
@click.option(
    "--dump",
    "dump_path",
    type=FILE_NAME,
    help=".npz file to write with every layer's integers by tensor name.",
)
@click.option("--batch", default=32, show_default=True, help="Samples per inference; the result is the same.")
@json_option
def run_command(
    model: str,
    input_path: str,
    output_path: str,
    real: bool,
    dump_path: str | None,
    batch: int,
    as_json: bool,
) -> None:
    """Run a model on a file of samples.

    MODEL is an .fxp file.
    """
    program = load_model(model)
    if batch < 1:
        raise InputError(f"batch must be at least 1; got {batch}")
    target = require_writable(output_path)
    if dump_path is not None and require_writable(dump_path) == target:
        raise InputError("--output and --dump must name two different files")
    info = program.tensors[program.inputs[0]]
    x = load_array(input_path)
    x = quantize_input(info, x) if real else x
    check_input(info, x)
    started = time.perf_counter()
    layers: dict[str, NDArray[Any]] = {}
    if dump_path is None:
        y = run_program(program, x, batch)
    else:
        layers = all_layers(program, x, batch)
        y = layers[program.outputs[0]]
    seconds = time.perf_counter() - started
    result = dequantize_output(program, y) if real else y
    if dump_path is not None:
        write_atomically(dump_path, npz_bytes(layers))
    write_atomically(output_path, npy_bytes(result))
    payload = {
        "model": program.name,
        "samples": len(x),
        "output": {"path": output_path, "dtype": result.dtype.name, "shape": list(result.shape)},
        "dump": None if dump_path is None else {"path": dump_path, "tensors": list(layers)},
        "seconds": seconds,
    }
    if as_json:
        print_json(payload)
        return
    lines = [f"{len(x)} samples in {seconds:.2f} s → {output_path}: {result.dtype} {result.shape}"]
    if dump_path is not None:
        lines.append(f"{len(layers)} tensors → {dump_path}")
    print_rich(*lines)


def all_layers(program: Program, x: NDArray[Any], batch: int) -> dict[str, NDArray[Any]]:
    """Return every tensor by name, for all samples."""
    parts: dict[str, list[NDArray[Any]]] = {}
    executor = Executor(program, min(batch, len(x)))
    for start in range(0, len(x), batch):
        rows = x[start : start + batch]
        if len(rows) != executor.batch:
            executor = Executor(program, len(rows))
        # A tensor that several calls write (a concatenation) counts as it is after the last of them.
        for name, values in dict(executor.layers(rows)).items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}
