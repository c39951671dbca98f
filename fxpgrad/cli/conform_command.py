"""`fxpgrad conform`: somebody's own kernel against the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    json_option,
    print_json,
    print_rich,
    progress_bar,
    require_writable,
)
from fxpgrad.conformance.conform import ABIS, Setup, Verdict, conform
from fxpgrad.conformance.examine import Finding
from fxpgrad.conformance.report import as_junit, reproduction_of, verdict_as_json, write_report
from fxpgrad.conformance.text_report import (
    case_rows,
    headline,
    place,
    refusals,
    summary,
)
from fxpgrad.conformance.trace import steps_at
from fxpgrad.files import make_folder, write_atomically
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.registry import kernel_named


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a target is called."""
    for option in (
        click.option("--command", help='Run "PROGRAM {in} {out}" instead of a target: see docs/conform.md.'),
        click.option("--symbol", help="The function in the library.  [default: the ABI's own name]"),
        click.option(
            "--abi",
            type=click.Choice(tuple(ABIS)),
            default="fxpgrad",
            show_default=True,
            help="Signature of the library's function: that of our C ports, or of CMSIS-NN's functions.",
        ),
        click.option(
            "--timeout",
            type=float,
            default=5.0,
            show_default=True,
            help="Seconds that one call may take.",
        ),
        click.option(
            "--alignment",
            type=click.IntRange(1, 256),
            default=1,
            show_default=True,
            help="Arrays start at multiples of so many bytes, a power of two.",
        ),
        click.option(
            "--guards/--no-guards",
            default=True,
            show_default=True,
            help="Pages that fault behind and before all arrays; without them only writes are noticed.",
        ),
    ):
        command = option(command)
    return command


@click.command("conform")
@click.argument("target", required=False, type=FILE_NAME)
@click.option("--op", "kernel", required=True, help="The kernel that the target computes, as conv2d_a8w8.")
@click.option(
    "--profile",
    type=click.Choice(tuple(PROFILES)),
    help="Requantize as this runtime only.  "
    "[default: in every way that the kernel knows; cmsis_default for CMSIS-NN]",
)
@click.option("--cases", type=click.IntRange(min=1), default=1000, show_default=True, help="Cases to try.")
@click.option("--seconds", type=float, help="Stop drawing after so long.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Draws the same cases."
)
@target_options
@json_option
@click.option("--junit", type=FILE_NAME, help="Write a JUnit file.")
@click.option("--report", type=FILE_NAME, help="Write text, JSON, JUnit and every case to this folder.")
def conform_command(
    target: str | None,
    kernel: str,
    profile: str | None,
    cases: int,
    seconds: float | None,
    seed: int,
    as_json: bool,
    junit: str | None,
    report: str | None,
    **options: Any,
) -> None:
    """Test your own implementation of a kernel against its definition.

    TARGET is a shared library (mine.so), a Python callable (module:function or file.py:function), or a
    command given by --command. It is run on drawn cases in a process of its own. What is wrong is made small,
    traced through the definition and, where it is a known mistake, named. Exit code 0: nothing is wrong; 1:
    something is; 2: bad usage.
    """
    setup = Setup(**options)
    if report is not None:
        make_folder(report)
    if junit is not None:
        require_writable(junit)
    with progress_bar() as bar:
        task = bar.add_task(kernel, total=cases)
        verdict = conform(
            target,
            kernel,
            profile=profile,
            cases=cases,
            seconds=seconds,
            seed=seed,
            setup=setup,
            progress=lambda done: bar.update(task, completed=done),
        )
    if as_json:  # first of all: a full disk must not cost what a long search has found
        print_json(verdict_as_json(verdict))
    else:
        print_rich(headline(verdict), *refusals(verdict))
        for finding in verdict.findings:
            print_rich("", *_finding(verdict, finding))
    if junit is not None:
        write_atomically(junit, as_junit(verdict))
    written = write_report(verdict, report) if report is not None else []
    if written and not as_json:
        print_rich(f"written: {', '.join(path.name for path in written)} in {report}")
    raise SystemExit(0 if verdict.passed else 1)


def _finding(verdict: Verdict, finding: Finding) -> list[RenderableType]:
    parts: list[RenderableType] = [*summary(verdict, finding)]
    if finding.case:
        parts.append(_table("the smallest case found", case_rows(verdict.kernel, finding)))
    steps = steps_at(kernel_named(verdict.kernel), finding.case, finding.output, finding.index)
    if steps:
        rows = [(step.name, str(step.value)) for step in steps]
        got = [("the target's result", str(finding.got))]
        parts.append(_table(f"how the definition comes to {place(finding)}", rows + got))
    if finding.case:
        parts += ["to see it again:", reproduction_of(verdict, finding)]
    return parts


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
