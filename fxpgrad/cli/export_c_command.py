"""`fxpgrad export-c`: a model becomes a folder of C files that runs it with the same bits."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Literal

import click
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    json_option,
    print_json,
    print_rich,
    profile_option,
    warn_of_doubts,
)
from fxpgrad.codegen.c_project import DEFAULT_SAMPLES, MOST_SAMPLES, CProject, c_project
from fxpgrad.codegen.memory_need import layer_needs
from fxpgrad.codegen.training_form import TrainingForm, training_form
from fxpgrad.codegen.training_text import TrainingText
from fxpgrad.errors import InputError
from fxpgrad.experiments.methods import config_in_c
from fxpgrad.files import check_folder, write_folder
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Program
from fxpgrad.tasks.npz_data import load_labelled

Scope = Literal["lp", "ft", "affine"]
_BATCH = 8


@click.command("export-c")
@click.argument("model", type=FILE_NAME)
@click.option("-o", "--output", "folder", type=FILE_NAME, required=True, help="Folder to write.")
@profile_option
@click.option("--ram-limit", type=click.IntRange(min=0), help="Refuse a model whose arena has more bytes.")
@click.option(
    "--samples",
    type=click.IntRange(1, MOST_SAMPLES),
    default=DEFAULT_SAMPLES,
    show_default=True,
    help="Golden samples of the self-test.",
)
@click.option(
    "--force", is_flag=True, help="Write into a folder that holds files, over those of the same names."
)
@click.option(
    "--train",
    "scope",
    type=click.Choice(["lp", "ft", "affine"]),
    help="Write a training step, too: of the last layer, all layers, or biases and multipliers.",
)
@click.option(
    "--head",
    type=click.Choice(["forward", "exact"]),
    help="How the last layer is trained: like the rest, or by its exact gradient. [default: forward]",
)
@click.option(
    "--data", type=FILE_NAME, help="Of an exact head: x and y; its first batch sets the size of the steps."
)
@click.option("--batch", type=click.IntRange(min=1), help=f"Samples of a step.  [default: {_BATCH}]")
@click.option(
    "--directions",
    "num_directions",
    type=click.IntRange(1, 64),
    help="Of a step. [default: 3; affine: one a sample]",
)
@click.option("--epsilon", type=float, help="Size of a probe. [default: by scope and weights]")
@click.option("--learning-rate", type=float, help="Size of a step. [default: by scope and weights]")
@click.option("--seed", type=int, help="Names every direction and rounding of the run.")
@json_option
def export_c_command(
    model: str,
    folder: str,
    profile: str | None,
    ram_limit: int | None,
    samples: int,
    force: bool,
    scope: Scope | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Write a model as C99 that computes the same integers.

    MODEL is an .fxp, .tflite or .onnx file. The folder holds the model's source with its weights, the kernels
    that it needs, a self-test, a program that runs files of inputs, and what builds them: make check.
    """
    check_folder(folder, force=force)
    program = load_program(model, profile)
    warn_of_doubts(program)
    given = {name: value for name, value in settings.items() if value is not None}
    if scope is None and given:
        option = next(iter(given)).removeprefix("num_").replace("_", "-")
        raise InputError(f"--{option} is for --train")
    training = None if scope is None else _training(program, scope, **given)
    project = c_project(program, samples=samples, ram_limit=ram_limit, training=training)
    write_folder(folder, project.files, force=force)
    if as_json:
        print_json(_payload(project, folder))
        return
    trained = project.training
    step = "" if trained is None else _step_line(trained)
    print_rich(
        f"{program.name}: {len(program.calls)} layers under {program.profile} → {folder}",
        _table(project),
        f"RAM: an arena of {project.text.arena_bytes:,} bytes. "
        f"Flash: {project.text.constant_bytes:,} bytes of constants, and the code (make size).{step}",
    )


def _training(
    program: Program, scope: Scope, *, batch: int = _BATCH, data: str | None = None, **given: Any
) -> TrainingForm:
    config = replace(config_in_c(program, scope, batch), **given)
    if config.head == "forward":
        if data is not None:
            raise InputError("--data is for --head exact: forward gradients need no first batch")
        return training_form(program, config, batch)
    if data is None:
        raise InputError("--head exact needs --data: its first batch sets the size of the steps")
    labelled = load_labelled(data, program)
    if len(labelled.x) < batch:
        raise InputError(f"{data} has {len(labelled.x)} samples; --batch {batch} needs as many")
    return training_form(program, config, batch, (labelled.x[:batch], labelled.y[:batch]))


def _training_payload(trained: TrainingText) -> dict[str, object]:
    return {
        "batch": trained.form.batch,
        "trained_bytes": trained.trained_bytes,
        "scratch_bytes": trained.scratch_bytes,
        "inference_arena_bytes": trained.model.plan.peak_bytes,
        "config": asdict(trained.form.config),
    }


def _step_line(trained: TrainingText) -> str:
    config = trained.form.config
    return (
        f"\nTraining: scope {config.scope}, {trained.form.batch} samples and {config.num_directions} "
        f"directions a step; {trained.trained_bytes:,} bytes of trained values must be writable. Inference "
        f"alone needs an arena of {trained.model.plan.peak_bytes:,} bytes."
    )


def _payload(project: CProject, folder: str) -> dict[str, object]:
    text = project.text
    return {
        "model": text.program.name,
        "profile": text.program.profile,
        "output": folder,
        "prefix": text.prefix,
        "arena_bytes": text.arena_bytes,
        "constant_bytes": text.constant_bytes,
        "training": None if project.training is None else _training_payload(project.training),
        "files": sorted(project.files),
        "layers": [
            {
                "name": need.layer,
                "kernel": need.kernel,
                "output": list(need.output),
                "constant_bytes": need.constant_bytes,
                "live_bytes": need.live_bytes,
                "arena_reaches": need.reach_bytes,
            }
            for need in layer_needs(text.program, text.plan)
        ],
    }


def _table(project: CProject) -> Table:
    table = Table()
    table.add_column("layer")
    table.add_column("kernel", no_wrap=True)
    for title in ("constants", "tensors in use", "arena reaches"):
        table.add_column(title, justify="right", no_wrap=True)
    for need in layer_needs(project.text.program, project.text.plan):
        numbers = (need.constant_bytes, need.live_bytes, need.reach_bytes)
        table.add_row(short_name(need.layer), need.kernel, *(f"{number:,}" for number in numbers))
    return table
