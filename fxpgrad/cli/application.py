"""The `fxpgrad` command: its subcommands, and what each kind of failure looks like from outside."""

from __future__ import annotations

from typing import IO, Any

import click

from fxpgrad.cli.adapt_command import adapt_command
from fxpgrad.cli.demo_command import demo_command
from fxpgrad.cli.evaluate_command import evaluate_command
from fxpgrad.cli.inspect_command import inspect_command
from fxpgrad.cli.run_command import run_command
from fxpgrad.errors import FxpgradError
from fxpgrad_kernels.errors import KernelError


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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (FxpgradError, KernelError) as error:
            raise BadInput(str(error)) from error
        except MemoryError as error:
            raise BadInput("not enough memory; use a smaller batch or less data") from error
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "fxpgrad"
            raise BadInput(f"{error.format_message()} Try '{where} --help'.") from error


@click.group(
    name="fxpgrad",
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="fxpgrad", prog_name="fxpgrad")
def application() -> None:
    """Train on hardware that can only infer: bit-exact integer inference and forward gradients."""


for _command in (demo_command, inspect_command, run_command, adapt_command, evaluate_command):
    application.add_command(_command)
