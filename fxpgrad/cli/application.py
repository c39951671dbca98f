"""The `fxpgrad` command: its subcommands, and what each kind of failure looks like from outside."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, Any

import click

from fxpgrad.cli.adapt_command import adapt_command
from fxpgrad.cli.bench_command import bench_command
from fxpgrad.cli.check_command import check_command
from fxpgrad.cli.conform_command import conform_command
from fxpgrad.cli.convert_command import convert_command
from fxpgrad.cli.demo_command import demo_command
from fxpgrad.cli.diff_command import diff_command
from fxpgrad.cli.emulate_command import emulate_command
from fxpgrad.cli.evaluate_command import evaluate_command
from fxpgrad.cli.experiment_command import experiment_command
from fxpgrad.cli.export_c_command import export_c_command
from fxpgrad.cli.inspect_command import inspect_command
from fxpgrad.cli.memory_command import memory_command
from fxpgrad.cli.probe_command import probe_command
from fxpgrad.cli.run_command import run_command
from fxpgrad.cli.terminal import allow_any_text, output_has_failed
from fxpgrad.cli.vectors_command import vectors_command
from fxpgrad.errors import FxpgradError
from fxpgrad_kernels.errors import KernelError, UnknownKernelError

_ALL_KERNELS = "python -c 'from fxpgrad_kernels.registry import kernels; print(*kernels())' prints all names"


class BadInput(click.ClickException):
    """One line on standard error, exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the line."""
        click.echo(f"fxpgrad: {self.message}", file=file, err=True)


class Interrupted(BadInput):
    """Ctrl-C: exit code 130, as shells expect."""

    exit_code = 130


class Application(click.Group):
    """A group of commands in which every foreseen failure becomes one line and an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit, also where standard output cannot take the result."""
        allow_any_text()
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if not output_has_failed():
                raise
            with suppress(OSError):
                BadInput(f"cannot write to standard output: {error.strerror or error}").show()
            raise SystemExit(BadInput.exit_code) from error

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options that come before the command."""
        if not args:  # shows the help, which is longer than a line
            return super().make_context(info_name, args, parent, **extra)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _bad_usage(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except UnknownKernelError as error:
            told = str(error)
            raise BadInput(told if "did you mean" in told else f"{told}; {_ALL_KERNELS}") from error
        except (FxpgradError, KernelError) as error:
            raise BadInput(str(error)) from error
        except MemoryError as error:
            raise BadInput("not enough memory; use a smaller batch or less data") from error
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error
        except click.UsageError as error:
            raise _bad_usage(error) from error


def _bad_usage(error: click.UsageError) -> BadInput:
    where = error.ctx.command_path if error.ctx else "fxpgrad"
    return BadInput(f"{error.format_message()} Try '{where} --help'.")


@click.group(
    name="fxpgrad",
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="fxpgrad", prog_name="fxpgrad")
def application() -> None:
    """Train on hardware that can only infer: bit-exact integer inference and forward gradients."""


for _command in (
    demo_command,
    inspect_command,
    run_command,
    diff_command,
    check_command,
    conform_command,
    convert_command,
    export_c_command,
    emulate_command,
    memory_command,
    probe_command,
    adapt_command,
    evaluate_command,
    experiment_command,
    bench_command,
    vectors_command,
):
    application.add_command(_command)
