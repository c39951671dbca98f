"""Keeps a process that runs a target: starts it, asks it, and tells how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fxpgrad.conformance.frames import Frame, read_frame, write_frame
from fxpgrad.errors import StoreError

_TAIL = 2000  # characters of standard error that are told
_MAIN = "import sys; sys.path[:] = {path!r}; from fxpgrad.conformance.child import main; main()"
_STARTING = 60.0  # seconds for a process to come up
# What a broken pipe raises, or nonsense in it.
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, RecursionError)


def last_words(said: str) -> str:
    """Return the line of what a process said that tells most: a sanitizer's or an error's, else the last."""
    lines = said.splitlines() or [""]
    for sign in ("runtime error:", "SUMMARY:", "ERROR:"):
        for line in lines:
            if sign in line:
                return line.strip()
    return lines[-1].strip()


def exit_cause(code: int) -> str:
    """Return a signal's name, or the exit status."""
    names = {one.value: one.name for one in signal.Signals}
    return f"exit status {code}" if code >= 0 else names.get(-code, f"signal {-code}")


class Ended(Exception):  # noqa: N818 - a target's end is what is looked for
    """The process ended, or was ended, before it answered.

    Attributes
    ----------
    hung : bool
        It took longer than it may.
    cause : str
        The signal's name, or the exit status.
    said : str
        The end of its standard error.
    """

    def __init__(self, cause: str, said: str, *, hung: bool = False) -> None:
        super().__init__(cause)
        self.cause, self.said, self.hung = cause, said, hung


class Sandbox:
    """A process that runs a target; the next question starts another where the last one died."""

    def __init__(self, greeting: Mapping[str, Any], timeout: float, search: str = "") -> None:
        """Prepare; nothing starts yet.

        Parameters
        ----------
        greeting : mapping
            What every new process is asked first: to load the target, for which it may take its time.
        timeout : float
            Seconds that any other answer may take.
        search : str
            A folder that Python modules are looked up in first.
        """
        self.timeout = timeout
        self._greeting = greeting
        self._path = [*([search] if search else []), *sys.path]
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0  # of the process that answers: this one or a copy of it; 0 before it has answered
        try:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the sandbox
        except OSError as error:
            raise StoreError(f"no place for a temporary file: {error.strerror or error}") from error
        self._hung = False

    def close(self) -> None:
        """End the process."""
        self._stop()
        self._said.close()

    def start(self) -> Frame:
        """Greet a new process and return its answer; raise `Ended` as `ask` does."""
        if self._process is None or self._process.poll() is not None or self._pid:
            self._stop()
            command = [sys.executable, "-c", _MAIN.format(path=self._path)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
            )
        answer = self._answer(_STARTING, self._greeting, {})
        self._pid = answer.header["pid"]
        return answer

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Frame:
        """Return the answer.

        Raises
        ------
        Ended
            There is none.
        """
        if self._process is None or self._process.poll() is not None or not self._pid:
            self.start()
        return self._answer(self.timeout, header, arrays)

    def _answer(self, seconds: float, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Frame:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        self._hung = False
        self._said.seek(0)
        self._said.truncate()
        timer = threading.Timer(seconds, self._kill)
        timer.start()
        answer = None
        with contextlib.suppress(*_BROKEN):
            write_frame(process.stdin, {**header, "seconds": seconds}, arrays)
            answer = read_frame(process.stdout)
        timer.cancel()
        if answer is not None and answer.header["status"] != "ended":
            return answer
        said = self._tail()
        if answer is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)  # so that the code is its own, not that of being stopped
            alive = process.poll() is None
            self._stop()
            cause = "sends what is no answer" if alive else exit_cause(process.returncode)
        else:
            self._pid = 0
            cause = answer.header["cause"]
        if self._hung:
            raise Ended(f"no answer within {seconds:g} s", said, hung=True)
        raise Ended(cause, said)

    def _kill(self) -> None:
        self._hung = True
        process = self._process
        if process is not None and (not self._pid or self._pid == process.pid):
            process.kill()
        elif self._pid:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if self._pid and self._pid != process.pid:
            with contextlib.suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
        self._pid = 0
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _tail(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace")[-_TAIL:].strip()
