"""Checked reading of flatbuffer tables: no length is believed before it is compared with the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_model import LONGEST_NAME


@dataclass(slots=True)
class CheckedTables:
    """Reads vectors and texts of one file; `left` is how many bytes vectors may still take."""

    content: bytes
    left: int

    def spend(self, size: int, what: str) -> None:
        """Refuse a vector that the file cannot hold."""
        if size > len(self.content):
            raise ModelFileError(
                f"the TFLite model is corrupt: {what} claims {size} bytes in a file of {len(self.content)}"
            )
        self.left -= size
        if self.left < 0:
            raise ModelFileError(
                "the TFLite model is corrupt: its vectors overlap, and together exceed four times the file"
            )

    def count(self, table: Any, name: str, width: int, most: int) -> int:
        """Return the length of a vector of tables."""
        length = int(getattr(table, f"{name}Length")())
        self.spend(length * width, name)
        if length > most:
            raise ModelFileError(f"the model has {length} entries in {name}; the limit is {most}")
        return length

    def vector(self, table: Any, name: str, width: int) -> NDArray[Any]:
        """Return a vector of numbers as a view into the file."""
        self.spend(int(getattr(table, f"{name}Length")()) * width, name)
        array = getattr(table, f"{name}AsNumpy")()
        return array if isinstance(array, np.ndarray) else np.zeros(0, np.uint8)

    def ints(self, table: Any, name: str) -> tuple[int, ...]:
        """Return a vector of int32."""
        return tuple(self.vector(table, name, 4).tolist())

    def text(self, table: Any, slot: int) -> str | None:
        """Return a text field, or None where the table leaves it out."""
        place = table._tab.Offset(slot)
        if place == 0:
            return None
        length = table._tab.VectorLen(place)
        self.spend(length, "a text")
        if length > LONGEST_NAME:
            raise ModelFileError(f"a name of {length} bytes is longer than {LONGEST_NAME}, the limit")
        start = table._tab.Vector(place)
        return self.content[start : start + length].decode("utf-8", "replace")
