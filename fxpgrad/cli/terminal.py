"""What all commands share: results to standard output, progress to standard error, files checked first."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from fxpgrad.errors import InputError, StoreError
from fxpgrad.files import make_folder
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.lower import UNREPRODUCED
from fxpgrad.program.program import Program
from fxpgrad_kernels.arithmetic.profiles import PROFILES

_PLAIN_WIDTH = 120  # of tables that go to a file or a pipe


class FileName(click.types.StringParamType):
    """A path in an argument or option; the empty string is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path as it was given."""
        if not value:
            self.fail("the file name is empty.", param, ctx)
        return str(value)


FILE_NAME = FileName()


_MOST_THREADS = 8


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json to a command (parameter `as_json`)."""
    option = click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON, and nothing else, to standard output.",
    )
    return option(command)


def profile_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --profile to a command (parameter `profile`)."""
    option = click.option(
        "--profile",
        type=click.Choice(tuple(PROFILES)),
        default=None,
        help="Rounding profile: which runtime's arithmetic a .tflite or .onnx model is lowered to. "
        "[default: tflite_double for .tflite, onnx_float32 for .onnx; an .fxp file has its own]",
    )
    return option(command)


def default_threads() -> int:
    """Return one thread per processor that this process may use, at most 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_THREADS)


def threads_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--threads` to a command that runs rows; it receives `threads`, None if not given."""
    option = click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="Threads that share the rows; changes the time only.  [default: one per CPU, at most 8]",
    )
    return option(command)


def allow_any_text() -> None:
    """Let standard output replace what its encoding lacks, such as the multiplication sign in ASCII."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def output_has_failed() -> bool:
    """Tell whether standard output takes no more text (a full disk); if so, close it."""
    if sys.stdout is None:  # closed by the caller, which is as good as /dev/null
        return False
    try:
        sys.stdout.write("\n")  # without a buffer there is nothing left to flush
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            sys.stdout.close()  # else the interpreter would try once more at its end
        return True
    return False


def print_json(payload: Mapping[str, Any]) -> None:
    """Write JSON to standard output."""
    click.echo(json.dumps(payload, indent=2, allow_nan=False))


def print_rich(*parts: RenderableType) -> None:
    """Write tables and text to standard output."""
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}  # names hold [b] and :date:
    console = Console(**plain)
    if not console.is_terminal:
        console = Console(**plain, width=_PLAIN_WIDTH)
    for part in parts:
        console.print(part)


def warn(message: str) -> None:
    """Write one line to standard error."""
    click.echo(f"fxpgrad: warning: {message}", err=True)


def warn_of_doubts(program: Program) -> None:
    """Warn of operators that are not known to equal the runtime that the profile names."""
    if UNREPRODUCED in program.metadata:
        warn(f"under {program.profile}, {UNREPRODUCED}: {program.metadata[UNREPRODUCED]}")


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


def load_model(path: str, profile: str | None = None) -> Program:
    """Load a Program that a set of labelled samples can feed: one input."""
    program = load_program(path, profile)
    if len(program.inputs) != 1:
        raise InputError(
            f"{path} has {len(program.inputs)} inputs; this command feeds exactly one: use the library"
        )
    warn_of_doubts(program)
    return program


def require_writable(path: str) -> Path:
    """Return the file that a path names, after symbolic links.

    Raises
    ------
    StoreError
        It can obviously not be written: better now than after hours of work.
    """
    try:
        target = Path(path).resolve()
        kind = _file_type(target)
    except (OSError, RuntimeError) as error:  # RuntimeError: symbolic links in a circle
        reason = error.strerror if isinstance(error, OSError) else None
        raise StoreError(f"cannot write {path}: {reason or error}") from error
    if kind == stat.S_IFDIR:
        raise StoreError(f"cannot write {path}: it is a directory")
    if kind not in {None, stat.S_IFREG}:
        raise StoreError(f"cannot write {path}: it exists and is not a regular file")
    if not target.parent.is_dir():
        raise StoreError(f"cannot write {path}: there is no directory {target.parent}")
    if not os.access(target.parent, os.W_OK):
        raise StoreError(f"cannot write {path}: no permission to write in {target.parent}")
    return target


def writable_folder(path: str, names: Iterable[str]) -> Path:
    """Make a folder where there is none, and return it.

    Raises
    ------
    StoreError
        It cannot be made, or files of these names can obviously not be written in it: better now than after
        hours of work.
    """
    folder = make_folder(path)
    for name in names:
        require_writable(str(folder / name))
    return folder


def _file_type(target: Path) -> int | None:
    try:
        return stat.S_IFMT(target.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


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
