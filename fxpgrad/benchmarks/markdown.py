"""A run as Markdown: one table a suite, a line a case, a column a candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fxpgrad.benchmarks.candidate import PEAK
from fxpgrad.benchmarks.report import CaseResult, Report, Row, SuiteResult

INEXACT = "†"
LARGE_TITLE = "large products (K ≥ 128, M ≥ 48): geometric means"


def report_as_markdown(report: Report) -> str:
    """Return the report's tables; † marks numbers that are inexact on this processor."""
    return "\n\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    machine = report.environment
    load = "/".join(f"{value:g}" for value in machine.load_average) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield (
        f"{machine.date}, {machine.cpu}, {machine.cores} cores, load {load}, Python {machine.python}; "
        f"{versions}; instructions {', '.join(machine.instructions) or 'unknown'}. "
        f"{report.rounds} rounds, {report.threads} thread(s)."
    )
    for suite in report.suites:
        measured = [case for case in suite.cases if case.rows]
        if measured:
            yield f"### {suite.name}"
        for group in [measured] if suite.averaged and measured else _alike(measured):
            yield _table(suite, group)
        verdicts = _verdicts(measured)
        if verdicts:
            yield "\n".join(verdicts)
        remarks = [f"- {case.label}: {note}" for case in suite.cases for note in _remarks(case)]
        if remarks:
            yield "\n".join(remarks)
    means = report.large_means()
    if means:
        lines = [["against", "ratio", "cases"], ["---", "---:", "---:"]]
        lines += [[name, f"{mean:.2f}", str(cases)] for name, (mean, cases) in means.items()]
        yield f"### {LARGE_TITLE}"
        yield _rows_text(lines)
    if report.notes:
        yield "\n".join(f"- {note}" for note in report.notes)


def _alike(cases: Sequence[CaseResult]) -> list[list[CaseResult]]:
    """Return the cases in order, those with the same candidates together: a table each."""
    groups: dict[tuple[str, ...], list[CaseResult]] = {}
    for case in cases:
        groups.setdefault(tuple(row.name for row in case.rows), []).append(case)
    return list(groups.values())


def _table(suite: SuiteResult, cases: Sequence[CaseResult]) -> str:
    base_rows = [case.rows[0] for case in cases]
    counted = any(row.gmacs is not None for row in base_rows)
    shared = any(row.peak_share is not None for row in base_rows)
    others = list(
        dict.fromkeys(
            row.name for case in cases for row in case.rows if row.name not in (case.rows[0].name, PEAK)
        )
    )
    head = ["case", "base", "time"]
    head += ["GMAC/s"] * counted + ["of peak"] * shared + others
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2)]
    for case in cases:
        base, rows = case.rows[0], {row.name: row for row in case.rows}
        cells = [case.label, base.name, time_text(base.median_seconds)]
        cells += ["" if base.gmacs is None else f"{base.gmacs:.1f}"] * counted
        cells += ["" if base.peak_share is None else f"{base.peak_share:.0%}"] * shared
        lines.append([*cells, *(_cell(rows.get(name)) for name in others)])
    means = suite.geometric_means()
    if len(cases) > 1 and means:
        cells = ["geometric mean", "", ""] + [""] * (counted + shared)
        inexact = {row.name for case in cases for row in case.rows if row.result.startswith("inexact")}
        marks = {name: INEXACT if name in inexact else "" for name in others}
        lines.append(
            [*cells, *(f"{means[name][0]:.2f}{marks[name]}" if name in means else "" for name in others)]
        )
    return _rows_text(lines)


def _rows_text(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row: Row | None) -> str:
    if row is None or row.ratio is None:
        return ""
    mark = INEXACT if row.result.startswith("inexact") else ""
    weights = "" if row.nanoseconds_per_unit is None else f" ({row.nanoseconds_per_unit:.2f} ns)"
    return f"{row.ratio:.2f}{mark}{weights}"


def _verdicts(cases: Sequence[CaseResult]) -> list[str]:
    """Return a line for each candidate: what was found of its numbers, in how many cases, and an example."""
    found: dict[str, dict[str, list[str]]] = {}
    ran = Counter(row.name for case in cases for row in case.rows)
    for case in cases:
        for row in case.rows:
            verdict, _, detail = row.result.partition(": ")
            if verdict and not verdict.startswith("float") and row.name != PEAK:
                details = found.setdefault(row.name, {}).setdefault(verdict, [])
                details.append(f" (in {case.label} {detail})" if detail else "")
    lines = []
    for name, verdicts in found.items():
        parts = [
            f"{verdict} in {len(details)} of {ran[name]} cases{details[0]}"
            for verdict, details in verdicts.items()
        ]
        lines.append(f"- {name}: {'; '.join(parts)}")
    return lines


def time_text(seconds: float) -> str:
    """Return a duration in a unit that suits it: 0.00123 as "1.23 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _remarks(case: CaseResult) -> list[str]:
    return [*case.notes, *(f"{name}: {value:.3g}" for name, value in case.derived.items())]
