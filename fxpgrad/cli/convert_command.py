"""`fxpgrad convert`: a model file becomes an .fxp file, integers under one profile."""

from __future__ import annotations

from pathlib import Path

import click

from fxpgrad.cli.terminal import (
    FILE_NAME,
    byte_text,
    json_option,
    print_json,
    print_rich,
    profile_option,
    require_writable,
    warn_of_doubts,
)
from fxpgrad.errors import InputError
from fxpgrad.importers.model_file import load_program, quantize_model
from fxpgrad.program.store import save
from fxpgrad.tasks.npz_data import load_array, load_arrays


@click.command("convert")
@click.argument("model", type=FILE_NAME)
@click.option("-o", "--output", "output_path", type=FILE_NAME, required=True, help=".fxp file to write.")
@click.option(
    "--calibrate",
    "calibration_path",
    type=FILE_NAME,
    help="For a float .onnx file: .npy file of real inputs, batch first, or .npz file by input name.",
)
@click.option("--weight-bits", type=click.Choice(["8", "16"]), help="With --calibrate.  [default: 16]")
@profile_option
@json_option
def convert_command(
    model: str,
    output_path: str,
    calibration_path: str | None,
    weight_bits: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Convert a .tflite or .onnx file to an .fxp file.

    The .fxp file holds integers only, under one rounding profile. A float .onnx file is quantized first:
    int8 activations, with ranges seen on the data of --calibrate, and under tflite_double unless told.
    """
    target = require_writable(output_path)
    if target.suffix != ".fxp":
        raise InputError(f"--output must name an .fxp file; got {output_path}")
    if target == Path(model).resolve():
        raise InputError("--output must not be the model itself")
    if calibration_path is None:
        if weight_bits is not None:
            raise InputError("--weight-bits needs --calibrate: a quantized model keeps its own weights")
        program = load_program(model, profile)
    else:
        archive = Path(calibration_path).suffix == ".npz"
        data = load_arrays(calibration_path) if archive else load_array(calibration_path)
        program = quantize_model(model, data, int(weight_bits or 16), profile)
    warn_of_doubts(program)
    save(program, output_path)
    size = Path(output_path).stat().st_size
    payload = {
        "model": program.name,
        "profile": program.profile,
        "calls": len(program.calls),
        "weights_bytes": program.weights_bytes,
        "weights_sha256": program.constants_sha256(),
        "output": output_path,
        "file_bytes": size,
    }
    if as_json:
        print_json(payload)
        return
    print_rich(
        f"{program.name}: {len(program.calls)} calls under {program.profile}, "
        f"{byte_text(program.weights_bytes)} of constants → {output_path} ({byte_text(size)})"
    )
