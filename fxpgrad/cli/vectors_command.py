"""`fxpgrad vectors`: golden vectors of a kernel or model, as files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.progress import MofNCompleteColumn
from rich.table import Table

from fxpgrad.cli.terminal import FILE_NAME, byte_text, json_option, print_json, print_rich, progress_bar
from fxpgrad.conformance.model_vectors import model_vectors
from fxpgrad.conformance.vector_files import bin_files, file_stem, npz_file
from fxpgrad.conformance.vector_header import header_file
from fxpgrad.conformance.vectors import Vectors, kernel_vectors
from fxpgrad.errors import InputError
from fxpgrad.files import check_folder, write_folder
from fxpgrad.tasks.npz_data import load_array, load_arrays
from fxpgrad_kernels.arithmetic.profiles import PROFILES, profile_named

FORMATS: dict[str, Callable[[Vectors], dict[str, bytes]]] = {
    "npz": lambda vectors: {f"{file_stem(vectors)}.npz": npz_file(vectors)},
    "bin": bin_files,
    "h": lambda vectors: {f"{file_stem(vectors)}.h": header_file(vectors).encode()},
}
_MODELS = (".tflite", ".onnx", ".fxp")


@click.command("vectors")
@click.argument("target", metavar="OP|MODEL", type=FILE_NAME)
@click.option("-o", "--output", type=FILE_NAME, required=True, help="Folder to write to.")
@click.option(
    "--profile",
    type=click.Choice(tuple(PROFILES)),
    help="Rounding profile of a runtime.  [default: a kernel in every way it rounds; a model as for run]",
)
@click.option(
    "--cases", default=20, show_default=True, help="Random cases or inputs, beside the directed ones."
)
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal files.")
@click.option(
    "--format",
    "formats",
    help="npz, bin (with a JSON manifest) and h (a C header), with commas.  "
    "[default: npz,bin,h for a kernel, npz,bin for a model]",
)
@click.option(
    "--data",
    type=FILE_NAME,
    help="Inputs of the model instead of random ones: .npy file, batch first, or .npz file by tensor name.",
)
@click.option("--force", is_flag=True, help="Write into a folder that is not empty; replaces equal names.")
@json_option
def vectors_command(
    target: str,
    output: str,
    profile: str | None,
    cases: int,
    seed: int,
    formats: str | None,
    data: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write inputs with the outputs that an exact implementation must give.

    OP is a kernel, such as conv2d_a8w8: random legal cases, and directed ones (ties of the rounding, both
    ends of the output, extreme zero points, clamps, least shapes, extreme inputs). MODEL is an .fxp, .tflite
    or .onnx file: random inputs and extremes, with every layer's output.
    """
    is_model = Path(target).suffix.lower() in _MODELS or Path(target).is_file()
    chosen = _formats(formats or ("npz,bin" if is_model else "npz,bin,h"))
    if data is not None and not is_model:
        raise InputError(f"--data holds inputs of a model; {target} is a kernel, whose cases are drawn")
    check_folder(output, force=force)
    options: dict[str, Any] = {"cases": cases, "seed": seed}
    options["command"] = _command(target, profile, cases, seed, chosen, data)
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task(Path(target).name, total=None)
        options["on_case"] = lambda name: bar.advance(task)
        if is_model:
            options["data"] = None if data is None else _load_data(data)
            vectors = model_vectors(target, profile=profile, **options)
        else:
            wanted = None if profile is None else profile_named(profile)
            vectors = kernel_vectors(target, profile=wanted, **options)
        files: dict[str, bytes] = {}
        for name in chosen:
            files |= FORMATS[name](vectors)
    write_folder(output, files, force=force)
    _report(vectors, files, output, as_json)


def _formats(text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",")]
    for name in chosen:
        if name not in FORMATS:
            raise InputError(f"--format takes npz, bin and h, with commas between; got {text!r}")
    return [name for name in FORMATS if name in chosen]


def _command(
    target: str, profile: str | None, cases: int, seed: int, formats: list[str], data: str | None
) -> str:
    """Return the command line without folders, which do not change the result."""
    words = ["fxpgrad vectors", Path(target).name]
    words += [] if profile is None else [f"--profile {profile}"]
    words += [f"--cases {cases}"]
    words += [f"--seed {seed}"] if data is None else [f"--data {Path(data).name}"]
    return " ".join([*words, f"--format {','.join(formats)}"])


def _load_data(path: str) -> Any:
    return load_arrays(path) if Path(path).suffix == ".npz" else load_array(path)


def _report(vectors: Vectors, files: dict[str, bytes], output: str, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "kind": vectors.kind,
                "name": vectors.name,
                "provenance": vectors.provenance,
                "cases": [{"name": case.name, "aim": case.aim} for case in vectors.cases],
                "output": output,
                "files": {
                    name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                    for name, content in files.items()
                },
            }
        )
        return
    directed = [case for case in vectors.cases if not case.name.startswith(("random_", "row_"))]
    table = Table("directed case", "aim", box=None)
    for case in directed:
        table.add_row(case.name, case.aim)
    total = sum(len(content) for content in files.values())
    drawn = len(vectors.cases) - len(directed)
    line = (
        f"{vectors.name}: {len(directed)} directed cases and {drawn} others → {output}: "
        f"{len(files)} files, {byte_text(total)}"
    )
    print_rich(*([table] if directed else []), line)
