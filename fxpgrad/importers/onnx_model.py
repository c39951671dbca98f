"""An .onnx file as plain data, and the limits that hold for every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import ModelFileError

Array = NDArray[Any]

# Bounds of what is read, whatever a file claims.
LARGEST_CONSTANT = 2**28  # elements of one constant, also of those that folding makes
LARGEST_ACTIVATION = 2**28  # elements of one sample
MOST_NODES = 20_000
MOST_TENSORS = 50_000
HIGHEST_RANK = 8
LONGEST_NAME = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNode:
    """One node; an optional input that is left out is "".

    op: the operator's name, with its domain in front unless that is ONNX's own
    ("Conv", "com.microsoft.QLinearAdd"). attributes: ints, floats, strings, lists of these, arrays.
    """

    index: int
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """How messages call the node."""
        return f"node {self.name or self.index} ({self.op})"

    def input(self, position: int) -> str:
        """Return the name of an input, or "" if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def refuse(self, reason: str) -> ModelFileError:
        """Return the error that names this node."""
        return ModelFileError(f"{self.label}: {reason}")


@dataclass(frozen=True, slots=True)
class OnnxValue:
    """An input or output of the graph; dtype is NumPy's name, None in shape an extent left open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A whole file: nodes in an order in which they can run, constants by name."""

    name: str
    producer: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    constants: Mapping[str, Array]


def printable(text: str | bytes) -> str:
    """Return `text` as messages may show it: short, and without control characters.

    The parser hands out bytes where a file's text is not UTF-8.
    """
    if isinstance(text, bytes):
        raise ModelFileError("the model holds a name that is not UTF-8")
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:80])
    return shown + ("..." if len(text) > 80 else "")


def no_nan(where: str, array: Array) -> None:
    """Raise `ModelFileError` if a float constant holds NaN or infinity."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(f"{where} holds NaN or infinity")
