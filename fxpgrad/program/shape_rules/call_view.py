"""What a shape rule may look at, and the words that rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.program import Call


@dataclass(frozen=True, slots=True)
class CallView:
    """One call whose names, types, ranks, ranges and letters have been checked.

    sizes: the extent of each letter of the kernel's shapes, for one sample ("N" of a flat array is the
    number of elements of one sample); constants: the arrays by argument; where: names the call in errors.
    """

    call: Call
    sizes: Mapping[str, int]
    constants: Mapping[str, NDArray[Any]]
    where: str

    @property
    def parameters(self) -> Mapping[str, int]:
        """The integer parameters by name."""
        return self.call.parameters

    def require(self, condition: bool, message: str) -> None:
        """Raise `LoweringError` unless `condition` holds."""
        if not condition:
            raise LoweringError(f"{self.where}: {message}")


ShapeRule = Callable[[CallView], None]


def letters_suffice(view: CallView) -> None:
    """The rule of kernels whose letters say everything."""
