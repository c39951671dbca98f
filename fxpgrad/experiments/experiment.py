"""Running a preset: rates are chosen on validation tasks, then every method is judged on the tasks."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fxpgrad.errors import InputError, MissingExtraError, WorkerError
from fxpgrad.experiments.cell import Cell, key_of, run_cell, settings_of
from fxpgrad.experiments.kinds import check_keys, require_files
from fxpgrad.experiments.method_preset import MethodPreset
from fxpgrad.experiments.preset import Preset, combinations
from fxpgrad.experiments.records import Record, Records
from fxpgrad.experiments.torch_operators import torch_is_there

OnCell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What a preset gave.

    records: of the tasks, in the preset's order; searched: of the validation tasks; rates: the chosen rate of
    each method that has one; tasks_left: how many tasks of the preset are not in it.
    """

    preset: Preset
    records: tuple[Record, ...]
    searched: tuple[Record, ...]
    rates: dict[str, float]
    tasks_left: int = 0


def run_experiment(
    preset: Preset,
    folder: Path,
    records: Records,
    *,
    processes: int = 1,
    on_cell: OnCell | None = None,
    so_far: bool = False,
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
    so_far
        Run nothing: return the result of those tasks of which the records hold every cell.

    Raises
    ------
    InputError, StoreError, MissingExtraError
        The preset, a file or a package of something that is yet to be run; so_far, and no task is whole.
    WorkerError
        A process has died.
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
    if any(key_of(settings_of(preset, cell)) not in records for cell in search):
        if so_far:
            raise InputError(f"preset {preset.name}: the search for learning rates has not ended yet")
        _require(preset, preset.methods, tasks, folder)  # better now than after the search
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
    by_task = [
        [
            Cell("test", method, task, seed, rates.get(method.name))
            for seed in seeds
            for method in preset.methods
            if method.times or seed == seeds[0]
        ]
        for task in tasks
    ]
    if so_far:
        by_task = [
            cells for cells in by_task if all(key_of(settings_of(preset, c)) in records for c in cells)
        ]
        if not by_task:
            raise InputError(f"preset {preset.name}: no task has been run by every method yet")
    cells = [cell for of_task in by_task for cell in of_task]
    judged = _run_all(preset, cells, folder, records, processes, count)
    return ExperimentResult(preset, tuple(judged), tuple(found), rates, len(tasks) - len(by_task))


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
    _require(preset, [cell.method for cell in missing], [cell.task for cell in missing], folder)
    for cell, key in zip(cells, keys, strict=True):
        if key in records:
            count.add(cell.method.name)
    for record in _results(preset, missing, str(folder), processes):
        records.add(record)
        count.add(record["method"])
    # the axes in this preset's order: a record may come from another preset of the same settings
    return [records[key] | {"task": cell.task} for key, cell in zip(keys, cells, strict=True)]


def _require(
    preset: Preset, methods: Iterable[MethodPreset], tasks: Iterable[Mapping[str, Any]], folder: Path
) -> None:
    """Raise if a file or a package that these methods and tasks need is not there."""
    for task in tasks:
        require_files(preset, task, folder)
    for method in methods:
        if method.baseline and method.times and not torch_is_there():
            raise MissingExtraError(
                f'method {method.name!r} is a baseline, which needs PyTorch: pip install "fxpgrad[torch]"'
            )


def _results(preset: Preset, cells: Iterable[Cell], folder: str, processes: int) -> Iterator[Record]:
    """Yield the records of cells as they come; if one fails, those that are running are still awaited."""
    if processes == 1:
        yield from (run_cell(preset, cell, folder) for cell in cells)
        return
    context = multiprocessing.get_context("spawn")  # threads of this process would not survive a fork
    others = set(multiprocessing.active_children())
    failed: BaseException | None = None
    awaited = False
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        try:
            with _interrupts_ignored():  # which workers inherit: Ctrl-C is for this process to answer
                futures: list[Future[Record]] = [
                    pool.submit(run_cell, preset, cell, folder) for cell in cells
                ]
            for future in as_completed(futures):
                if future.cancelled():
                    continue
                error = future.exception()
                if error is None:
                    yield future.result()
                elif failed is None:
                    failed = error
                    pool.shutdown(wait=False, cancel_futures=True)
            awaited = True
        finally:
            if not awaited:  # an interruption, or a disk that is full: nobody waits for the rest
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
    if isinstance(failed, BrokenProcessPool):
        raise WorkerError(
            "a process of the experiment has died, killed or out of memory; every result so far is kept: run "
            "the command again to go on, with fewer --processes if memory was short"
        ) from failed
    if failed is not None:
        raise failed


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only that one may change it
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _best_rate(method: MethodPreset, found: list[Record]) -> float:
    """Return the rate of the best mean accuracy; of equal ones the smaller."""
    means = {
        rate: float(np.mean([record["accuracy"] for record in found if record["rate"] == rate]))
        for rate in method.rates
    }
    return max(sorted(means), key=lambda rate: means[rate])
