"""Writing a project's folder so that a failure leaves nothing half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from fxpgrad.errors import StoreError


def check_folder(path: str | Path, *, force: bool = False) -> Path:
    """Return the folder that a path names, after symbolic links.

    Raises
    ------
    StoreError
        It is no folder, holds files (unless `force`), or obviously cannot be written.
    """
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_dir():
            raise StoreError(f"cannot write {path}: it exists and is not a folder")
        if not target.parent.is_dir():
            raise StoreError(f"cannot write {path}: there is no folder {target.parent}")
        filled = target.is_dir() and any(target.iterdir())
        if filled and not force:
            raise StoreError(f"cannot write {path}: the folder is not empty; name another, or pass --force")
        for folder in (target.parent, *([target] if target.is_dir() else [])):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise StoreError(f"cannot write {path}: no permission to write in {folder}")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    except RuntimeError as error:  # how resolve() reports a circle of links before Python 3.13
        raise StoreError(f"cannot write {path}: {error}") from error
    return target


def write_folder(path: str | Path, files: Mapping[str, str], *, force: bool = False) -> None:
    """Write text files by their path in the folder: to a folder beside it first, then into place.

    A new or empty folder appears whole. With `force`, files of the same names are replaced one by one after
    all have been written to the disk; others stay as they are.

    Raises
    ------
    StoreError
        See `check_folder`; or the disk is full.
    """
    target = check_folder(path, force=force)
    staged = target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}"
    try:
        staged.mkdir()
        for name, content in files.items():
            file = staged / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content.encode())
        if target.is_dir() and any(target.iterdir()):
            _move_into(staged, target, files)
        else:
            if target.is_dir():
                target.rmdir()
            staged.rename(target)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:  # also when the user interrupts; after the rename there is nothing left to remove
        with contextlib.suppress(OSError):
            shutil.rmtree(staged)


def _move_into(staged: Path, target: Path, names: Mapping[str, str]) -> None:
    for name in names:
        place = target / name
        if place.is_dir():
            raise StoreError(f"cannot write {place}: it is a folder")
    for name in names:
        (target / name).parent.mkdir(exist_ok=True)
        os.replace(staged / name, target / name)
