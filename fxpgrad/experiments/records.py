"""Records of cells in a file of JSON lines: appended as they come, so that an interrupted run goes on."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from fxpgrad.errors import StoreError
from fxpgrad.files import write_atomically

Record = dict[str, Any]
_BEGINNING = b'{"key": "'


class Records:
    """The records of a .jsonl file, by key.

    A last line that an interrupted write has cut is dropped, or ended if it is whole, and the file mended.

    Raises
    ------
    StoreError
        The file cannot be read, or a line in it is not a record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_key: dict[str, Record] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
        *lines, rest = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            record = _parsed(line)
            if record is None:
                raise StoreError(
                    f"line {number} of {path} is not a record of an experiment; move the file away"
                )
            self._by_key[record["key"]] = record
        if rest:
            self._mend(lines, rest)

    def _mend(self, lines: list[bytes], rest: bytes) -> None:
        """End or drop a last line without an end; refuse what no interrupted record begins like."""
        record = _parsed(rest)
        if record is not None:
            self._by_key[record["key"]] = record
            lines = [*lines, rest]
        elif rest[: len(_BEGINNING)] != _BEGINNING[: len(rest)]:
            raise StoreError(
                f"the last line of {self._path} is not a record of an experiment; move the file away"
            )
        write_atomically(self._path, b"".join(line + b"\n" for line in lines))

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> Record:
        return self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, record: Record) -> None:
        """Append a record, on disk when this returns.

        Raises
        ------
        StoreError
            The disk is full, or the file cannot be written; what was there is untouched.
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self._path, size)
            raise StoreError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._by_key[record["key"]] = record


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("key"), str) else None
