"""The C compiler of this machine: what tests, mock targets and self-tests are built with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from fxpgrad.codegen.header import DEVICE
from fxpgrad.codegen.ports import include_folders, port_files
from fxpgrad.errors import InputError

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")
SANITIZED = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-fsanitize=address", "-g")
_NAMES = ("cc", "gcc", "clang")


def found_compiler(wanted: str | None = None) -> str:
    """Return the path of a C compiler: the one called `wanted`, or the first of cc, gcc, clang.

    Raises
    ------
    InputError
        There is none.
    """
    for name in _NAMES if wanted is None else (wanted,):
        path = shutil.which(name)
        if path is not None:
            return path
    raise InputError(
        f"no C compiler is called {wanted or ', '.join(_NAMES)}: install one (apt install gcc), or name yours"
    )


def run_compiler(command: Sequence[str | Path]) -> None:
    """Run a compiler or linker; raise `InputError` with what it said if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise InputError(f"{command[0]} failed:\n{said[:4000]}")


def build_shared(
    output: Path,
    sources: Iterable[Path] | None = None,
    *,
    compiler: str | None = None,
    flags: Sequence[str] = ("-O2",),
    include: Iterable[Path] = (),
) -> Path:
    """Compile C files, or all ports, to a shared library and return its path."""
    files = sorted(set(port_files().values())) + support_files() if sources is None else list(sources)
    folders = [f"-I{folder}" for folder in (*include, *include_folders())]
    run_compiler(
        [found_compiler(compiler), *STRICT, "-fPIC", "-shared", *flags, *folders, *files, "-o", output]
    )
    return output


def support_files() -> list[Path]:
    """Return the C files that hold no port, only what ports call."""
    ports = set(port_files().values())
    return [path for path in sorted(DEVICE.rglob("*.c")) if path not in ports]
