"""Running a preset: rates are chosen on validation tasks, then every method is judged on the tasks."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fxpgrad.errors import InputError
from fxpgrad.experiments.cases import check_keys
from fxpgrad.experiments.cell import Cell, Record, key_of, run_cell, settings_of
from fxpgrad.experiments.preset import MethodPreset, Preset, combinations
from fxpgrad.experiments.records import Records

OnCell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What a preset gave.

    records: of the tasks, in the preset's order; searched: of the validation tasks; rates: the chosen rate of
    each method that has one.
    """

    preset: Preset
    records: tuple[Record, ...]
    searched: tuple[Record, ...]
    rates: dict[str, float]


def run_experiment(
    preset: Preset, folder: Path, records: Records, *, processes: int = 1, on_cell: OnCell | None = None
) -> ExperimentResult:
    """Run what is not in the records yet, and return the whole result.

    Parameters
    ----------
    preset
        What to run.
    folder
        Where data files lie.
    records
        Written after every cell: an interrupted run goes on where it was.
    processes
        Cells that run at the same time, in processes of their own; changes the time only.
    on_cell
        Called with cells done, cells in all and a name.
    """
    check_keys(preset)
    searching = [method for method in preset.methods if method.times and len(method.rates) > 1]
    search = [
        Cell("search", method, task, preset.seeds[0], rate)
        for method in searching
        for task in combinations(preset.validation)
        for rate in method.rates
    ]
    tasks, seeds = combinations(preset.tasks), preset.seeds
    if not tasks:
        raise InputError(f"preset {preset.name} has no tasks")
    total = len(search) + sum(len(tasks) * (len(seeds) if m.times else 1) for m in preset.methods)
    count = _Counter(total, on_cell)
    found = _run_all(preset, search, folder, records, processes, count)
    rates = {
        method.name: _best_rate(method, [r for r in found if r["method"] == method.name])
        for method in searching
    }
    rates |= {
        method.name: method.rates[0] for method in preset.methods if method.times and len(method.rates) == 1
    }
    cells = [
        Cell("test", method, task, seed, rates.get(method.name))
        for task in tasks
        for seed in seeds
        for method in preset.methods
        if method.times or seed == seeds[0]
    ]
    judged = _run_all(preset, cells, folder, records, processes, count)
    return ExperimentResult(preset, tuple(judged), tuple(found), rates)


class _Counter:
    def __init__(self, total: int, on_cell: OnCell | None) -> None:
        self._done, self._total, self._on_cell = 0, total, on_cell

    def add(self, name: str) -> None:
        self._done += 1
        if self._on_cell is not None:
            self._on_cell(self._done, self._total, name)


def _run_all(
    preset: Preset, cells: Sequence[Cell], folder: Path, records: Records, processes: int, count: _Counter
) -> list[Record]:
    keys = [key_of(settings_of(preset, cell)) for cell in cells]
    missing = [cell for cell, key in zip(cells, keys, strict=True) if key not in records]
    for cell, key in zip(cells, keys, strict=True):
        if key in records:
            count.add(cell.method.name)
    for record in _results(preset, missing, str(folder), processes):
        records.add(record)
        count.add(record["method"])
    return [records[key] for key in keys]


def _results(preset: Preset, cells: Iterable[Cell], folder: str, processes: int) -> Iterator[Record]:
    """Yield the records of cells as they come."""
    if processes == 1:
        yield from (run_cell(preset, cell, folder) for cell in cells)
        return
    context = multiprocessing.get_context("spawn")  # threads of this process would not survive a fork
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        futures: list[Future[Record]] = [pool.submit(run_cell, preset, cell, folder) for cell in cells]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _one_thread() -> None:
    """Keep PyTorch to one thread a process, so that its results do not depend on how many there are."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return
    torch.set_num_threads(1)


def _best_rate(method: MethodPreset, found: list[Record]) -> float:
    """Return the rate of the best mean accuracy; of equal ones the smaller."""
    means = {
        rate: float(np.mean([record["accuracy"] for record in found if record["rate"] == rate]))
        for rate in method.rates
    }
    return max(sorted(means), key=lambda rate: means[rate])
