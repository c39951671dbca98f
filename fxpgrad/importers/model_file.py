"""Load a Program from any model file: .fxp, .tflite or .onnx, told apart by their first bytes."""

from __future__ import annotations

from pathlib import Path

from fxpgrad.errors import InputError, ModelFileError, StoreError
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.store import MAGIC, from_bytes

# The profile of each kind of file unless the user names one: the runtime that the file is made for.
DEFAULT_PROFILES = {"tflite": "tflite_double", "onnx": "onnx_float32"}
LARGEST_FILE = 2**30


def file_kind(content: bytes, path: str | Path) -> str:
    """Return "fxp", "tflite" or "onnx"; by the signature, else by the name's ending.

    Raises
    ------
    ModelFileError
        Neither says what the file is.
    """
    if content.startswith(MAGIC):
        return "fxp"
    if content[4:8] == b"TFL3":
        return "tflite"
    ending = Path(path).suffix.lower().lstrip(".")
    if ending in ("fxp", "tflite", "onnx"):
        return ending
    raise ModelFileError(f"{path} is no model that is known here: it must be an .fxp, .tflite or .onnx file")


def read_model(path: str | Path) -> bytes:
    """Return a file's content, or raise `StoreError`, or `ModelFileError` if it is larger than 1 GiB."""
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_FILE:
            raise ModelFileError(
                f"{path} has {size} bytes; the largest model that is read has {LARGEST_FILE}"
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def load_program(path: str | Path, profile: str | None = None) -> Program:
    """Load a Program from a model file of any kind.

    Parameters
    ----------
    path : path
        An .fxp file, or a quantized .tflite or .onnx file, which is imported and lowered.
    profile : str, optional
        The rounding profile; by default tflite_double for .tflite and onnx_float32 for .onnx. An .fxp
        file is integers already and has its own, which this must then be.

    Raises
    ------
    StoreError, ModelFileError
        The file cannot be read, is corrupt, or holds something that is not supported.
    InputError
        Another profile was asked of an .fxp file.
    LoweringError, UnknownProfileError
        The model has no exact integers under this profile.
    """
    content = read_model(path)
    kind = file_kind(content, path)
    if kind == "fxp":
        program = from_bytes(content, str(path))
        if profile not in (None, program.profile):
            raise InputError(
                f"{path} was lowered under {program.profile} and cannot change to {profile}; "
                "convert the original model with that profile"
            )
        return program
    name = Path(path).stem or "model"
    if kind == "tflite":
        from fxpgrad.importers.tflite_graph import import_tflite  # noqa: PLC0415

        graph = import_tflite(content, name).graph
    else:
        from fxpgrad.importers.onnx_graph import import_onnx  # noqa: PLC0415

        graph = import_onnx(content, name, folder=Path(path).parent).graph
    return lower(graph, profile or DEFAULT_PROFILES[kind])
