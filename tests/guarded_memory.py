"""A process that may die of touching what is not an array's, and the mark of tests that need one."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fxpgrad.conformance.guarded_memory import guards_available

needs_guards = pytest.mark.skipif(
    not guards_available(), reason="protects pages by Linux's mmap and mprotect"
)


class Crash(Exception):  # noqa: N818
    """The sandbox died: `last` is what it was about to do."""

    def __init__(self, code: int | None, last: Any) -> None:
        cause = signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
        super().__init__(f"{cause} in {last}")
        self.last = last


def _serve(pipe: Any) -> None:
    lock = threading.Lock()

    def note(what: Any) -> None:
        with lock:
            pipe.send(("note", what))

    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send(("result", function(note, *arguments)))
        except Exception as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))


class Sandbox:
    """Another process that runs functions of modules, one at a time; the next call replaces a dead one."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *details: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(note, *arguments)``; what it noted last is told when the process dies.

        Raises
        ------
        Crash
            The process died.
        AssertionError
            The function raised an exception.
        """
        if self._process is None:
            self._start()
        last = None
        try:
            self._pipe.send((function, arguments))
            while True:
                kind, value = self._pipe.recv()
                if kind == "result":
                    return value
                if kind == "error":
                    raise AssertionError(f"{value}, in {last}")
                last = value
        except (EOFError, ConnectionError):
            self._process.join()
            code, self._process = self._process.exitcode, None
            raise Crash(code, last) from None
