"""Arrays that end or begin at a page which nobody may touch, or, without such pages, between canaries.

A kernel that reads or writes one element too far usually finds memory there, and no comparison of results
tells. `guarded` places an array so that the first byte behind it (or before it) faults. `Fenced` does what
can be done where pages cannot be protected: bytes around the array that must not change.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["end", "start"]
SIDES: tuple[Side, ...] = ("end", "start")

GUARD = 1 << 24  # bytes on either side: a stride too far faults as one element too far does
_NONE, _READ_WRITE = 0, 1 | 2
_PRIVATE, _ANONYMOUS, _NO_RESERVE = 0x2, 0x20, 0x4000
_CANARY = 0xA5
FENCE = 256  # bytes; the greatest alignment


def _system() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


_SYSTEM = _system() if sys.platform.startswith("linux") else None


def guards_available() -> bool:
    """Whether this system protects pages (by Linux's mmap and mprotect)."""
    return _SYSTEM is not None


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


class Fenced:
    """A copy of an array whose neighbouring bytes are known.

    Parameters
    ----------
    values : ndarray
    alignment : int
        The copy starts at a multiple of so many bytes: a power of two, at most `FENCE`.
    side : {"end", "start"}, optional
        Where a protected page lies; None protects nothing. At "end" an `alignment` above the element's size
        leaves bytes between the copy and the page: these are part of the fence.
    """

    def __init__(self, values: NDArray[Any], alignment: int = 1, side: Side | None = None) -> None:
        size = values.nbytes
        padding = -size % alignment if side == "end" else 0
        before = 0 if side == "start" else FENCE
        after = padding + (0 if side == "end" else FENCE)
        if side is None:
            self._bytes = np.empty(before + size + after + alignment, np.uint8)
            before += -self._bytes.ctypes.data % alignment
        else:
            room = before + size + after
            self._bytes = Region(room, side).array((room,), np.dtype(np.uint8))
        self._bytes[...] = _CANARY
        self._start, self._stop = before, before + size
        inner = self._bytes[self._start : self._stop]
        self.array: NDArray[Any] = inner.view(values.dtype).reshape(values.shape)
        self.array[...] = values

    @property
    def broken(self) -> str:
        """Where the fence was written: "before its start", "behind its end", or ""."""
        if (self._bytes[: self._start] != _CANARY).any():
            return "before its start"
        return "behind its end" if (self._bytes[self._stop :] != _CANARY).any() else ""
