"""Which C files hold which ports, and what each of them includes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from fxpgrad.codegen.header import DEVICE, HEADER
from fxpgrad.codegen.signature import PREFIX
from fxpgrad.errors import InputError

_DEFINED = re.compile(rf"\b{PREFIX}(\w+)\b")
_INCLUDED = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)


@functools.cache
def port_files() -> dict[str, Path]:
    """Return the C file that defines each port, by the kernel's name.

    A port is a function whose name is PREFIX and a kernel's, written out or as the first argument of a macro,
    at the start of a line. A C file with a header beside it holds what ports share, and no port.
    """
    found = {}
    start = re.compile(rf"^(?:void|int64_t|[A-Z_0-9]+\()\s*{PREFIX}(\w+)\b", re.MULTILINE)
    for path in sorted(DEVICE.rglob("*.c")):
        if path.with_suffix(".h").exists():
            continue
        for name in start.findall(path.read_text()):
            found[name] = path
    return found


@functools.cache
def header_files() -> dict[str, Path]:
    """Return every header of the device side by its file name."""
    return {path.name: path for path in sorted(DEVICE.rglob("*.h"))}


def include_folders() -> list[Path]:
    """Return the folders in which the ports look for headers."""
    return sorted({path.parent for path in header_files().values()})


def sources_of(names: Iterable[str]) -> list[Path]:
    """Return the C files and headers that the ports of these kernels need, in a fixed order.

    Raises
    ------
    InputError
        A kernel has no port.
    """
    files, ports = set[Path](), port_files()
    todo = []
    for name in names:
        if name not in ports:
            raise InputError(f"kernel {name} has no C port")
        todo.append(ports[name])
    while todo:
        path = todo.pop()
        if path in files:
            continue
        files.add(path)
        text = path.read_text()
        todo += [header_files()[name] for name in _INCLUDED.findall(text) if name != HEADER]
        if path.suffix == ".h" and path.with_suffix(".c").exists():
            todo.append(path.with_suffix(".c"))
        # A port may call another port.
        todo += [ports[name] for name in _DEFINED.findall(text) if name in ports]
    return sorted(files)
