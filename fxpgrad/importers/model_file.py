"""Load a Program from any model file: .fxp, .tflite or .onnx, told apart by their first bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, ModelFileError, StoreError
from fxpgrad.graph.float_execution import feed_arrays
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.file_bytes import LARGEST_FILE
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.store import MAGIC, from_bytes

# The profile of each kind of file unless the user names one: the runtime that the file is made for.
DEFAULT_PROFILES = {"tflite": "tflite_double", "onnx": "onnx_float32"}


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


def quantize_model(
    path: str | Path, data: Mapping[str, NDArray[Any]] | NDArray[Any], weight_bits: int, profile: str | None
) -> Program:
    """Quantize a float .onnx file and lower it: int8 activations, weights of 8 or 16 bits.

    Parameters
    ----------
    path : path
        A float .onnx file.
    data : array or mapping of arrays by input name
        Calibration inputs as the file has them, real numbers, batch first. The float network is run on
        them by onnxruntime if that is installed, else by onnx.reference.
    weight_bits : int
        8 or 16.
    profile : str, optional
        By default tflite_double: the result is no longer tied to ONNX's runtime.

    Raises
    ------
    ModelFileError, StoreError, InputError, LoweringError
        As `load_program`; also for a file that is quantized already, and for data that does not fit.
    """
    from fxpgrad.importers.onnx_float import quantize_onnx  # noqa: PLC0415
    from fxpgrad.importers.onnx_graph import import_onnx  # noqa: PLC0415
    from fxpgrad.importers.onnx_layout import in_file_layout  # noqa: PLC0415

    content = read_model(path)
    if file_kind(content, path) != "onnx":
        raise ModelFileError(f"{path} is no float .onnx file: only those are quantized here")
    imported = import_onnx(content, Path(path).stem or "model", folder=Path(path).parent)
    if imported.graph.is_quantized:
        raise ModelFileError(f"{path} is quantized already; convert it without calibration data")
    feed = dict(data) if isinstance(data, Mapping) else _only_feed(imported.inputs, data)
    checked = {name: _real(name, x) for name, x in feed.items()}
    arranged = imported.arrange(checked)  # names and axes; then shapes and rows
    feed_arrays(imported.graph, arranged)
    graph = quantize_onnx(imported, content, checked, weight_bits)
    return lower(in_file_layout(imported, graph), profile or "tflite_double")


def _only_feed(inputs: tuple[str, ...], x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    if len(inputs) != 1:
        raise InputError(
            f"the model has the inputs {', '.join(inputs)}; give an .npz file with one array each"
        )
    return {inputs[0]: x}


def _real(name: str, x: NDArray[Any]) -> NDArray[np.float32]:
    if x.dtype.kind not in "buif" or x.size == 0:
        raise InputError(
            f"calibration data for {name} must be real numbers, at least one row; got {x.dtype} {x.shape}"
        )
    with np.errstate(over="ignore"):
        real = x.astype(np.float32)
    if not np.isfinite(real).all():
        raise InputError(f"calibration data for {name} hold NaN or infinity; clean the data first")
    return real


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
    return program_from(read_model(path), path, profile)


def program_from(content: bytes, path: str | Path, profile: str | None = None) -> Program:
    """Make a Program of a model file's content; see `load_program`. `path` tells its kind and names it."""
    kind = file_kind(content, path)
    if kind == "fxp":
        program = from_bytes(content, str(path))
        if profile not in (None, program.profile):
            raise InputError(
                f"{path} was lowered under {program.profile} and cannot change to {profile}; "
                "convert the original model with that profile"
            )
        return program
    try:
        graph = _imported_graph(content, kind, Path(path))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return lower(graph, profile or DEFAULT_PROFILES[kind])


def _imported_graph(content: bytes, kind: str, path: Path) -> Graph:
    name = path.stem or "model"
    if kind == "tflite":
        from fxpgrad.importers.tflite_graph import import_tflite  # noqa: PLC0415

        return import_tflite(content, name).graph
    from fxpgrad.importers.onnx_graph import import_onnx  # noqa: PLC0415
    from fxpgrad.importers.onnx_layout import in_file_layout  # noqa: PLC0415

    imported = import_onnx(content, name, folder=path.parent)
    if not imported.graph.is_quantized:
        raise ModelFileError(
            "this is a float network; quantize it with calibration data: "
            f"fxpgrad convert {path} --calibrate x.npy -o {name}.fxp"
        )
    return in_file_layout(imported)
