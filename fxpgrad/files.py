"""Writing files so that a failure never leaves half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from fxpgrad.errors import StoreError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, flush it to disk, then rename it.

    Raises
    ------
    StoreError
        The directory does not exist or cannot be written, or the disk is full; what was at `path`
        is untouched.
    """
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from error
    finally:  # also when the user interrupts; after the rename there is nothing left to remove
        with contextlib.suppress(OSError):
            os.unlink(temporary)
