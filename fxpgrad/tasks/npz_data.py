"""Labelled data from a user's .npz file, checked completely before anything runs on it."""

from __future__ import annotations

import lzma
import struct
import tokenize
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from fxpgrad.errors import InputError, StoreError
from fxpgrad.program.execute import check_input
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input

# What NumPy, zipfile and the parser of array headers raise for damaged, encrypted, pickled or absurdly
# large content.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    lzma.LZMAError,
    MemoryError,
    OSError,
    RuntimeError,
    struct.error,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
    ValueError,
    zlib.error,
)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledData:
    """Samples that fit a Program, and their labels.

    x: the Program's input type, [n, ...input shape], n >= 1; y: int32 [n], 0..classes-1.
    """

    x: NDArray[Any]
    y: NDArray[np.int32]


def load_labelled(
    path: str | Path, program: Program, *, real: bool = False, classes: int | None = None
) -> LabelledData:
    """Load arrays x and y from an .npz file.

    Parameters
    ----------
    path
        An .npz file with x [n, ...input shape] and y, integers [n].
    program
        The Program whose input x must fit.
    real
        True: x holds real numbers, to be quantized; False: x is of the Program's own input type.
    classes
        Labels must be smaller than this; None sets no upper bound.

    Raises
    ------
    StoreError
        The file is missing or unreadable, or holds pickled objects.
    InputError
        An array is missing or does not fit.
    """
    arrays = _load_npz(path, ("x", "y"))
    info = program.tensors[program.inputs[0]]
    x = arrays["x"]
    if real:
        x = quantize_input(info, x)
    check_input(info, x)
    return LabelledData(np.ascontiguousarray(x), checked_labels(arrays["y"], len(x), classes))


def load_samples(path: str | Path, program: Program, *, real: bool = False) -> NDArray[Any]:
    """Load the array x of an .npz file, without labels, in the Program's input integers.

    real: as for `load_labelled`.

    Raises
    ------
    StoreError
        The file is missing or unreadable, or holds pickled objects.
    InputError
        x is missing or does not fit; the message names the file.
    """
    x = required_array(load_arrays(path), "x", str(path))
    info = program.tensors[program.inputs[0]]
    try:
        samples = quantize_input(info, x) if real else x
        check_input(info, samples)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return np.ascontiguousarray(samples)


def load_array(path: str | Path) -> NDArray[Any]:
    """Load one array from an .npy file (never unpickling); raise `StoreError` if that fails."""
    try:
        with Path(path).open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that old versions wrote, or that are damaged
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, NpzFile):
                raise StoreError(f"{path} must be an .npy file with one array; it is an .npz archive")
    except _UNREADABLE as error:
        raise _store_error(path, ".npy", error) from error
    array: NDArray[Any] = loaded
    return array


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Load all arrays of an .npz file (never unpickling), in the order of the file.

    Raises
    ------
    StoreError
        The file is missing or unreadable, or holds something else than arrays.
    InputError
        It holds no array, or two of one name.
    """
    arrays = _load_npz(path)
    if not arrays:
        raise InputError(f"{path} holds no arrays")
    foreign = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if foreign:
        raise StoreError(f"{path} is not a readable .npz file: {foreign[0]!r} is not an array")
    return arrays


def required_array(arrays: dict[str, NDArray[Any]], name: str, path: str | Path) -> NDArray[Any]:
    """Return one of the arrays of the file `path`; raise `InputError` if it is not there."""
    if name not in arrays:
        held = ", ".join(list(arrays)[:8]) + (", ..." if len(arrays) > 8 else "")
        raise InputError(f"{path} lacks the array {name!r}; it holds {held}")
    return arrays[name]


def labelled_images(
    arrays: dict[str, NDArray[Any]], classes: int, path: str | Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `images`, uint8 [n, h, w, 3], n >= 1, and `labels` [n], 0..classes-1, of the file `path`.

    Raises
    ------
    InputError
        One is missing or does not fit.
    """
    images, labels = (required_array(arrays, name, path) for name in ("images", "labels"))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or images.size == 0:
        raise InputError(f"images in {path} must be uint8 [n, h, w, 3]; got {images.dtype} {images.shape}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(
            f"labels in {path} must be {len(images)} integers; got {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"labels in {path} must be in 0..{classes - 1}; got {labels.min()}..{labels.max()}")
    return images, labels.astype(np.int64)


def _load_npz(path: str | Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Load the named arrays, or all of them."""
    wanted = "" if names is None else f" with arrays {' and '.join(names)}"
    try:
        with Path(path).open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise StoreError(f"{path} must be an .npz archive{wanted}; it is an .npy file")
            with archive:
                if names is None:
                    twice = [name for name in archive.files if archive.files.count(name) > 1]
                    if twice:
                        raise InputError(f"{path} holds two arrays {twice[0]!r}")
                    names = archive.files
                missing = [name for name in names if name not in archive.files]
                if missing:
                    held = ", ".join(archive.files) or "nothing"
                    raise InputError(f"{path} lacks the array {missing[0]!r}; it holds {held}")
                return {name: archive[name] for name in names}
    except InputError:
        raise
    except _UNREADABLE as error:
        raise _store_error(path, ".npz", error) from error


def _store_error(path: str | Path, kind: str, error: BaseException) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return StoreError(f"cannot read {path}: {error.strerror}")
    if isinstance(error, ValueError) and "allow_pickle" in str(error):
        return StoreError(
            f"{path} is not {kind[1:]} data, or holds pickled objects, which are never loaded; "
            "save plain numeric arrays"
        )
    reason = " ".join(str(error).split()) or type(error).__name__
    return StoreError(f"{path} is not a readable {kind} file: {reason}")


def checked_labels(y: NDArray[Any], samples: int, classes: int | None) -> NDArray[np.int32]:
    """Return y as int32 [samples]; raise `InputError` unless it is one label in 0..classes-1 a sample."""
    if y.dtype.kind not in "iu":
        raise InputError(f"labels y must be integers; got {y.dtype}")
    if y.ndim != 1:
        raise InputError(f"labels y must have shape ({samples},), one per sample; got {y.shape}")
    if len(y) != samples:
        raise InputError(f"x holds {samples} samples but y {len(y)} labels; they must be as many")
    if not samples:
        raise InputError("there are no samples")
    lowest, highest = int(y.min()), int(y.max())
    limit = 2**31 if classes is None else classes
    if lowest < 0 or highest >= limit:
        wrong = lowest if lowest < 0 else highest
        raise InputError(f"labels y must be in 0..{limit - 1}; got {wrong}")
    return y.astype(np.int32)
