"""The result of a run, as data: what the table, the plot and the JSON file are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fxpgrad.benchmarks.candidate import PEAK, Built, Case
from fxpgrad.benchmarks.environment import Environment
from fxpgrad.benchmarks.statistics import geometric_mean
from fxpgrad.benchmarks.timing import Timing, paired_ratio

FORMAT = 1  # of the JSON file; raised when a field changes its meaning


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate in one case.

    Attributes
    ----------
    ratio : float or None
        Median over rounds of its time over the base's: above 1, the base is faster. None without a base.
    ratio_of_minima : float or None
        Its best time over the base's best.
    gmacs : float or None
        10**9 multiply-adds a second, by the median.
    peak_share : float or None
        Median over rounds of its rate over the peak's of the same round.
    nanoseconds_per_unit : float or None
        Median time of one of the candidate's units, if it counts them.
    """

    name: str
    median_seconds: float
    minimum_seconds: float
    samples: tuple[float, ...]
    clock: str
    ratio: float | None
    ratio_of_minima: float | None
    gmacs: float | None
    peak_share: float | None
    nanoseconds_per_unit: float | None
    result: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All candidates of one case, the base first if there is one; derived: further figures by name."""

    label: str
    base: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    derived: dict[str, float] = field(default_factory=dict)
    large: bool = False


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All cases of a suite; averaged: their ratios are of one kind, and have a mean."""

    name: str
    cases: tuple[CaseResult, ...]
    averaged: bool = True

    def geometric_means(self) -> dict[str, tuple[float, int]]:
        """Return (geometric mean of the ratios, number of cases) of every candidate that is no base."""
        return _means(self.cases) if self.averaged else {}


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run; finished: False if it was interrupted, and holds what had been measured by then."""

    environment: Environment
    rounds: int
    seconds: float
    threads: int
    suites: tuple[SuiteResult, ...]
    notes: tuple[str, ...] = ()
    finished: bool = True

    def large_means(self) -> dict[str, tuple[float, int]]:
        """Return (geometric mean, number of cases) over the large products of all suites."""
        return _means([case for suite in self.suites for case in suite.cases if case.large])

    def as_json(self) -> dict[str, Any]:
        """Return plain data: dictionaries, lists, strings and numbers."""
        suites = []
        for suite in self.suites:
            suites.append({**dataclasses.asdict(suite), "geometric_means": _named(suite.geometric_means())})
        large = _named(self.large_means())
        payload = {**dataclasses.asdict(self), "format": FORMAT, "suites": suites, "large_products": large}
        return {"format": payload.pop("format"), **_plain(payload)}


def _means(cases: Sequence[CaseResult]) -> dict[str, tuple[float, int]]:
    ratios: dict[str, list[float]] = {}
    for case in cases:
        for row in case.rows:
            if row.ratio is not None and row.name not in (case.base, PEAK):
                ratios.setdefault(row.name, []).append(row.ratio)
    return {name: (geometric_mean(values), len(values)) for name, values in ratios.items()}


def _named(means: Mapping[str, tuple[float, int]]) -> dict[str, dict[str, float]]:
    return {name: {"ratio": mean, "cases": cases} for name, (mean, cases) in means.items()}


def make_case_result(case: Case, built: Built, timings: Mapping[str, Timing]) -> CaseResult:
    """Put the timings of a case in relation."""
    known = {item.name: item for item in built.candidates}
    rows = []
    for name in sorted(known, key=lambda name: name != case.base):
        item, timing = known[name], timings[name]
        base = timings.get(case.base) if name != PEAK or case.base == PEAK else None
        peak = timings.get(PEAK) if name != PEAK and item.macs else None
        peak_macs = known[PEAK].macs if peak else None
        rows.append(
            Row(
                name,
                timing.median,
                timing.minimum,
                timing.samples,
                timing.clock,
                paired_ratio(timing.samples, base.samples) if base else None,
                timing.minimum / max(base.minimum, 1e-12) if base else None,
                item.macs / max(timing.median, 1e-12) * 1e-9 if item.macs else None,
                item.macs / peak_macs * paired_ratio(peak.samples, timing.samples)
                if peak and item.macs and peak_macs
                else None,
                timing.median / item.units * 1e9 if item.units else None,
                item.result,
            )
        )
    derived = {} if built.derived is None else built.derived(timings)
    return CaseResult(case.label, case.base, tuple(rows), built.notes, derived, case.large)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
