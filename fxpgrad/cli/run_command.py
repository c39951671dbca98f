"""`fxpgrad run`: inference on a file of samples."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from fxpgrad.cli.terminal import (
    FILE_NAME,
    default_threads,
    json_option,
    print_json,
    print_rich,
    profile_option,
    progress_bar,
    require_writable,
    threads_option,
    warn_of_doubts,
)
from fxpgrad.errors import InputError
from fxpgrad.files import npy_bytes, npz_bytes, write_atomically
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.execute import Executor, Feed, check_feed, joined, only_input, run_batches
from fxpgrad.program.lower import UNREPRODUCED
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.program.threads import ThreadedExecutor, threaded_batches
from fxpgrad.tasks.npz_data import load_array, load_arrays

Arrays = dict[str, NDArray[Any]]


@click.command("run")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--input",
    "input_path",
    type=FILE_NAME,
    required=True,
    help=".npy file, batch first, in the model's integer type; .npz file by tensor name for several inputs.",
)
@click.option(
    "--output",
    "output_path",
    type=FILE_NAME,
    required=True,
    help=".npy file to write; .npz file by tensor name for several outputs.",
)
@profile_option
@click.option("--real", is_flag=True, help="The input holds real numbers, and so shall the output.")
@click.option(
    "--dump",
    "dump_path",
    type=FILE_NAME,
    help=".npz file to write with every layer's integers by tensor name.",
)
@click.option("--batch", default=32, show_default=True, help="Samples per inference; the result is the same.")
@threads_option
@json_option
def run_command(
    model: str,
    input_path: str,
    output_path: str,
    profile: str | None,
    real: bool,
    dump_path: str | None,
    batch: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Run a model on a file of samples.

    MODEL is an .fxp, .tflite or .onnx file. A model that keeps state (a streaming model) starts fresh and
    runs its rows one after the other, in order.
    """
    program = load_program(model, profile)
    warn_of_doubts(program)
    if batch < 1:
        raise InputError(f"batch must be at least 1; got {batch}")
    target = require_writable(output_path)
    if dump_path is not None and require_writable(dump_path) == target:
        raise InputError("--output and --dump must name two different files")
    for path in (model, input_path):
        if target == Path(path).resolve() or (
            dump_path and Path(dump_path).resolve() == Path(path).resolve()
        ):
            raise InputError(f"{path} is read, and must not be written over; name another file")
    archive = Path(output_path).suffix == ".npz"
    if not archive and len(program.outputs) > 1:
        raise InputError(
            f"{model} has the outputs {', '.join(program.outputs)}; name an .npz file with --output"
        )
    feed = _load_feed(program, input_path)
    if real:
        feed = {name: quantize_input(program.tensors[name], x) for name, x in feed.items()}
    samples = check_feed(program, feed)
    started = time.perf_counter()
    tensors = (
        _run_layers(program, feed, samples, batch)
        if dump_path is not None
        else _run(program, feed, samples, batch, threads or default_threads())
    )
    seconds = time.perf_counter() - started
    results = {name: tensors[name] for name in program.outputs}
    if real:
        results = {name: dequantize_output(program, y, name) for name, y in results.items()}
    if dump_path is not None:
        write_atomically(dump_path, npz_bytes(tensors))
    first = results[program.outputs[0]]
    write_atomically(output_path, npz_bytes(results) if archive else npy_bytes(first))
    payload = {
        "model": program.name,
        "profile": program.profile,
        "samples": samples,
        "output": {"path": output_path, "dtype": first.dtype.name, "shape": list(first.shape)},
        "dump": None if dump_path is None else {"path": dump_path, "tensors": list(tensors)},
        "outputs": {name: {"dtype": y.dtype.name, "shape": list(y.shape)} for name, y in results.items()},
        "doubts": program.metadata.get(UNREPRODUCED),
        "seconds": seconds,
    }
    if as_json:
        print_json(payload)
        return
    shapes = ", ".join(f"{y.dtype} {y.shape}" for y in results.values())
    lines = [f"{samples} samples under {program.profile} in {seconds:.2f} s → {output_path}: {shapes}"]
    if dump_path is not None:
        lines.append(f"{len(tensors)} tensors → {dump_path}")
    print_rich(*lines)


def _load_feed(program: Program, path: str) -> Arrays:
    if Path(path).suffix != ".npz":
        return {only_input(program): load_array(path)}
    return load_arrays(path)


def _run(program: Program, feed: Arrays, samples: int, batch: int, threads: int) -> Arrays:
    """Return the outputs for all rows."""
    batches: Iterable[tuple[Executor | ThreadedExecutor, Feed]] = (
        run_batches(program, feed, batch)
        if program.variables
        else threaded_batches(program, feed, threads, batch)
    )
    return _joined(program, samples, ((e.run_all(rows), e.batch) for e, rows in batches))


def _run_layers(program: Program, feed: Arrays, samples: int, batch: int) -> Arrays:
    """Return every tensor for all rows, as it is after its last write."""
    batches = run_batches(program, feed, batch)
    return _joined(program, samples, ((dict(e.layers(rows)), e.batch) for e, rows in batches))


def _joined(program: Program, samples: int, batches: Iterator[tuple[Arrays, int]]) -> Arrays:
    with progress_bar() as bar:
        task = bar.add_task(program.name, total=samples)

        def watched() -> Iterator[Arrays]:
            for arrays, rows in batches:
                yield arrays
                bar.advance(task, rows)

        return joined(watched())
