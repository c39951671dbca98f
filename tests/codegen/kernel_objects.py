"""Kernels of exported projects, compiled once for many projects: their copies are the same in each."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path

from fxpgrad.codegen.header import HEADER
from fxpgrad.codegen.host_compiler import STRICT, run_compiler


@functools.cache
def _folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="fxpgrad-objects-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def add_objects(project: Path, compiler: str, flags: str) -> None:
    """Put an object file beside every kernel of a project, so that make has nothing left to do for it.

    The header of prototypes differs from project to project and does not change what is compiled.
    """
    headers = [path.read_bytes() for path in sorted(project.glob("kernels/*.h")) if path.name != HEADER]
    for source in sorted(project.glob("kernels/*.c")):
        parts = [compiler.encode(), flags.encode(), *headers, source.name.encode(), source.read_bytes()]
        built = _folder() / f"{hashlib.sha256(b'|'.join(parts)).hexdigest()}.o"
        if not built.exists():
            run_compiler([compiler, *STRICT, *flags.split(), "-c", source, "-o", built])
        shutil.copyfile(built, source.with_suffix(".o"))
