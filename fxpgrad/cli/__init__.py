"""The command line. The only part of fxpgrad that prints."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its extra packages, say in one line how to get them."""
    try:
        from fxpgrad.cli.application import application  # noqa: PLC0415
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"click", "rich"}:
            raise
        sys.stderr.write(f'fxpgrad: the command line needs {package}: pip install "fxpgrad[cli]"\n')
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    application(prog_name="fxpgrad")
