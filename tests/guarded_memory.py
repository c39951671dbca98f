"""Arrays that end or begin at a page which nobody may touch, and a process that may die of one.

A kernel that reads or writes one element too far usually finds memory there, and no comparison of results
tells. `guarded` places an array so that the first byte behind it (or before it) faults; `Sandbox` runs a
function where that kills another process than the one that tests.
"""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

Side = Literal["end", "start"]
SIDES: tuple[Side, ...] = ("end", "start")

GUARD = 1 << 24  # bytes on either side: a stride too far faults as one element too far does
_NONE, _READ_WRITE = 0, 1 | 2
_PRIVATE, _ANONYMOUS, _NO_RESERVE = 0x2, 0x20, 0x4000

needs_guards = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="protects pages by Linux's mmap and mprotect"
)


def _system() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


_SYSTEM = _system() if sys.platform.startswith("linux") else None


class Region:
    """Zeroed bytes between two guards; NumPy takes it for an array's owner."""

    def __init__(self, nbytes: int, side: Side) -> None:
        assert _SYSTEM is not None
        room = max(-(-nbytes // mmap.PAGESIZE), 1) * mmap.PAGESIZE
        self._length = room + 2 * GUARD
        flags = _PRIVATE | _ANONYMOUS | _NO_RESERVE
        self._base = _SYSTEM.mmap(None, self._length, _NONE, flags, -1, 0)
        first = self._base + GUARD
        if _SYSTEM.mprotect(first, room, _READ_WRITE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect failed")
        self.address: int = first + room - nbytes if side == "end" else first
        self._unmap = _SYSTEM.munmap

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the bytes as an array, which keeps the region."""
        self.__array_interface__ = {
            "data": (self.address, False), "shape": shape, "typestr": dtype.str, "version": 3,
        }  # fmt: skip
        return np.asarray(self)

    def __del__(self) -> None:
        self._unmap(self._base, self._length)


def guarded(values: NDArray[Any], side: Side) -> NDArray[Any]:
    """Return a C-contiguous copy that has no accessible byte behind its end, or before its start."""
    copy = Region(values.nbytes, side).array(values.shape, values.dtype)
    copy[...] = values
    return copy


class Crash(Exception):  # noqa: N818
    """The sandbox died: `last` is what it was about to do."""

    def __init__(self, code: int | None, last: Any) -> None:
        cause = signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
        super().__init__(f"{cause} in {last}")
        self.last = last


def _serve(pipe: Any) -> None:
    lock = threading.Lock()

    def note(what: Any) -> None:
        with lock:
            pipe.send(("note", what))

    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send(("result", function(note, *arguments)))
        except Exception as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))


class Sandbox:
    """Another process that runs functions of modules, one at a time; the next call replaces a dead one."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *details: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(note, *arguments)``; what it noted last is told when the process dies.

        Raises
        ------
        Crash
            The process died.
        AssertionError
            The function raised an exception.
        """
        if self._process is None:
            self._start()
        last = None
        try:
            self._pipe.send((function, arguments))
            while True:
                kind, value = self._pipe.recv()
                if kind == "result":
                    return value
                if kind == "error":
                    raise AssertionError(f"{value}, in {last}")
                last = value
        except (EOFError, ConnectionError):
            self._process.join()
            code, self._process = self._process.exitcode, None
            raise Crash(code, last) from None
