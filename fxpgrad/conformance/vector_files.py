"""Vectors as files: one .npz, or a JSON manifest with a raw little-endian .bin file for each case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.vectors import Arrays, VectorCase, Vectors
from fxpgrad.errors import InputError, StoreError
from fxpgrad.files import npz_bytes
from fxpgrad.tasks.npz_data import load_arrays
from fxpgrad_kernels.errors import UnknownKernelError
from fxpgrad_kernels.registry import kernel_named

FORMAT = "fxpgrad-vectors 1"
_ALIGNMENT = 16  # bytes, of every array in a .bin file
_TYPES = ("int8", "uint8", "int16", "int32", "int64", "uint32")
_MANIFEST = "manifest"


def file_stem(vectors: Vectors) -> str:
    """Return what the names of the files start with."""
    return "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in vectors.name)


def npz_file(vectors: Vectors) -> bytes:
    """Return an .npz file: "manifest" (JSON), then "CASE/argument/NAME" and "CASE/expected/NAME"."""
    manifest = _manifest(vectors, [_description(case) for case in vectors.cases])
    arrays: Arrays = {_MANIFEST: np.array(json.dumps(manifest).encode())}
    for case in vectors.cases:
        for role, name, values in _arrays(case):
            arrays[f"{case.name}/{role}/{name}"] = values
    return npz_bytes(arrays)


def bin_files(vectors: Vectors) -> dict[str, bytes]:
    """Return the manifest and the .bin files by file name."""
    stem, files, descriptions = file_stem(vectors), dict[str, bytes](), list[dict[str, Any]]()
    for case in vectors.cases:
        content, description = bytearray(), _description(case)
        for entry, (_role, _name, values) in zip(description["arrays"], _arrays(case), strict=True):
            content += bytes(-len(content) % _ALIGNMENT)
            raw = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
            entry |= {"offset": len(content), "bytes": len(raw)}
            content += raw
        name = f"{stem}_{case.name}.bin"
        files[name] = bytes(content)
        descriptions.append({**description, "file": name, "sha256": hashlib.sha256(content).hexdigest()})
    manifest = json.dumps(_manifest(vectors, descriptions), indent=1)
    return {f"{stem}.json": (manifest + "\n").encode(), **files}


def _arrays(case: VectorCase) -> Iterator[tuple[str, str, NDArray[Any]]]:
    for name, values in case.arrays.items():
        yield "argument", name, values
    for name, values in case.expected.items():
        yield "expected", name, values


def _description(case: VectorCase) -> dict[str, Any]:
    """Return what a manifest says about a case: all but the arrays' values."""
    return {
        "name": case.name,
        "aim": case.aim,
        "numbers": {key: value for key, value in case.arguments.items() if key not in case.arrays},
        "arrays": [
            {"name": name, "role": role, "dtype": values.dtype.name, "shape": list(values.shape)}
            for role, name, values in _arrays(case)
        ],
    }


def _manifest(vectors: Vectors, cases: list[dict[str, Any]]) -> dict[str, Any]:
    arguments = []
    if vectors.kind == "kernel":
        spec = kernel_named(vectors.name)
        arguments = [
            {"name": a.name, "role": a.role, "dtype": a.dtype, "axes": list(a.shape)}
            for a in spec.arguments
            if a.role not in ("prepared", "workspace")
        ]
    return {
        "format": FORMAT,
        "kind": vectors.kind,
        "name": vectors.name,
        "provenance": vectors.provenance,
        "arguments": arguments,
        "cases": cases,
    }


def load_vectors(path: str | Path) -> Vectors:
    """Load vectors that `fxpgrad vectors` wrote.

    Parameters
    ----------
    path : path
        The .npz file, or the .json manifest, beside which its .bin files lie.

    Raises
    ------
    StoreError
        A file is missing, unreadable, no file of vectors, or not as its sha256 says.
    InputError
        The name ends in neither .npz nor .json.
    """
    ending = Path(path).suffix.lower()
    if ending == ".npz":
        arrays = load_arrays(path)
        if _MANIFEST not in arrays or arrays[_MANIFEST].dtype.kind != "S" or arrays[_MANIFEST].ndim:
            raise StoreError(f"{path} is no file of vectors: it lacks the array {_MANIFEST!r}")
        manifest = _parsed(arrays[_MANIFEST].item(), path)
        return _vectors(manifest, path, lambda case, entry: _named(arrays, case, entry, path))
    if ending == ".json":
        manifest = _parsed(_content(Path(path)), path)
        folder, read = Path(path).parent, dict[str, bytes]()
        return _vectors(manifest, path, lambda case, entry: _stored(folder, case, entry, read))
    raise InputError(f"vectors are loaded from an .npz file or a .json manifest; got {path}")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _parsed(content: bytes, path: str | Path) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is no file of vectors: its manifest is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{path} is no file of vectors of the format {FORMAT!r}")
    return manifest


def _vectors(manifest: dict[str, Any], path: str | Path, values_of: Any) -> Vectors:
    try:
        cases = tuple(_case(description, values_of) for description in manifest["cases"])
        if manifest["kind"] == "kernel":
            kernel_named(manifest["name"])
        return Vectors(manifest["kind"], manifest["name"], manifest["provenance"], cases)
    except UnknownKernelError as error:
        raise StoreError(f"{path} holds vectors of a kernel that is not known here: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path} is damaged: its manifest does not describe the arrays") from error


def _case(description: dict[str, Any], values_of: Any) -> VectorCase:
    found: dict[str, Arrays] = {"argument": {}, "expected": {}}
    for entry in description["arrays"]:
        found[entry["role"]][entry["name"]] = values_of(description, entry)
    numbers = {key: _tuples(value) for key, value in description["numbers"].items()}
    return VectorCase(
        description["name"], description["aim"], {**found["argument"], **numbers}, found["expected"]
    )


def _tuples(value: Any) -> Any:
    """Return what JSON made of a shape, or of shapes by name, as it was."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _named(arrays: Arrays, case: dict[str, Any], entry: dict[str, Any], path: str | Path) -> NDArray[Any]:
    key = f"{case['name']}/{entry['role']}/{entry['name']}"
    if key not in arrays:
        raise StoreError(f"{path} is damaged: it lacks the array {key!r}")
    values = arrays[key]
    if values.dtype.name != entry["dtype"] or list(values.shape) != entry["shape"]:
        raise StoreError(
            f"{path} is damaged: {key} is {values.dtype} {values.shape}, not as the manifest says"
        )
    return values


def _stored(
    folder: Path, case: dict[str, Any], entry: dict[str, Any], read: dict[str, bytes]
) -> NDArray[Any]:
    name = case["file"]
    if Path(name).name != name:
        raise StoreError(f"the manifest in {folder} names the file {name!r}, which is not beside it")
    if name not in read:
        read[name] = _content(folder / name)
        if hashlib.sha256(read[name]).hexdigest() != case["sha256"]:
            raise StoreError(f"{folder / name} is damaged: its sha256 is not that of the manifest")
    if entry["dtype"] not in _TYPES:
        raise StoreError(f"the manifest in {folder} names the type {entry['dtype']!r}, which no vector has")
    raw = read[name][entry["offset"] : entry["offset"] + entry["bytes"]]
    dtype = np.dtype(entry["dtype"])
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(entry["shape"])
