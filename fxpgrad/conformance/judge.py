"""Runs a target on drawn cases until something is wrong, and makes what is wrong small."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from fxpgrad.codegen.signature import array_arguments
from fxpgrad.conformance.bounds import with_bounds
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.diagnosis import Sample
from fxpgrad.conformance.examine import Finding, examine
from fxpgrad.conformance.legality import expected_if_legal
from fxpgrad.conformance.minimize import Minimizer
from fxpgrad.conformance.target import Placement, Target
from fxpgrad.errors import InputError
from fxpgrad_kernels.spec import KernelSpec

_CHUNK = 200  # cases between two looks at the clock and the count


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes
    ----------
    cases : int
        Cases, if nothing is wrong.
    seconds : float or None
        When to stop drawing, whatever the number of cases.
    seed : int
        The same seed draws the same cases.
    shrink_seconds : float
        What making a failing case small may take, twice: once by Hypothesis, once by `minimize`.
    """

    cases: int = 1000
    seconds: float | None = None
    seed: int = 0
    shrink_seconds: float = 10.0


@dataclass(slots=True)
class Record:
    """What a run has seen.

    Attributes
    ----------
    cases : int
        Different cases that the target was run on, without those that only made a failing case small.
    refused : Counter
        Cases drawn that the target cannot take, by reason.
    """

    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


class _Wrong(Exception):  # noqa: N818
    """Tells Hypothesis of a finding; one class for each kind, so that each is shrunk on its own."""


class Judge:
    """Tries one target."""

    def __init__(
        self, target: Target, spec: KernelSpec, strategy: SearchStrategy[dict[str, Any]], effort: Effort
    ) -> None:
        self._target, self._spec, self._effort = target, spec, effort
        self._strategy = strategy.map(target.adapted)
        self._seen: dict[bytes, Finding | None] = {}
        self._shrink_until = float("inf")
        self.record = Record()

    def run(self, progress: Callable[[int], None] = lambda cases: None) -> Record:
        """Return what was found, each kind of finding with a smallest case.

        Raises
        ------
        InputError
            The target can take no case that was drawn.
        """
        loaded = self._target.load()
        if loaded.failure:
            self.record.findings.append(Finding("load", loaded.text))
            return self.record
        until = time.monotonic() + (self._effort.seconds or float("inf"))
        found: dict[str, Finding] = {}
        chunk = 0
        while not found and self.record.cases < self._effort.cases and time.monotonic() < until:
            found = self._chunk(chunk, until)
            progress(self.record.cases)
            chunk += 1
        self.record.findings += [self._reduced(finding) for finding in found.values()]
        return self.record

    def _chunk(self, number: int, until: float) -> dict[str, Finding]:
        """Draw some cases; return the smallest finding of each kind."""
        found: dict[str, Finding] = {}
        before = self.record.cases
        self._shrink_until = float("inf")

        def look(case: dict[str, Any]) -> None:
            finding = self._look(case, until, bool(found))
            if finding is None:
                return
            if not found:
                self._shrink_until = time.monotonic() + self._effort.shrink_seconds
            if finding.kind not in found or size_of(finding.case) <= size_of(found[finding.kind].case):
                found[finding.kind] = finding
            raise _wrong(finding.kind)(finding.text)

        _drawn(look, self._strategy, min(_CHUNK, self._effort.cases - before), self._effort.seed + number)
        if not found and self.record.cases == before and time.monotonic() < until:
            self._nothing_fits()
        return found

    def _nothing_fits(self) -> None:
        if self.record.cases == 0:
            reasons = ", ".join(self.record.refused) or "none was drawn"
            raise InputError(
                f"{self._target.name} can take no case of {self._spec.name} ({reasons}): name another profile"
            )
        self.record.cases = self._effort.cases

    def _look(self, case: dict[str, Any], until: float, shrinking: bool) -> Finding | None:
        reason = self._target.refusal(case)
        if reason:
            if not shrinking:
                self.record.refused[reason] += 1
            reject()
        key = digest(case)
        if key in self._seen:
            return self._seen[key]
        if time.monotonic() > (self._shrink_until if shrinking else until):
            return None
        if not shrinking:
            self.record.cases += 1
        self._seen[key] = examine(self._target, case, expected_of(self._spec, case))
        return self._seen[key]

    def _reduced(self, finding: Finding) -> Finding:
        def check(case: Case) -> Finding | None:
            if self._target.refusal(case):
                return None
            expected = expected_if_legal(self._spec, case)
            return None if expected is None else examine(self._target, case, expected)

        smallest = Minimizer(self._spec, finding, check, self._effort.shrink_seconds).run()
        names = (*(a.name for a in array_arguments(self._spec)), "scratch")
        return with_bounds(self._target, smallest, names)

    def samples(self, count: int, seconds: float) -> list[Sample]:
        """Return drawn cases in which the target came back, right or wrong."""
        until = time.monotonic() + seconds
        found: list[Sample] = []
        seen: set[bytes] = set()

        def look(case: dict[str, Any]) -> None:
            if time.monotonic() > until or self._target.refusal(case):
                return
            key = digest(case)
            if key in seen:
                return
            seen.add(key)
            sample = sampled(self._target, self._spec, case)
            if sample is not None:
                found.append(sample)

        _drawn(look, self._strategy, count, self._effort.seed + 1_000_003)
        return found


def sampled(target: Target, spec: KernelSpec, case: Case) -> Sample | None:
    """Run a target once, on ordinary memory; None where it does not come back."""
    outcome = target.run(case, Placement())
    if outcome.failure:
        return None
    return Sample(case, expected_of(spec, case), outcome.results)


def _drawn(
    look: Callable[[dict[str, Any]], None],
    strategy: SearchStrategy[dict[str, Any]],
    cases: int,
    start: int,
) -> None:
    """Let Hypothesis call `look`; what it raises is known to the caller already."""
    chosen = settings(
        max_examples=max(cases, 1),
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        with contextlib.suppress(_Wrong, Flaky, Unsatisfiable):
            seed(start)(chosen(given(strategy)(look)))()
    except ExceptionGroup as group:
        _, others = group.split(_Wrong)
        if others is not None:
            raise others from None


@functools.cache
def _wrong(kind: str) -> type[_Wrong]:
    """Return the same class for the same kind: by it Hypothesis tells two faults apart."""
    return type(f"Wrong_{kind}", (_Wrong,), {})


def size_of(case: Case) -> tuple[int, int]:
    """Return how large a case is: its elements, then those that are not 0."""
    arrays = [value for value in case.values() if isinstance(value, np.ndarray)]
    return sum(a.size for a in arrays), sum(int(np.count_nonzero(a)) for a in arrays)


def digest(case: Case) -> bytes:
    """Return the same bytes for the same case."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(case):
        value = case[name]
        state.update(name.encode())
        if isinstance(value, np.ndarray):
            state.update(repr((value.dtype.str, value.shape)).encode() + value.tobytes())
        else:
            state.update(repr(value).encode())
    return state.digest()
