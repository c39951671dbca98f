"""The process in which a target runs: takes one call at a time, answers, and may die of it.

It knows nothing of kernels. What comes is the place of a function, arrays and integers; what goes back is
what the function wrote, which of the arrays that it must not write have changed, and which fences are broken.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import signal
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.call_plan import Arguments
from fxpgrad.conformance.frames import Frame, read_frame, write_frame
from fxpgrad.conformance.guarded_memory import Fenced
from fxpgrad.conformance.sandbox import exit_cause

Reply = tuple[dict[str, Any], dict[str, NDArray[Any]]]
_GRACE = 5.0  # seconds that the judge has to end a process that takes too long
_RETURNED: dict[str, Any] = {"void": None, "int32": ctypes.c_int32, "int64": ctypes.c_int64}


class Recorder:
    """Ends a block whatever foreign code raised in it, and keeps that: a judge survives what it judges."""

    error: BaseException | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return isinstance(error, (Exception, SystemExit))

    @property
    def text(self) -> str:
        """The exception in one line."""
        return f"{type(self.error).__name__}: {self.error}"


@functools.cache
def library_at(path: str) -> ctypes.CDLL:
    """Return the shared library."""
    return ctypes.CDLL(path)


@functools.cache
def function_named(module: str, function: str) -> Any:
    """Return a function of a module; dots in `function` go into objects."""
    found: Any = importlib.import_module(module)
    for part in function.split("."):
        found = getattr(found, part)
    return found


def load(header: Mapping[str, Any]) -> Reply:
    """Answer whether the target is there."""
    with Recorder() as recorder:
        if "library" in header:
            library = library_at(header["library"])
            missing = [symbol for symbol in header["symbols"] if not hasattr(library, symbol)]
            return {"status": "missing" if missing else "done", "missing": missing}, {}
        function_named(header["module"], header["function"])
        return {"status": "done"}, {}
    return {"status": "unloadable", "text": recorder.text}, {}


def call(frame: Frame) -> Reply:
    """Run the target once on fenced copies of the arrays."""
    header, given = frame.header, frame.arrays
    side, only, alignment = header["side"], header["only"], header["alignment"]
    fenced = {
        name: Fenced(values, alignment, side if only in {None, name} else None)
        for name, values in given.items()
    }
    arrays = {name: fence.array for name, fence in fenced.items()}
    extra: dict[str, Fenced] = {}
    if "library" in header:
        reply, results = _call_native(header, arrays, extra)
    else:
        reply, results = _call_python(header, arrays)
    written = header["written"]
    changed = [
        name
        for name, values in given.items()
        if name not in written and arrays[name].tobytes() != values.tobytes()
    ]
    outside = [[name, fence.broken] for name, fence in (fenced | extra).items() if fence.broken]
    return {**reply, "modified": changed, "outside": outside}, results


def _call_native(
    header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], extra: dict[str, Fenced]
) -> Reply:
    library, plan = library_at(header["library"]), header["plan"]
    only = header["only"]
    side = header["side"] if only in {None, "scratch"} else None
    arguments = Arguments(library, arrays, header["alignment"], side)
    taken = [arguments.build(value) for value in plan["arguments"]]
    function = library[plan["symbol"]]
    function.restype = _RETURNED[plan["returns"]]
    returned = function(*taken)
    for fence in arguments.scratch:
        extra["scratch"] = fence
    results = {name: arrays[name] for name in header["written"]}
    return {"status": "done", "returned": returned}, results


def _call_python(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Reply:
    function = function_named(header["module"], header["function"])
    keywords = {name: tuple(v) if isinstance(v, list) else v for name, v in header["keywords"].items()}
    with Recorder() as recorder:
        result = function(**arrays, **keywords)
        parts = result if isinstance(result, tuple | list) else (result,)
        results = {str(place): np.asarray(part) for place, part in enumerate(parts)}
        if any(part.dtype.hasobject for part in results.values()):
            return {"status": "exception", "text": f"returned {type(result).__name__}, no arrays"}, {}
        return {"status": "done", "returned": None}, results
    return {"status": "exception", "text": recorder.text}, {}


def _private_descriptors() -> tuple[int, int]:
    """Take the pipes for ourselves; what the target prints goes to standard error."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, replies


def _no_core_files() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - there is none on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer until the judge closes the pipe. Every first answer says which process answers."""
    while (frame := read_frame(requests)) is not None:
        _alarm(frame.header["seconds"] + _GRACE)
        header, arrays = call(frame) if frame.header["request"] == "call" else load(frame.header)
        _alarm(0.0)
        write_frame(replies, {"pid": os.getpid(), **header}, arrays)


def _alarm(seconds: float) -> None:
    """End this process after so long, should the judge that waits for it be gone; 0 takes that back."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> None:
    """Serve in copies of this process, so that a crash costs no new interpreter; if there are none, here."""
    requests, replies = _private_descriptors()
    _no_core_files()
    while hasattr(os, "fork"):
        child = os.fork()
        if child == 0:
            serve(os.fdopen(requests, "rb"), os.fdopen(replies, "wb"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        with os.fdopen(os.dup(replies), "wb") as stream:
            write_frame(
                stream, {"status": "ended", "cause": exit_cause(os.waitstatus_to_exitcode(status))}, {}
            )
    serve(os.fdopen(requests, "rb"), os.fdopen(replies, "wb"))
