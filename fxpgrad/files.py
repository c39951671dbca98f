"""Writing files so that a failure never leaves half of one, and equal arrays as equal bytes."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import StoreError

_DATE = (1980, 1, 1, 0, 0, 0)  # the zip format's earliest, so that the time of day leaves no trace


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Return an .npy file's content."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an uncompressed .npz file's content; any array name is allowed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), npy_bytes(array))
    return buffer.getvalue()


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


def remove_file(path: str | Path) -> None:
    """Delete a file, if it is there.

    Raises
    ------
    StoreError
        It is a folder, or may not be deleted.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot delete {path}: {error.strerror or error}; delete it, or name another folder"
        ) from error


def check_folder(path: str | Path, *, force: bool = False) -> Path:
    """Return the folder that `write_folder` would write to, after symbolic links.

    Raises
    ------
    StoreError
        It exists and is no folder, or holds something and `force` is off; or the folder above it is missing
        or obviously cannot be written.
    """
    try:
        folder = Path(path).resolve()
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"cannot write to {path}: it exists and is not a folder")
        if not folder.parent.is_dir():
            raise StoreError(f"cannot write to {path}: there is no folder {folder.parent}")
        if folder.exists() and not force and any(folder.iterdir()):
            raise StoreError(
                f"the folder {path} is not empty: name another, or --force replaces files of the same names"
            )
        for needed in (folder.parent, *([folder] if folder.exists() else [])):
            if not os.access(needed, os.W_OK | os.X_OK):
                raise StoreError(f"cannot write to {path}: no permission to write in {needed}")
    except (OSError, RuntimeError) as error:  # a RuntimeError before Python 3.13: a circle of links
        raise StoreError(f"cannot write to {path}: {getattr(error, 'strerror', None) or error}") from error
    return folder


def make_folder(path: str | Path) -> Path:
    """Make a folder where there is none, with those above it, and return it.

    Raises
    ------
    StoreError
        It cannot be made, is something else, or can obviously not be written in.
    """
    folder = Path(path)
    try:  # exists() itself fails of a name too long, and below a folder that may not be entered
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"cannot write to {path}: it exists and is not a folder")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write to {path}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"cannot write to {path}: no permission to write in it")
    return folder


def write_folder(path: str | Path, files: Mapping[str, bytes | str], *, force: bool = False) -> None:
    """Write files by their path in a folder, text as UTF-8: all of them, or none.

    They are written completely to a temporary folder beside it. A new folder then appears whole; into one
    that exists the files are renamed one by one. With `force` those of the same names are replaced, and
    others stay.

    Raises
    ------
    StoreError
        As `check_folder`; or the disk is full. No file of the folder has changed then.
    """
    folder = check_folder(path, force=force)
    blocked = [name for name in files if (folder / name).is_dir()]
    if blocked:
        raise StoreError(f"cannot write to {path}: {blocked[0]} in it is a folder")
    staged = folder.parent / f".{folder.name[:100]}.{secrets.token_hex(8)}"
    try:
        staged.mkdir()
        for name, content in files.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            with (staged / name).open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        if not folder.exists():
            staged.rename(folder)
            return
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        for name in files:
            os.replace(staged / name, folder / name)
    except OSError as error:
        raise StoreError(f"cannot write to {path}: {error.strerror or error}") from error
    finally:  # also when the user interrupts; after the rename there is nothing left to remove
        shutil.rmtree(staged, ignore_errors=True)
