"""Writing files so that a failure never leaves half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from fxpgrad.errors import StoreError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, flush it to disk, then rename it.

    A symbolic link stays and its target is written; an existing file keeps its permissions.

    Raises
    ------
    StoreError
        The directory does not exist or cannot be written, the disk is full, or `path` is something
        else than a regular file; what was there is untouched.
    """
    temporary = ""
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            raise StoreError(f"cannot write {path}: it exists and is not a regular file")
        temporary = str(target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    except RuntimeError as error:  # how resolve() reports a circle of links before Python 3.13
        raise StoreError(f"cannot write {path}: {error}") from error
    finally:  # also when the user interrupts; after the rename there is nothing left to remove
        with contextlib.suppress(OSError):
            os.unlink(temporary)
