"""`fxpgrad emulate`: an exported C project runs on an emulated microcontroller."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import click
from rich.table import Table

from fxpgrad.cli.terminal import FILE_NAME, json_option, print_json, print_rich
from fxpgrad.codegen.emulated_boards import BOARDS, board_named, check_installed
from fxpgrad.codegen.emulation import Emulation, emulate, project_prefix
from fxpgrad.errors import InputError


@click.command("emulate")
@click.argument("project", type=FILE_NAME)
@click.option(
    "--board", "names", multiple=True, help=f"One of {', '.join(BOARDS)}; may be repeated. [default: all]"
)
@click.option(
    "--program",
    type=click.Choice(["selftest", "train"]),
    default="selftest",
    show_default=True,
    help="What to run; train reads samples.bin and labels.bin of the project and writes trained.bin.",
)
@click.option("--steps", type=click.IntRange(1, 2**31 - 1), help="Of train. [default: 200]")
@click.option("--optimize", default="-Os", show_default=True, help="The compiler's optimization.")
@json_option
def emulate_command(
    project: str,
    names: tuple[str, ...],
    program: Literal["selftest", "train"],
    steps: int | None,
    optimize: str,
    as_json: bool,
) -> None:
    """Build PROJECT, a folder of fxpgrad export-c, for microcontrollers and run it under QEMU.

    The emulator proves bits and sizes, not time. Exit code 1 if a program fails on a board.
    """
    if steps is not None and program != "train":
        raise InputError("--steps is for --program train")
    boards = [board_named(name) for name in names or BOARDS]
    project_prefix(Path(project))
    for board in boards:
        check_installed(board)
    runs = [emulate(Path(project), board, program, steps=steps, optimize=optimize) for board in boards]
    if as_json:
        print_json({"project": project, "program": program, "runs": [_payload(one) for one in runs]})
    else:
        print_rich(_table(runs))
    if any(one.status for one in runs):
        raise click.exceptions.Exit(1)


def _payload(one: Emulation) -> dict[str, object]:
    return {**dataclasses.asdict(one), "flash": one.sizes.flash, "ram": one.sizes.ram}


def _table(runs: list[Emulation]) -> Table:
    table = Table(caption="bytes of the model and its kernels, without the C library and the stack")
    for title in ("board", "program", "flash", "arena and state", "trained values", "result"):
        table.add_column(title, justify="right" if title[0] in "fat" else "left")
    for one in runs:
        last = one.said.strip().rpartition("\n")[2]
        result = last if one.status == 0 else f"status {one.status}: {last}"
        sizes = (f"{size:,}" for size in (one.sizes.flash, one.sizes.bss, one.sizes.data))
        table.add_row(one.board, one.program, *sizes, result)
    return table
