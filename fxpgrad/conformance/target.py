"""Somebody's implementation of a kernel: a library or a Python callable, run one case at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fxpgrad.conformance.calls import Case, keywords, written_names
from fxpgrad.conformance.definition import Arrays, given_arrays, native_arrays, parameters_of
from fxpgrad.conformance.frames import Frame
from fxpgrad.conformance.guarded_memory import Side, guards_available
from fxpgrad.conformance.port_abi import Abi
from fxpgrad.conformance.sandbox import Ended, Sandbox, last_words
from fxpgrad_kernels.spec import KernelSpec


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the arrays of a call lie and what its outputs hold before.

    Attributes
    ----------
    side : {"end", "start"} or None
        Where each array meets a page that faults; None for canaries.
    noise : int
        Seed of what the outputs hold.
    only : str or None
        The one array that meets such a page; None for all.
    """

    side: Side | None = None
    noise: int = 0
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call did.

    Attributes
    ----------
    failure : str
        "" if it came back; else "load", "crash", "hang", "exception", "status" or "shape".
    text : str
        What is known of the failure.
    results : dict
        What it wrote or returned, by the names of `written_names`.
    before : dict
        What the outputs held before; empty where the target makes its own.
    modified : tuple of str
        Arrays that it must not write and that have changed.
    outside : tuple of (str, str)
        Arrays beside which it wrote, and on which side.
    """

    failure: str = ""
    text: str = ""
    results: Arrays = field(default_factory=dict)
    before: Arrays = field(default_factory=dict)
    modified: tuple[str, ...] = ()
    outside: tuple[tuple[str, str], ...] = ()


class Target(Protocol):
    """What the judge asks of a target.

    Attributes
    ----------
    name : str
        As a person calls it.
    sides : tuple
        The placements that a case is run in.
    timeout : float
        Seconds that a call may take; may be changed.
    """

    name: str
    sides: tuple[Side | None, ...]
    timeout: float

    def load(self) -> Outcome:
        """Return whether the target is there at all."""

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case as near to it as the target can take."""

    def refusal(self, case: Case) -> str:
        """Return why the target cannot take a case; "" if it can."""

    def run(self, case: Case, placement: Placement) -> Outcome:
        """Run it once."""

    def close(self) -> None:
        """End what runs."""


def _sides(guards: bool) -> tuple[Side | None, ...]:
    """Return two placements: with pages that fault, or twice with canaries."""
    return ("end", "start") if guards and guards_available() else (None, None)


class _Sandboxed:
    """A target that runs in a sandbox."""

    def __init__(
        self, greeting: Mapping[str, Any], timeout: float, alignment: int, guards: bool, search: str = ""
    ) -> None:
        self.sides = _sides(guards)
        self._alignment = alignment
        self._place = {name: value for name, value in greeting.items() if name != "request"}
        self._sandbox = Sandbox(greeting, timeout, search)

    @property
    def timeout(self) -> float:
        """Seconds that a call may take."""
        return self._sandbox.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._sandbox.timeout = seconds

    def load(self) -> Outcome:
        """Load it in a new process."""
        try:
            answer = self._sandbox.start().header
        except Ended as end:
            return Outcome("load", f"loading it ends the process: {end.cause}{_quoted(end.said)}")
        if answer["status"] == "missing":
            missing = ", ".join(answer["missing"])
            return Outcome("load", f"has no function {missing}; --symbol NAME if it is called otherwise")
        return Outcome() if answer["status"] == "done" else Outcome("load", answer["text"])

    def close(self) -> None:
        """End the process."""
        self._sandbox.close()

    def _ask(self, request: Mapping[str, Any], arrays: Arrays, placement: Placement) -> Frame | Outcome:
        header = {
            **{"request": "call", "side": placement.side, "only": placement.only},
            **{"alignment": self._alignment, **self._place, **request},
        }
        try:
            answer = self._sandbox.ask(header, arrays)
        except Ended as end:
            failure = "hang" if end.hung else "crash"
            return Outcome(failure, end.cause + _quoted(end.said))
        status = answer.header["status"]
        return answer if status == "done" else Outcome(status, answer.header["text"])


class LibraryTarget(_Sandboxed):
    """A function of a shared library."""

    def __init__(
        self,
        path: str | Path,
        spec: KernelSpec,
        abi: Abi,
        *,
        timeout: float = 5.0,
        alignment: int = 1,
        guards: bool = True,
    ) -> None:
        greeting = {"request": "load", "library": str(Path(path).resolve()), "symbols": [abi.symbol]}
        super().__init__(greeting, timeout, alignment, guards)
        self.name = f"{abi.symbol} of {path}"
        self._spec, self._abi = spec, abi
        self.adapted, self.refusal = abi.adapted, abi.refusal

    def run(self, case: Case, placement: Placement) -> Outcome:
        """Call the function once."""
        arrays = native_arrays(self._spec, case, placement.noise)
        plan = self._abi.plan(case, arrays)
        written = written_names(self._spec)
        answer = self._ask({"plan": plan.as_json(), "written": written}, arrays, placement)
        if isinstance(answer, Outcome):
            return answer
        returned = answer.header["returned"]
        if plan.success is not None and returned != plan.success:
            return Outcome("status", f"returned {returned} instead of {plan.success}")
        return Outcome(
            results=dict(answer.arrays),
            before={a.name: arrays[a.name] for a in self._spec.of_role("output")},
            modified=tuple(answer.header["modified"]),
            outside=tuple((name, where) for name, where in answer.header["outside"]),
        )


class PythonTarget(_Sandboxed):
    """A Python callable: takes a case by keyword, as the reference does, and returns what that returns."""

    def __init__(
        self,
        module: str,
        function: str,
        spec: KernelSpec,
        *,
        timeout: float = 5.0,
        alignment: int = 1,
        guards: bool = True,
        search: str = "",
    ) -> None:
        greeting = {"request": "load", "module": module, "function": function}
        super().__init__(greeting, timeout, alignment, guards, search)
        self.name = f"{module}:{function}"
        self._spec = spec

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case."""
        return case

    def refusal(self, case: Case) -> str:
        """Return "": a callable takes all."""
        del case
        return ""

    def run(self, case: Case, placement: Placement) -> Outcome:
        """Call it once."""
        spec, arrays = self._spec, given_arrays(self._spec, case)
        extra = keywords(spec, case)
        told = {name: value for name, value in extra.items() if not hasattr(value, "dtype")}
        arrays |= {name: value for name, value in extra.items() if hasattr(value, "dtype")}
        named = {**parameters_of(spec, case), **told}
        states = [a.name for a in spec.of_role("state")]
        written = [spec.in_place, *states] if spec.in_place else states
        answer = self._ask({"keywords": named, "written": written}, arrays, placement)
        if isinstance(answer, Outcome):
            return answer
        names, parts = written_names(spec), list(answer.arrays.values())
        if len(parts) != len(names):
            return Outcome(
                "shape", f"returned {len(parts)} arrays instead of {len(names)} ({', '.join(names)})"
            )
        return Outcome(
            results=dict(zip(names, parts, strict=True)),
            modified=tuple(answer.header["modified"]),
            outside=tuple((name, where) for name, where in answer.header["outside"]),
        )


def _quoted(said: str) -> str:
    return f"; it said: {last_words(said)}" if said else ""
