r"""The .fxp file: a Program on disk.

    8 bytes   magic, b"FXPGRAD\0"
    4 bytes   format version, little-endian
    8 bytes   length of the manifest
    ...       manifest: JSON, UTF-8: tensors, calls, where each constant lies in the data
    ...       data: the constants, little-endian, each starting at a multiple of 16
    32 bytes  SHA-256 of everything before

Nothing is ever unpickled. The same Program always gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fxpgrad.errors import FxpgradError, StoreError
from fxpgrad.files import write_atomically
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.errors import KernelError

MAGIC = b"FXPGRAD\0"
VERSION = 2
_HEADER = struct.Struct("<8sIQ")
_DIGEST = 32
_ALIGN = 16
_DTYPES = ("int8", "int16", "int32", "int64")
# What reading a manifest of the wrong types, or of absurd numbers or depth, can raise.
_UNDECODABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


def to_bytes(program: Program) -> bytes:
    """Return the .fxp file's content."""
    data = bytearray()
    constants: list[dict[str, Any]] = []
    for name in sorted(program.constants):
        constant = program.constants[name]
        data.extend(b"\0" * (-len(data) % _ALIGN))
        raw = constant.data.astype(constant.data.dtype.newbyteorder("<")).tobytes()
        constants.append(
            {
                "name": name,
                "dtype": constant.data.dtype.name,
                "shape": list(constant.data.shape),
                "offset": len(data),
                "scale": None if constant.scale is None else [float(value) for value in constant.scale],
                "axis": constant.axis,
            }
        )
        data.extend(raw)
    manifest = {
        "name": program.name,
        "profile": program.profile,
        "inputs": list(program.inputs),
        "outputs": list(program.outputs),
        "metadata": dict(program.metadata),
        "variables": dict(program.variables),
        "tensors": [dataclasses.asdict(info) for info in program.tensors.values()],
        "calls": [dataclasses.asdict(call) for call in program.calls],
        "constants": constants,
        "data_bytes": len(data),
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    body = _HEADER.pack(MAGIC, VERSION, len(text)) + text + bytes(data)
    return body + hashlib.sha256(body).digest()


def save(program: Program, path: str | Path) -> None:
    """Write a Program to `path` (atomically: a failed write leaves what was there)."""
    write_atomically(path, to_bytes(program))


def from_bytes(content: bytes, where: str = "the data") -> Program:
    """Return the Program that `content` holds; `where` names it in errors.

    Raises
    ------
    StoreError
        Not an .fxp file, another version, truncated, corrupt, or inconsistent.
    """
    if len(content) < _HEADER.size + _DIGEST or not content.startswith(MAGIC):
        raise StoreError(f"{where} is not an .fxp file (it lacks the signature, or is cut short)")
    _, version, length = _HEADER.unpack_from(content)
    if version != VERSION:
        raise StoreError(f"{where} has .fxp version {version}; this release reads version {VERSION}")
    if hashlib.sha256(content[:-_DIGEST]).digest() != content[-_DIGEST:]:
        raise StoreError(f"{where} is corrupt or truncated: its SHA-256 does not match; copy it again")
    try:
        text = content[_HEADER.size : _HEADER.size + length]
        program = _decode(json.loads(text), content[_HEADER.size + length : -_DIGEST])
        check_program(program)
    except (*_UNDECODABLE, FxpgradError, KernelError) as error:
        raise StoreError(f"{where} is not a valid Program: {error}") from error
    return program


def load(path: str | Path) -> Program:
    """Read a Program from `path`; see `from_bytes` for what is refused."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    return from_bytes(content, str(path))


def _decode(manifest: dict[str, Any], data: bytes) -> Program:
    if len(data) != manifest["data_bytes"]:
        raise StoreError(f"{len(data)} bytes of data where {manifest['data_bytes']} were promised")
    tensors = [
        TensorInfo(
            str(entry["name"]),
            tuple(int(size) for size in entry["shape"]),
            str(entry["dtype"]),
            int(entry["zero_point"]),
            float(entry["scale"]),
            bool(entry["unsigned"]),
        )
        for entry in manifest["tensors"]
    ]
    calls = [
        Call(
            str(entry["name"]),
            str(entry["kernel"]),
            tuple(entry["inputs"]),
            {str(key): str(value) for key, value in entry["constants"].items()},
            str(entry["output"]),
            {str(key): int(value) for key, value in entry["parameters"].items()},
        )
        for entry in manifest["calls"]
    ]
    constants = [_decode_constant(entry, data) for entry in manifest["constants"]]
    return Program(
        str(manifest["name"]),
        str(manifest["profile"]),
        {info.name: info for info in tensors},
        {constant.name: constant for constant in constants},
        tuple(calls),
        tuple(manifest["inputs"]),
        tuple(manifest["outputs"]),
        {str(key): str(value) for key, value in manifest["metadata"].items()},
        {str(key): int(value) for key, value in manifest["variables"].items()},
    )


def _decode_constant(entry: dict[str, Any], data: bytes) -> Constant:
    name, offset = str(entry["name"]), int(entry["offset"])
    if entry["dtype"] not in _DTYPES:
        raise StoreError(f"constant {name} has the unknown type {entry['dtype']!r}")
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    shape = tuple(int(size) for size in entry["shape"])
    count = math.prod(shape)
    if offset < 0 or min(shape, default=1) < 0 or offset + count * dtype.itemsize > len(data):
        raise StoreError(f"constant {name} lies outside the file")
    values = np.frombuffer(data, dtype, count, offset).astype(dtype.newbyteorder("=")).reshape(shape)
    scale = None if entry["scale"] is None else np.array(entry["scale"], np.float64)
    return Constant(name, values, scale, int(entry["axis"]))
