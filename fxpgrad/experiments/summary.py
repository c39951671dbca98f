"""Tables of an experiment: means with 95 % intervals over tasks and seeds, and differences of pairs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxpgrad.experiments.experiment import ExperimentResult
from fxpgrad.experiments.records import Record
from fxpgrad.tasks.statistics import mean_and_ci95

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the compared method's CPU time
_LEAST_GAIN = 0.02  # of which a share says anything
_FEWEST = 3  # values of which an interval says anything
_NUMBERED = ("task",)  # axes that number equal tasks: they are averaged over, not shown


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one group of tasks.

    Attributes
    ----------
    method, title : str
    rate : float or None
    accuracy, ci95 : float
        Mean over tasks and seeds, and half the width of its 95 % interval (infinite for fewer than three).
    difference, difference_ci95 : float or None
        The same of the differences to the method compared with, pair by pair.
    forwards, seconds : float
        Means, a task; seconds by the clock on the wall, judging included.
    cpu_seconds : float or None
        Mean CPU time of adapting alone; None if a result does not say.
    scratch_bytes : int or None
    cells, stopped : int
        How many results are behind the means, and how many runs were given up.
    """

    method: str
    title: str
    rate: float | None
    accuracy: float
    ci95: float
    difference: float | None
    difference_ci95: float | None
    forwards: float
    seconds: float
    cpu_seconds: float | None
    scratch_bytes: int | None
    cells: int
    stopped: int


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of all methods on the tasks of one name."""

    name: str
    rows: tuple[Row, ...]


def summarize(result: ExperimentResult) -> tuple[Group, ...]:
    """Return a group for each combination of the tasks' axes, and one of all where there are several."""
    return tuple(Group(name, _rows(result, records)) for name, records in _grouped(result))


def _grouped(result: ExperimentResult) -> list[tuple[str, Sequence[Record]]]:
    names: dict[str, list[Record]] = {}
    for record in result.records:
        names.setdefault(group_name(record["task"]), []).append(record)
    groups: list[tuple[str, Sequence[Record]]] = list(names.items())
    return [*groups, ("all", result.records)] if len(groups) > 1 else groups


@dataclass(frozen=True, slots=True)
class TimedRow:
    """A method's mean accuracy after shares of the CPU time that the method compared with takes.

    accuracies: None where an aligned method's start takes longer on some task.
    """

    title: str
    accuracies: tuple[float | None, ...]


def at_equal_seconds(result: ExperimentResult) -> tuple[TimedRow, ...]:
    """Return each method's accuracy at `SHARES` of the CPU seconds that the compared method takes in all.

    A result counts with the last accuracy that it had been measured at by then; one that has ended, with its
    end. Time is compared task by task. Methods without such measurements are left out; the result is empty
    if the compared method has none.
    """
    ends = {
        _pair(r): r["cpu_seconds"]
        for r in result.records
        if r["method"] == result.preset.compare and r["curve"] and "cpu_seconds" in r
    }
    rows = []
    for method in result.preset.methods:
        own = [r for r in result.records if r["method"] == method.name]
        timed = [r for r in own if _pair(r) in ends and "cpu_seconds" in r and (r["curve"] or not r["steps"])]
        if len(timed) == len(own):
            shares = (_mean([_accuracy_by(r, share * ends[_pair(r)]) for r in timed]) for share in SHARES)
            rows.append(TimedRow(method.title or method.name, tuple(shares)))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class GainRow:
    """A method's share of the gain of the method compared with: one a group, None for too small a gain.

    mean: over the groups that have one.
    """

    title: str
    shares: tuple[float | None, ...]
    mean: float | None


def gain_shares(result: ExperimentResult, groups: Sequence[Group]) -> tuple[GainRow, ...]:
    """Return how much of the compared method's gain over the network as it is each method recovers.

    That is the first method that trains nothing and aligns nothing. Empty if there is none, or it is what is
    compared with, or no group's gain is large enough. The group of all tasks is left out.
    """
    still = [m.name for m in result.preset.methods if not m.times and not m.align]
    compare = result.preset.compare
    if not still or compare in ("", *still):
        return ()
    parts = [
        {row.method: row.accuracy for row in group.rows} for group in groups[: -1 if groups[1:] else None]
    ]
    rows = []
    for method in result.preset.methods:
        if method.name in (still[0], compare):
            continue
        shares = tuple(_share(part[method.name], part[still[0]], part[compare]) for part in parts)
        known = [share for share in shares if share is not None]
        rows.append(GainRow(method.title or method.name, shares, sum(known) / len(known) if known else None))
    return tuple(rows) if any(row.mean is not None for row in rows) else ()


@dataclass(frozen=True, slots=True)
class PairRow:
    """How far one method is ahead of another, on the tasks and seeds that both have: one a group.

    differences, ci95: means, and half the widths of their 95 % intervals (infinite for fewer than three); the
    last group is that of all tasks where there are several.
    """

    first: str
    second: str
    differences: tuple[float, ...]
    ci95: tuple[float, ...]


def paired_differences(result: ExperimentResult) -> tuple[PairRow, ...]:
    """Return a row for each of the preset's `pairs`."""
    titles = {method.name: method.title or method.name for method in result.preset.methods}
    rows, groups = [], _grouped(result)
    for first, second in result.preset.pairs:
        found = [_mean_and_interval(_differences(records, first, second)) for _, records in groups]
        rows.append(
            PairRow(titles[first], titles[second], tuple(m for m, _ in found), tuple(h for _, h in found))
        )
    return tuple(rows)


def _differences(records: Sequence[Record], method: str, base: str) -> list[float]:
    """Return a method's accuracies less those of another, pair by pair.

    A result of one seed (nothing was trained) stands for all seeds of the other method.
    """
    own, others = (_by_task_and_seed(records, name) for name in (method, base))
    return [
        _of_seed(mine, seed) - _of_seed(others[task], seed)
        for task, mine in own.items()
        for seed in sorted({*mine, *others[task]})
    ]


def _by_task_and_seed(records: Sequence[Record], method: str) -> dict[str, dict[int, float]]:
    accuracies: dict[str, dict[int, float]] = {}
    for record in records:
        if record["method"] == method:
            task = json.dumps(record["task"], sort_keys=True)
            accuracies.setdefault(task, {})[record["seed"]] = record["accuracy"]
    return accuracies


def _of_seed(accuracies: dict[int, float], seed: int) -> float:
    return accuracies.get(seed, next(iter(accuracies.values())))


def _share(accuracy: float, start: float, end: float) -> float | None:
    return (accuracy - start) / (end - start) if end - start >= _LEAST_GAIN else None


def _accuracy_by(record: Record, seconds: float) -> float | None:
    """Return the last accuracy measured within so many CPU seconds."""
    points = [*record["curve"], [record["forwards_done"], record["cpu_seconds"], record["accuracy"]]]
    found: list[float] = [accuracy for _, spent, accuracy in points if spent <= seconds]
    return found[-1] if found else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _cpu_seconds(records: Sequence[Record]) -> float | None:
    return _mean([record.get("cpu_seconds") for record in records])


def group_name(task: dict[str, Any]) -> str:
    """Return what a task is called in tables."""
    parts = [f"{value}" for key, value in task.items() if key not in _NUMBERED and key != "split"]
    return " ".join(parts)


def interval_text(mean: float | None, half: float | None) -> str:
    """Return shares as per cent: "61.2 ± 1.3"; no interval if it is infinite, nothing if there is no mean."""
    if mean is None or half is None:
        return ""
    return f"{100 * mean:z.1f}" + (f" ± {100 * half:.1f}" if math.isfinite(half) else "")


def share_text(share: float | None) -> str:
    """Return a share as whole per cent, nothing if there is none."""
    return "" if share is None else f"{100 * share:.0f}"


def _rows(result: ExperimentResult, records: Sequence[Record]) -> tuple[Row, ...]:
    compare, rows = result.preset.compare, []
    for method in result.preset.methods:
        own = [record for record in records if record["method"] == method.name]
        mean, half = _mean_and_interval([record["accuracy"] for record in own])
        difference = half_difference = None
        if compare not in ("", method.name):
            difference, half_difference = _mean_and_interval(_differences(records, method.name, compare))
        scratch = [record["scratch_bytes"] for record in own if "scratch_bytes" in record]
        rows.append(
            Row(
                method.name, method.title or method.name, result.rates.get(method.name), mean, half,
                difference, half_difference, float(np.mean([r["forwards_done"] for r in own])),
                float(np.mean([r["seconds"] for r in own])), _cpu_seconds(own),
                max(scratch, default=None), len(own), sum(bool(record.get("stopped")) for record in own),
            )
        )  # fmt: skip
    return tuple(rows)


def _mean_and_interval(values: Sequence[float]) -> tuple[float, float]:
    mean, half = mean_and_ci95(values)
    return mean, half if len(values) >= _FEWEST else math.inf


def _pair(record: Record) -> tuple[str, int]:
    return json.dumps(record["task"], sort_keys=True), record["seed"]
