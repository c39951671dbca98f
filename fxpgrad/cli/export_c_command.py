"""`fxpgrad export-c`: a model becomes a folder of C files that runs it with the same bits."""

from __future__ import annotations

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
from fxpgrad.codegen.project_folder import check_folder, write_folder
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.layer_names import short_name


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
@json_option
def export_c_command(
    model: str,
    folder: str,
    profile: str | None,
    ram_limit: int | None,
    samples: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write a model as C99 that computes the same integers.

    MODEL is an .fxp, .tflite or .onnx file. The folder holds the model's source with its weights, the kernels
    that it needs, a self-test, a program that runs files of inputs, and what builds them: make check.
    """
    check_folder(folder, force=force)
    program = load_program(model, profile)
    warn_of_doubts(program)
    project = c_project(program, samples=samples, ram_limit=ram_limit)
    write_folder(folder, project.files, force=force)
    if as_json:
        print_json(_payload(project, folder))
        return
    print_rich(
        f"{program.name}: {len(program.calls)} layers under {program.profile} → {folder}",
        _table(project),
        f"RAM: an arena of {project.text.plan.peak_bytes:,} bytes. "
        f"Flash: {project.text.constant_bytes:,} bytes of constants, and the code (make size).",
    )


def _payload(project: CProject, folder: str) -> dict[str, object]:
    text = project.text
    return {
        "model": text.program.name,
        "profile": text.program.profile,
        "output": folder,
        "prefix": text.prefix,
        "arena_bytes": text.plan.peak_bytes,
        "constant_bytes": text.constant_bytes,
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
