"""What all commands share: results to standard output, progress to standard error, files checked first."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from fxpgrad.errors import InputError, StoreError
from fxpgrad.program.program import Program
from fxpgrad.program.store import load

_PLAIN_WIDTH = 120  # of tables that go to a file or a pipe


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json to a command (parameter `as_json`)."""
    option = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON, and nothing else, to standard output.",
    )
    return option(command)


def print_json(payload: Mapping[str, Any]) -> None:
    """Write JSON to standard output."""
    click.echo(json.dumps(payload, indent=2, allow_nan=False))


def print_rich(*parts: RenderableType) -> None:
    """Write tables and text to standard output."""
    console = Console(highlight=False, markup=False)  # names and paths may hold square brackets
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PLAIN_WIDTH)
    for part in parts:
        console.print(part)


def warn(message: str) -> None:
    """Write one line to standard error."""
    click.echo(f"fxpgrad: warning: {message}", err=True)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """Return a bar on standard error that disappears at the end; it shows on a terminal only."""
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def load_model(path: str) -> Program:
    """Load a Program that the command line can feed: one input."""
    program = load(path)
    if len(program.inputs) != 1:
        raise InputError(
            f"{path} has {len(program.inputs)} inputs; the command line feeds exactly one: use the library"
        )
    return program


def require_writable(path: str) -> None:
    """Raise `StoreError` if a file can obviously not be written, before hours of work are lost on it."""
    target = Path(path)
    if target.is_dir():
        raise StoreError(f"cannot write {target}: it is a directory")
    if not target.parent.is_dir():
        raise StoreError(f"cannot write {target}: there is no directory {target.parent}")
    if not os.access(target.parent, os.W_OK):
        raise StoreError(f"cannot write {target}: no permission to write in {target.parent}")


def byte_text(count: int) -> str:
    """Return a byte count for people: 8,911,560 B as "8.91 MB"."""
    if count < 1000:
        return f"{count} B"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    raise AssertionError("unreachable")


def percent(share: float) -> str:
    """Return 0.9733 as "97.33 %"."""
    return f"{100 * share:.2f} %"
