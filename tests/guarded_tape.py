"""A tape whose calls run on guarded copies: whole networks and training runs between pages that fault.

The executor, the probes and the updates hand their kernels views into arenas and scratch, where a step too
far meets other live memory. Here every call of every tape gets copies of exactly the bytes of its views,
runs on them by the tape's own machine code, and what it wrote is copied back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad_kernels.spec import Argument
from fxpgrad_kernels.tape import Tape
from tests.guarded_memory import Side, guarded

Note = Callable[[Any], None]
Place = tuple[int, int]


@dataclass(frozen=True)
class _Call:
    name: str
    arrays: dict[str, NDArray[Any]]
    places: dict[str, int]


def _place(values: NDArray[Any]) -> Place:
    return values.ctypes.data, values.ctypes.data + values.nbytes


def check_apart(call: _Call) -> None:
    """Raise unless any two arrays of a call are the same bytes or share none."""
    places = sorted({_place(values) for values in call.arrays.values() if values.nbytes})
    for (_, end), (start, _) in pairwise(places):
        if start < end:
            raise AssertionError(f"{call.name} is given arrays that overlap in part: {call.arrays.keys()}")


def _run_guarded(tape: Tape, index: int, call: _Call, side: Side, run_one: Callable[..., None]) -> None:
    check_apart(call)
    copies: dict[Place, NDArray[Any]] = {}
    for values in call.arrays.values():
        if _place(values) not in copies:
            copies[_place(values)] = guarded(values, side)
    own = {name: copies[_place(values)] for name, values in call.arrays.items()}
    for name, copy in own.items():
        tape.words[call.places[name]] = copy.ctypes.data
    run_one(tape, index)
    for name, values in call.arrays.items():
        tape.words[call.places[name]] = values.ctypes.data
        if values.flags.writeable:
            np.copyto(values, own[name].reshape(values.shape))


@contextmanager
def guarded_tapes(side: Side, note: Note) -> Iterator[None]:
    """Within the context, tapes that are made and run do so on guarded copies of their arrays."""
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
        note((call.name, {name: values.shape for name, values in call.arrays.items()}, side))
        _run_guarded(tape, index, call, side, run_one)

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
        yield
