"""A target that is a command: reads a case from files, writes what it computes to others."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fxpgrad.conformance.calls import Case, keywords, written_names
from fxpgrad.conformance.definition import Arrays, given_arrays, parameters_of
from fxpgrad.conformance.guarded_memory import Side
from fxpgrad.conformance.sandbox import exit_cause, last_words
from fxpgrad.conformance.target import Outcome, Placement
from fxpgrad.errors import InputError, StoreError
from fxpgrad_kernels.spec import KernelSpec

_PLACES = ("{in}", "{out}", "{in_dir}", "{out_dir}")
_TAIL = 2000
# What an .npz file that is none, or half of one, raises.
_UNREADABLE = (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class CommandTarget:
    """Runs a command once a case.

    In the command, {in} is an .npz file with every array and integer of the case by name and {out} the .npz
    file that it must write; {in_dir} is a folder with case.json and one file of raw bytes an array, NAME.bin,
    and {out_dir} the folder for NAME.bin of every output, in C order and the types of case.json.
    """

    sides: tuple[Side | None, ...] = (None,)

    def __init__(self, command: str, spec: KernelSpec, *, timeout: float = 5.0) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InputError(f"--command {command!r} is no command: {error}") from error
        if not self._words or shutil.which(self._words[0]) is None:
            name = self._words[0] if self._words else ""
            raise InputError(f"--command {command!r}: there is no program {name!r} that can be run")
        used = {place for place in _PLACES for word in self._words if place in word}
        if not used & {"{in}", "{in_dir}"} or not used & {"{out}", "{out_dir}"}:
            raise InputError(
                f"--command {command!r} must hold {{in}} or {{in_dir}}, and {{out}} or {{out_dir}}"
            )
        self.name, self._spec, self.timeout, self._used = command, spec, timeout, used

    def load(self) -> Outcome:
        """Return that the command is there: its program was found."""
        return Outcome()

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case."""
        return case

    def refusal(self, case: Case) -> str:
        """Return "": a command takes all."""
        del case
        return ""

    def close(self) -> None:
        """Do nothing: nothing runs between cases."""

    def run(self, case: Case, placement: Placement) -> Outcome:
        """Run the command once."""
        del placement
        with _scratch_folder() as name:
            folder = Path(name)
            places = {
                "{in}": folder / "in.npz",
                "{out}": folder / "out.npz",
                "{in_dir}": folder / "in",
                "{out_dir}": folder / "out",
            }
            try:
                self._write(case, places)
            except OSError as error:
                told = f"cannot write a case to {name}: {error.strerror or error}; TMPDIR names another place"
                raise StoreError(told) from error
            words = [_filled(word, places) for word in self._words]
            try:
                code, said = _run(words, self.timeout)
            except subprocess.TimeoutExpired:
                return Outcome("hang", f"no end within {self.timeout:g} s")
            except OSError as error:
                return Outcome("load", f"{words[0]}: {error.strerror}")
            if code:
                return Outcome("crash", _end(code, said))
            return self._read(case, places)

    def _write(self, case: Case, places: dict[str, Path]) -> None:
        spec = self._spec
        extra = {name: np.asarray(value) for name, value in keywords(spec, case).items()}
        arrays = given_arrays(spec, case) | extra
        numbers = parameters_of(spec, case)
        places["{out_dir}"].mkdir()
        if "{in}" in self._used:
            values: Arrays = {**arrays, **{k: np.asarray(v, np.int64) for k, v in numbers.items()}}
            with places["{in}"].open("wb") as file:
                np.savez(file, **values)  # type: ignore[arg-type]  # names of arrays, not options
        if "{in_dir}" in self._used:
            places["{in_dir}"].mkdir()
            for name, values_ in arrays.items():
                (places["{in_dir}"] / f"{name}.bin").write_bytes(np.ascontiguousarray(values_).tobytes())
            told = {
                "kernel": spec.name,
                "parameters": numbers,
                "arrays": {k: {"dtype": v.dtype.name, "shape": list(v.shape)} for k, v in arrays.items()},
                "outputs": {
                    name: {"dtype": dtype.name, "shape": list(shape)}
                    for name, (dtype, shape) in self._wanted(case).items()
                },
            }
            (places["{in_dir}"] / "case.json").write_text(json.dumps(told, indent=2))

    def _wanted(self, case: Case) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
        kinds = {argument.name: argument for argument in self._spec.arguments}
        return {
            name: (
                np.dtype(kinds[name].dtype),
                tuple(case["shapes"][name] if name in case["shapes"] else np.shape(case[name])),
            )
            for name in written_names(self._spec)
        }

    def _read(self, case: Case, places: dict[str, Path]) -> Outcome:
        wanted = self._wanted(case)
        results: Arrays = {}
        if "{out}" in self._used:
            try:
                with zipfile.ZipFile(places["{out}"]):  # np.load takes other files, too
                    archive = np.load(places["{out}"], allow_pickle=False)
                with archive:
                    results = {name: np.asarray(archive[name]) for name in wanted if name in archive}
            except _UNREADABLE as error:
                told = error.strerror if isinstance(error, OSError) else error
                return Outcome("shape", f"wrote no .npz file: {told}")
        else:
            for name, (dtype, shape) in wanted.items():
                path = places["{out_dir}"] / f"{name}.bin"
                taken = path.read_bytes() if path.is_file() else b""
                if path.is_file() and len(taken) == int(np.prod(shape, dtype=np.int64)) * dtype.itemsize:
                    results[name] = np.frombuffer(taken, dtype).reshape(shape)
                elif path.is_file():
                    return Outcome("shape", f"{name}.bin has {len(taken)} bytes; {name} is {dtype} {shape}")
        missing = [name for name in wanted if name not in results]
        return (
            Outcome("shape", f"did not write {', '.join(missing)}") if missing else Outcome(results=results)
        )


def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreError(f"no folder for temporary files: {error.strerror or error}") from error


def _run(words: list[str], seconds: float) -> tuple[int, str]:
    """Return a command's exit status and what it said; one that takes too long ends with all it has started.

    Raises
    ------
    subprocess.TimeoutExpired, OSError
        It did not end in time, or cannot be started.
    """
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            output, errors = process.communicate(timeout=seconds)
        finally:
            if process.poll() is None:  # a script that is ended alone leaves the program that it waits for
                _kill_group(process)
    return process.returncode, errors or output


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _filled(word: str, places: dict[str, Path]) -> str:
    for place, path in places.items():
        word = word.replace(place, str(path))
    return word


def _end(code: int, said: str) -> str:
    words = last_words(said[-_TAIL:].strip())
    return exit_cause(code) + (f"; it said: {words}" if words else "")
