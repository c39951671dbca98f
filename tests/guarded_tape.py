"""A tape whose calls run on guarded copies: whole networks and training runs between pages that fault.

The executor, the probes and the updates hand their kernels views into arenas and scratch, where a step too
far meets other live memory. Here every call of every tape gets copies of exactly the bytes of its views,
runs on them by the tape's own machine code, and what it wrote is copied back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.conformance.guarded_memory import Side, guarded
from fxpgrad_kernels.spec import Argument
from fxpgrad_kernels.tape import Tape

Note = Callable[[Any], None]
Place = tuple[int, int]


@dataclass(frozen=True)
class _Call:
    name: str
    arrays: dict[str, NDArray[Any]]
    places: dict[str, int]


def _place(values: NDArray[Any]) -> Place:
    return values.ctypes.data, values.ctypes.data + values.nbytes


def _copies(name: str, arrays: Collection[NDArray[Any]], side: Side) -> list[NDArray[Any]]:
    """Return guarded copies of a call's arrays; those that are the same bytes share one.

    Raise if two of them overlap in part: no kernel is made for that, and copies would hide it.
    """
    copies: dict[Place, NDArray[Any]] = {}
    for values in arrays:
        if _place(values) not in copies:
            copies[_place(values)] = guarded(values, side)
    for (_, end), (start, after) in pairwise(sorted(copies)):
        if start < end and start < after:
            raise AssertionError(f"{name} is given arrays that overlap in part")
    return [copies[_place(values)].reshape(values.shape) for values in arrays]


def _copy_back(copies: Collection[NDArray[Any]], arrays: Collection[NDArray[Any]]) -> None:
    for copy, values in zip(copies, arrays, strict=True):
        if values.flags.writeable:
            np.copyto(values, copy)


def _shapes(arrays: Collection[NDArray[Any]]) -> list[tuple[int, ...]]:
    return [values.shape for values in arrays]


def _direct(function: Any, side: Side, note: Note) -> Callable[..., Any]:
    """Return a kernel that is called without a tape as one that runs on guarded copies."""
    name = function.py_func.__name__

    def call(*arguments: Any) -> Any:
        arrays = [value for value in arguments if isinstance(value, np.ndarray)]
        note((name, _shapes(arrays), side))
        copies = _copies(name, arrays, side)
        left = iter(copies)
        result = function(*(next(left) if isinstance(value, np.ndarray) else value for value in arguments))
        _copy_back(copies, arrays)
        return result

    return call


def _kernels_by_name() -> Iterator[tuple[Any, str, Any]]:
    """Yield (module, name, kernel) of every kernel that a loaded module of the host calls itself."""
    for name, module in tuple(sys.modules.items()):
        if name.startswith("fxpgrad."):
            for key, value in tuple(vars(module).items()):
                if hasattr(value, "py_func"):
                    yield module, key, value


@contextmanager
def guarded_tapes(side: Side, note: Note) -> Iterator[None]:
    """Within the context, tapes that are made and run do so on guarded copies of their arrays.

    So do the kernels that modules of the host call by their own names, without a tape.
    """
    calls: dict[int, list[_Call]] = {}
    add, run_one = Tape.add, Tape.run_one

    def keep(
        tape: Tape, function: Any, arguments: Sequence[Argument], values: Mapping[str, Any]
    ) -> dict[str, int]:
        places = add(tape, function, arguments, values)
        arrays = {a.name: values[a.name] for a in arguments if a.role != "parameter"}
        calls.setdefault(id(tape), []).append(_Call(function.py_func.__name__, arrays, places))
        return places

    def one(tape: Tape, index: int) -> None:
        call = calls[id(tape)][index]
        arrays = call.arrays.values()
        note((call.name, dict(zip(call.arrays, _shapes(arrays), strict=True)), side))
        copies = _copies(call.name, arrays, side)
        for name, copy in zip(call.arrays, copies, strict=True):
            tape.words[call.places[name]] = copy.ctypes.data
        run_one(tape, index)
        for name, values in call.arrays.items():
            tape.words[call.places[name]] = values.ctypes.data
        _copy_back(copies, arrays)

    def run(tape: Tape) -> None:
        for index in range(len(tape)):
            one(tape, index)

    def forget(tape: Tape) -> None:
        calls.pop(id(tape), None)
        forget_init(tape)

    forget_init = Tape.__init__
    with pytest.MonkeyPatch.context() as patch:
        for name, function in (("__init__", forget), ("add", keep), ("run", run), ("run_one", one)):
            patch.setattr(Tape, name, function)
        for module, name, function in _kernels_by_name():
            patch.setattr(module, name, _direct(function, side, note))
        yield
