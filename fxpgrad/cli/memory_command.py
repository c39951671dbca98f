"""`fxpgrad memory`: what each way to learn costs in bytes."""

from __future__ import annotations

import dataclasses
import io

import click
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    byte_text,
    json_option,
    load_model,
    print_json,
    print_rich,
    profile_option,
    require_writable,
)
from fxpgrad.experiments.memory import FLOAT32, MemoryReport, memory_report
from fxpgrad.experiments.memory_figure import plot_memory
from fxpgrad.figures import import_figure
from fxpgrad.files import write_atomically
from fxpgrad.program.layer_names import short_name


@click.command("memory")
@click.argument("model", type=FILE_NAME)
@click.option(
    "--batch", type=click.IntRange(1, 4096), default=25, show_default=True, help="Samples of a step."
)
@click.option("--layers", is_flag=True, help="A table by layer too.")
@click.option("--plot", type=FILE_NAME, help="PNG file to write the figure to.")
@profile_option
@json_option
def memory_command(
    model: str, batch: int, layers: bool, plot: str | None, profile: str | None, as_json: bool
) -> None:
    """Show what inference, forward gradients and backpropagation of a model need in bytes.

    Scratch is what a step needs beside the weights. Integer figures are what the planner and the trainer
    allocate; those of backpropagation are counted by what PyTorch keeps.
    """
    program = load_model(model, profile)
    if plot is not None:
        import_figure()
        require_writable(plot)
    report = memory_report(program, batch)
    if plot is not None:
        buffer = io.BytesIO()
        plot_memory(report).savefig(buffer, format="png", dpi=120)
        write_atomically(plot, buffer.getvalue())
    if as_json:
        print_json(dataclasses.asdict(report))
    else:
        print_rich(_table(report), *([_layer_table(report)] if layers else []))


def _table(report: MemoryReport) -> Table:
    table = Table(title=f"Scratch of a step, batch of {report.batch}", title_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("scratch", justify="right", no_wrap=True)
    table.add_column("of inference", justify="right", no_wrap=True)
    table.add_column("what")
    for method in report.methods:
        if method.scratch_bytes is None:
            table.add_row(method.name, "", "", f"not possible: {method.reason}")
            continue
        share = f"{method.scratch_bytes / report.arena_bytes:.2f} x"
        table.add_row(method.name, byte_text(method.scratch_bytes), share, method.about)
    table.caption = (
        f"beside the weights: {byte_text(report.weights_bytes)} as integers, "
        f"{byte_text(FLOAT32 * report.float_weights)} as float32"
    )
    table.caption_justify = "left"
    return table


def _layer_table(report: MemoryReport) -> Table:
    table = Table(title="By layer", title_justify="left")
    table.add_column("layer")
    for title in ("output", "weights", "kept, float32", "gradients, float32"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in report.layers:
        table.add_row(
            short_name(layer.name),
            byte_text(layer.output_bytes),
            byte_text(layer.weights_bytes),
            byte_text(FLOAT32 * layer.kept + layer.winners),
            byte_text(FLOAT32 * layer.gradients),
        )
    return table
