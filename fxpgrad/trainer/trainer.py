"""The trainer: sign-m-SPSA, driving a Program twice per direction with seeds only.

No perturbed copy of the model exists and no z is stored: each trained layer's perturbed weights are
written into one scratch of the largest layer's size just before the layer runs, and the update
draws the same z again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import Executor, check_input, positive, run_program
from fxpgrad.program.head import split_before
from fxpgrad.program.program import Program
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.probe import Probe
from fxpgrad.trainer.report import StepReport, TrainingReport
from fxpgrad.trainer.trainable import Trainable, make_trainables
from fxpgrad.trainer.update import Update
from fxpgrad.trainer.watch import Watch
from fxpgrad.trainer.widths import AccumulatorWidths
from fxpgrad.trainer.worker import Pass, Worker

_T = TypeVar("_T")
OnStep = Callable[[StepReport], None]


class Trainer:
    """Adapts a Program to data by fixed-point forward gradients (paper, sections 2 and 3).

    Parameters
    ----------
    program : Program
        Ends in what the objective reads: int32 accumulators, or int8 features.
    config : TrainerConfig
    objective : Objective
    batch : int
        Samples per step. The frozen calls before the first trained one are run once for all data.
    threads : int >= 1
        Threads that share a step's passes and its update. They change the time only.
    paired : bool
        Run both passes of a direction layer by layer, so that z is drawn once for both: faster where
        weights are many and rows few. False needs one arena and one perturbed layer instead of two
        (per thread). The results are the same.
    """

    def __init__(
        self,
        program: Program,
        config: TrainerConfig,
        objective: Objective,
        batch: int,
        *,
        threads: int = 1,
        paired: bool = False,
    ) -> None:
        self.program = program
        self.config = config
        if program.variables:
            raise TrainingError(
                f"program {program.name} keeps state from row to row ({', '.join(program.variables)}); "
                "training a stateful network is not supported"
            )
        threads = positive("threads", threads)
        if not isinstance(paired, bool):
            raise InputError(f"paired must be True or False; got {paired!r}")
        self.trainables = make_trainables(program, config)
        first = min(index for index, call in enumerate(program.calls) if call.name == self.trainables[0].call)
        self._frozen, active = split_before(program, first)
        self._executor = Executor(active, batch)
        trained: dict[str, list[Trainable]] = {}
        for item in self.trainables:
            trained.setdefault(item.call, []).append(item)
        self._widths = AccumulatorWidths(active, trained, config)
        count = min(threads, 2 * config.num_directions)
        executors = [self._executor] + [Executor(active, batch, like=self._executor) for _ in range(1, count)]
        self._workers = [
            Worker(Probe(executor, trained, config, paired=paired), _prepared_copy(objective, active, batch))
            for executor in executors
        ]
        self._objective = self._workers[0].objective
        self._updates = [Update(items, config) for items in _shared_out(self.trainables, threads)]
        self._pool = ThreadPoolExecutor(threads - 1, "fxpgrad-step") if threads > 1 else None
        self.steps_taken = 0

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the arenas and of the perturbed layers, of all threads.

        Not in it: the trained values themselves, their per-channel probe and update integers, some
        tens of kB of random block, and one loss per sample.
        """
        return sum(worker.probe.scratch_bytes for worker in self._workers)

    @property
    def batch(self) -> int:
        """Samples per step."""
        return self._executor.batch

    def features(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run the frozen calls before the first trained one: what `step` takes instead of inputs."""
        return x if self._frozen is None else run_program(self._frozen, x)

    def step(self, features: NDArray[Any], labels: NDArray[np.int32]) -> StepReport:
        """Take one step on one batch of features (see `features`) and labels int32 [batch]."""
        self._check_labels(labels, self.batch)
        widths = self._widths.choose(self.steps_taken)
        results = self._each(
            [
                partial(worker.run, features, labels, self.steps_taken, passes, widths)
                for worker, passes in zip(
                    self._workers, _slices(self.config.num_directions, len(self._workers)), strict=True
                )
            ]
        )
        losses: dict[Pass, int] = {}
        saturated = 0
        for found, clipped in results:
            losses |= found
            saturated += clipped
        plus = tuple(losses[direction, 1] for direction in range(self.config.num_directions))
        minus = tuple(losses[direction, -1] for direction in range(self.config.num_directions))
        signs = tuple((p > m) - (p < m) for p, m in zip(plus, minus, strict=True))
        moved, clipped = self.apply(signs)
        return StepReport(self.steps_taken - 1, plus, minus, signs, saturated, moved, clipped, self.batch)

    def apply(self, signs: tuple[int, ...]) -> tuple[int, int]:
        """Take the step that the signs mean, without any inference; return (moved, clipped) values.

        signs: one of -1, 0, 1 for each direction. This is also how a recorded run is replayed.
        """
        if len(signs) != self.config.num_directions or not set(signs) <= {-1, 0, 1}:
            raise InputError(f"signs must be {self.config.num_directions} of -1, 0, 1; got {signs}")
        moved = saturated = 0
        if any(signs):
            for counts in self._each(
                [partial(update.run, self.steps_taken, signs) for update in self._updates]
            ):
                moved += counts[0]
                saturated += counts[1]
        self.steps_taken += 1
        return moved, saturated

    def _each(self, jobs: Sequence[Callable[[], _T]]) -> list[_T]:
        """Run the jobs side by side, the first one on this thread; all end before any error is raised."""
        if self._pool is None:
            return [job() for job in jobs]
        others = [self._pool.submit(job) for job in jobs[1:]]
        try:
            first = jobs[0]()
        finally:
            wait(others)
        return [first, *(other.result() for other in others)]

    def fit(
        self, x: NDArray[Any], y: NDArray[np.int32], steps: int, on_step: OnStep | None = None
    ) -> TrainingReport:
        """Take `steps` steps on batches drawn from x [n, ...] and y int32 [n].

        With n equal to the batch every step sees all data in order; else batches are drawn
        without replacement, as a pure function of (seed, step).

        Raises
        ------
        InputError
            Data that does not fit.
        TrainingError
            The run is hopeless: see `Watch`.
        """
        check_input(self.program.tensors[self.program.inputs[0]], x)
        self._check_labels(y, len(x))
        if len(x) < self.batch:
            raise InputError(f"{len(x)} samples cannot fill a batch of {self.batch}; use a smaller batch")
        if not isinstance(steps, int) or steps < 1:
            raise InputError(f"steps must be an integer of at least 1; got {steps!r}")
        features = self.features(x)
        reports: list[StepReport] = []
        values = sum(item.values.size for item in self.trainables)
        watch = Watch(self.config.patience, values, self._objective.num_classes)
        for _ in range(steps):
            rows = self._rows(len(x))
            report = self.step(features[rows], y[rows])
            reports.append(report)
            if on_step is not None:
                on_step(report)
            watch.observe(report)
        return TrainingReport(tuple(reports), 2 * self.config.num_directions * len(reports))

    def _check_labels(self, labels: NDArray[np.int32], samples: int) -> None:
        classes = self._objective.num_classes
        if not isinstance(labels, np.ndarray) or labels.dtype != np.int32 or labels.shape != (samples,):
            got = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, np.ndarray) else type(labels)
            raise InputError(f"labels must be int32 [{samples}]; got {got}")
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise InputError(f"labels must lie in 0..{classes - 1}; got {labels.min()}..{labels.max()}")

    def _rows(self, samples: int) -> Any:
        if samples == self.batch:
            return slice(None)
        sequence = np.random.SeedSequence(self.config.seed, spawn_key=(self.steps_taken,))
        words = np.random.PCG64(sequence).random_raw(samples)  # raw words: a stream NumPy keeps for good
        return np.sort(np.argsort(words, kind="stable")[: self.batch])

    def adapted(self) -> Program:
        """Return the Program with the trained values (copies), its accumulators proved anew."""
        values = {item.name: item.values.copy() for item in self.trainables}
        return with_proved_accumulators(self.program.with_constants(values))


def _prepared_copy(objective: Objective, program: Program, batch: int) -> Objective:
    own = copy.copy(objective)
    own.prepare(program, batch)
    return own


def _slices(num_directions: int, workers: int) -> list[list[Pass]]:
    """Deal the passes out in order, as evenly as they go: a pair is split between two workers at most."""
    passes = [(direction, sign) for direction in range(num_directions) for sign in (1, -1)]
    ends = [len(passes) * k // workers for k in range(workers + 1)]
    return [passes[start:end] for start, end in pairwise(ends)]


def _shared_out(items: Sequence[Trainable], threads: int) -> list[list[Trainable]]:
    """Deal the trained values out so that the largest share is small; no share is empty."""
    shares: list[list[Trainable]] = [[] for _ in range(min(threads, len(items)))]
    for item in sorted(items, key=lambda item: -item.values.size):
        min(shares, key=lambda share: sum(other.values.size for other in share)).append(item)
    return shares
