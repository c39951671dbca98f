"""Runs a target on drawn cases until something is wrong, makes what is wrong small, and says why."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import reject

from fxpgrad.codegen.signature import array_arguments
from fxpgrad.conformance.bounds import with_bounds
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.diagnosis import Diagnosis, Sample, diagnose
from fxpgrad.conformance.examine import Finding, examine
from fxpgrad.conformance.legality import expected_if_legal
from fxpgrad.conformance.minimize import Minimizer
from fxpgrad.conformance.search import Enough, by_generator, by_hypothesis, digest, size_of, wrong
from fxpgrad.conformance.target import Placement, Target
from fxpgrad.errors import InputError
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec

_BY_HYPOTHESIS = 60  # cases; the others come from a generator, which is thirty times as fast
_IN_VAIN = 300  # cases of which the target must be able to take one
_SAMPLES = 400  # cases that are drawn for a diagnosis
_SAMPLE_SEED = 1_000_003
_FAILING, _PASSING = 30, 60  # samples of a diagnosis
_SHORTEST_SAMPLING = 3.0  # seconds
_SHORTEST = 0.25  # seconds that a call may take while a case that hangs is made small


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
    findings : list of Finding
        One of each kind, with a smallest case.
    diagnosis : Diagnosis or None
        Of wrong results.
    seconds : float
    """

    cases: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    diagnosis: Diagnosis | None = None
    seconds: float = 0.0


class Judge:
    """Tries one target."""

    def __init__(
        self, target: Target, spec: KernelSpec, profile: Profile | None = None, effort: Effort | None = None
    ) -> None:
        self._target, self._spec, self._profile = target, spec, profile
        self._effort = effort or Effort()
        self._timeout = target.timeout
        self._until = self._shrink_until = float("inf")
        self._seen: dict[bytes, Finding | None] = {}
        self._found: dict[str, Finding] = {}
        self._slowest = 0.0
        self.record = Record()

    def run(self, progress: Callable[[int], None] = lambda cases: None) -> Record:
        """Return what was found.

        Raises
        ------
        InputError
            The target can take no case that was drawn.
        """
        start = time.monotonic()
        loaded = self._target.load()
        if loaded.failure:
            self.record.findings.append(Finding("load", loaded.text))
        else:
            self._until = start + (self._effort.seconds or float("inf"))
            self._search(progress)
            self.record.findings += [self._reduced(finding) for finding in self._found.values()]
            if any(finding.kind == "values" for finding in self.record.findings):
                self.record.diagnosis = self._diagnosis()
        self.record.seconds = time.monotonic() - start
        return self.record

    def _search(self, progress: Callable[[int], None]) -> None:
        """Run cases until one fails, or enough have passed."""
        self._require_a_case()
        first = min(_BY_HYPOTHESIS, self._effort.cases)
        by_hypothesis(self._spec.name, self._profile, self._effort.seed, first, self._look)
        progress(self.record.cases)
        for case in by_generator(self._spec.name, self._profile, self._effort.seed):
            if self._found or self.record.cases >= self._effort.cases or time.monotonic() > self._until:
                return
            adapted = self._target.adapted(case)
            reason = self._target.refusal(adapted)
            if reason:
                self.record.refused[reason] += 1
                continue
            finding = self._examined(adapted)
            if finding is not None:
                self._found[finding.kind] = finding
            progress(self.record.cases)

    def _require_a_case(self) -> None:
        """Raise `InputError` if the target can take none of the first cases."""
        reasons = set[str]()
        for case in itertools.islice(
            by_generator(self._spec.name, self._profile, self._effort.seed), _IN_VAIN
        ):
            reason = self._target.refusal(self._target.adapted(case))
            if not reason:
                return
            reasons.add(reason)
        raise InputError(
            f"{self._target.name} can take no case of {self._spec.name} ({', '.join(sorted(reasons))}): "
            "name another profile"
        )

    def _look(self, case: dict[str, Any]) -> None:
        """Examine a case that Hypothesis draws."""
        shrinking = bool(self._found)
        if time.monotonic() > (self._shrink_until if shrinking else self._until):
            raise Enough
        case = self._target.adapted(case)
        reason = self._target.refusal(case)
        if reason:
            self.record.refused[reason] += not shrinking
            reject()
        finding = self._examined(case)
        if finding is None:
            return
        if not shrinking:
            self._shrink_until = time.monotonic() + self._effort.shrink_seconds
            self._be_impatient(finding)
        best = self._found.get(finding.kind)
        if best is None or size_of(finding.case) <= size_of(best.case):
            self._found[finding.kind] = finding
        raise wrong(finding.kind)(finding.text)

    def _examined(self, case: Case) -> Finding | None:
        """Return what is wrong in a case; a case is run once only."""
        key = digest(case)
        if key not in self._seen:
            start, expected = time.monotonic(), expected_of(self._spec, case)
            finding = examine(self._target, case, expected)
            if finding is None:
                self._slowest = max(self._slowest, time.monotonic() - start)
            elif finding.kind == "hang" and not self._found:  # or was the machine busy?
                finding = examine(self._target, case, expected)
            self._seen[key] = finding
            self.record.cases += not self._found
        return self._seen[key]

    def _be_impatient(self, finding: Finding) -> None:
        """Wait for a target that hangs no longer than a multiple of what it took when it did not."""
        if finding.kind == "hang":
            self._target.timeout = min(self._timeout, max(_SHORTEST, 5 * self._slowest))

    def _reduced(self, finding: Finding) -> Finding:
        """Return the finding with a smaller case."""

        def check(case: Case) -> Finding | None:
            if self._target.refusal(case):
                return None
            expected = expected_if_legal(self._spec, case)
            return None if expected is None else examine(self._target, case, expected)

        self._be_impatient(finding)
        smallest = Minimizer(self._spec, finding, check, self._effort.shrink_seconds).run()
        self._target.timeout = self._timeout
        if finding.kind == "hang":
            smallest = check(smallest.case) or finding
        names = (*(a.name for a in array_arguments(self._spec)), "scratch")
        return with_bounds(self._target, smallest, names)

    def _diagnosis(self) -> Diagnosis:
        """Return the causes that explain what the target wrote: in new cases and in those that were wrong."""
        seen = [finding for finding in self._seen.values() if finding is not None]
        wrong_ones = [f for f in (*self.record.findings, *seen) if f.kind == "values"]
        smallest = sorted(wrong_ones, key=lambda finding: size_of(finding.case))[: _FAILING // 2]
        known = [Sample(f.case, expected_of(self._spec, f.case), f.results) for f in smallest]
        return diagnose(
            self._spec, [*known, *self._samples(max(self._effort.shrink_seconds, _SHORTEST_SAMPLING))]
        )

    def _samples(self, seconds: float) -> list[Sample]:
        """Return new cases in which the target came back, right or wrong."""
        until = time.monotonic() + seconds
        failing: list[Sample] = []
        passing: list[Sample] = []
        start = self._effort.seed + _SAMPLE_SEED
        for drawn in itertools.islice(by_generator(self._spec.name, self._profile, start), _SAMPLES):
            if time.monotonic() > until or (len(failing) >= _FAILING and len(passing) >= _PASSING):
                break
            case = self._target.adapted(drawn)
            if self._target.refusal(case):
                continue
            outcome = self._target.run(case, Placement())
            if outcome.failure:
                continue
            sample = Sample(case, expected_of(self._spec, case), outcome.results)
            (failing if sample.fails else passing).append(sample)
        return failing[:_FAILING] + passing[:_PASSING]
