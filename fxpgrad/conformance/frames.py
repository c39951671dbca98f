"""Messages between the judge and the process that runs a target: a JSON object and blocks of bytes.

Plain data on purpose: a target that has damaged its process can send nonsense, but nothing that runs here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("<Q")
_GREATEST = 1 << 40


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: JSON values by name, and arrays by name."""

    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def write_frame(stream: IO[bytes], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a message and flush it."""
    told = [[name, values.dtype.str, list(values.shape)] for name, values in arrays.items()]
    text = json.dumps({**header, "arrays": told}).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    for values in arrays.values():
        stream.write(np.ascontiguousarray(values).tobytes())
    stream.flush()


def read_frame(stream: IO[bytes]) -> Frame | None:
    """Read a message; None at the end of the stream.

    Raises
    ------
    ValueError
        What is read is no message.
    """
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(start)
    if length > _GREATEST:
        raise ValueError("a message of impossible length")
    header = json.loads(_exactly(stream, length))
    arrays = {}
    for name, kind, shape in header.pop("arrays"):
        dtype = np.dtype(kind)
        taken = _exactly(stream, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        arrays[name] = np.frombuffer(taken, dtype).reshape(shape)
    return Frame(header, arrays)


def _exactly(stream: IO[bytes], length: int) -> bytes:
    taken = stream.read(length)
    if len(taken) != length:
        raise ValueError("a message that ends too early")
    return taken
