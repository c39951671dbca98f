"""How a C function is called, as data: the judge writes a plan, the process with the library follows it.

A value of a plan is a list whose first word says what it is:

    ["array", name]                  a pointer to one of the case's arrays
    ["int32", number]                also int64
    ["null"]                         a null pointer
    ["struct", [value, ...]]         a pointer to a struct of these fields; inside another, the struct itself
    ["scratch", symbol, [value, ...], bytes]
                                     a pointer to as many bytes as the library's function `symbol` asks for,
                                     or `bytes` where the library has no such function
    ["scratch_size"]                 the size of the last scratch, as int32
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.guarded_memory import Fenced, Side

Value = list[Any]
_INTEGERS: dict[str, Any] = {"int32": ctypes.c_int32, "int64": ctypes.c_int64}
_POINTERS = frozenset(("array", "null", "scratch"))


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call of one C function.

    Attributes
    ----------
    symbol : str
    arguments : list of Value
    returns : {"void", "int32", "int64"}
    success : int or None
        What the function returns when it did its work; None where any value will do.
    """

    symbol: str
    arguments: list[Value]
    returns: str = "void"
    success: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object."""
        return {"symbol": self.symbol, "arguments": self.arguments, "returns": self.returns}


@dataclass(slots=True)
class Arguments:
    """Builds the values of a plan in memory; what they point to lives as long as this object."""

    library: ctypes.CDLL
    arrays: Mapping[str, NDArray[Any]]
    alignment: int
    side: Side | None
    scratch: list[Fenced] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    def build(self, value: Value) -> Any:
        """Return a value for ctypes; a struct becomes a pointer to it."""
        if value[0] != "struct":
            return self._field(value)
        structure = self._field(value)
        self.kept.append(structure)
        return ctypes.c_void_p(ctypes.addressof(structure))

    def _field(self, value: Value) -> Any:
        kind, *rest = value
        if kind == "array":
            return ctypes.c_void_p(self.arrays[rest[0]].ctypes.data)
        if kind == "null":
            return ctypes.c_void_p(None)
        if kind == "struct":
            fields = [self._field(inner) for inner in rest[0]]
            return _structure(rest[0], fields)
        if kind == "scratch":
            return self._scratch(*rest)
        if kind == "scratch_size":
            return ctypes.c_int32(self.scratch[-1].array.nbytes)
        return _INTEGERS[kind](rest[0])

    def _scratch(self, symbol: str, arguments: list[Value], nbytes: int) -> ctypes.c_void_p:
        if hasattr(self.library, symbol):
            asked = self.library[symbol]
            asked.restype = ctypes.c_int32
            nbytes = max(int(asked(*(self.build(value) for value in arguments))), 0)
        self.scratch.append(Fenced(np.full(nbytes, 0x5A, np.uint8), max(self.alignment, 16), self.side))
        return ctypes.c_void_p(self.scratch[-1].array.ctypes.data)


def _structure(values: list[Value], fields: list[Any]) -> ctypes.Structure:
    """Return a struct of these fields, laid out as C does."""
    names = [(f"field{number}", type(one)) for number, one in enumerate(fields)]
    kind = type("Struct", (ctypes.Structure,), {"_fields_": names})
    structure: ctypes.Structure = kind()
    for (name, _), one, value in zip(names, fields, values, strict=True):
        setattr(structure, name, one.value if value[0] in _POINTERS else one)
    return structure
