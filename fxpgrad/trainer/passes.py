"""The passes of a step, dealt out to threads: each runs its own probe, and the losses come back together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import Executor, positive
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.guidance import Guidance
from fxpgrad.trainer.head import HeadGradient
from fxpgrad.trainer.layer_scratch import Trained
from fxpgrad.trainer.objective import LinearCrossEntropy, Objective
from fxpgrad.trainer.probe import Probe
from fxpgrad.trainer.worker import Pass, Worker

_T = TypeVar("_T")


class Passes:
    """The workers of a trainer and the threads that they run on.

    Parameters
    ----------
    executor : Executor
        Runs the trained calls and all after them; taken for the first worker, the pattern of the others.
    trained, config, guidance, paired
        See `Probe`.
    objective : Objective
        Copied for each worker.
    rows : int
        What a direction sees, a multiple of the executor's batch.
    threads : int >= 1
    """

    def __init__(
        self,
        executor: Executor,
        trained: Trained,
        config: TrainerConfig,
        objective: Objective,
        guidance: Guidance,
        rows: int,
        *,
        threads: int,
        paired: bool,
    ) -> None:
        count, program, batch = min(threads, 2 * config.num_directions), executor.program, executor.batch
        executors = [executor] + [Executor(program, batch, like=executor) for _ in range(1, count)]
        exact = config.head == "exact"
        self._executor = executor
        self._workers = [
            Worker(
                Probe(one, trained, config, guidance, paired=paired),
                _prepared_copy(objective, program, batch),
                rows,
                config.rows == "split",
                HeadGradient(program, batch) if exact else None,
            )
            for one in executors
        ]
        self._pool = ThreadPoolExecutor(threads - 1, "fxpgrad-step") if threads > 1 else None

    @property
    def objective(self) -> Objective:
        """The first worker's."""
        return self._workers[0].objective

    @property
    def head_gradients(self) -> list[HeadGradient]:
        """What the workers have summed for an exact head since their last run."""
        return [worker.head for worker in self._workers if worker.head is not None]

    @property
    def scratch_bytes(self) -> int:
        """Bytes of all workers' arenas, perturbed layers and head gradients."""
        heads = sum(gradient.nbytes for gradient in self.head_gradients)
        return heads + sum(worker.probe.scratch_bytes for worker in self._workers)

    def run(
        self,
        features: NDArray[Any],
        labels: NDArray[np.int32],
        step: int,
        widths: Mapping[str, int],
        directions: range,
    ) -> tuple[dict[Pass, int], int]:
        """Return the loss of both passes of each direction, and how many perturbed values were clipped."""
        shares = _slices(directions, len(self._workers))
        results = self.each(
            [
                partial(worker.run, features, labels, step, passes, widths)
                for worker, passes in zip(self._workers, shares, strict=True)
            ]
        )
        losses: dict[Pass, int] = {}
        saturated = 0
        for found, clipped in results:
            losses |= found
            saturated += clipped
        return losses, saturated

    def run_plain(self, features: NDArray[Any], labels: NDArray[np.int32]) -> int:
        """Run one inference without a probe, for an exact head alone; return its loss."""
        worker, executor, loss = self._workers[0], self._executor, 0
        assert worker.head is not None
        assert isinstance(worker.objective, LinearCrossEntropy)
        worker.head.clear()
        for start in range(0, len(labels), executor.batch):
            own = slice(start, start + executor.batch)
            executor.load(features[own])
            executor.execute()
            loss += worker.objective(executor.view(executor.program.outputs[0]), labels[own])
            worker.head.add(executor, worker.objective, labels[own])
        return loss

    def each(self, jobs: Sequence[Callable[[], _T]]) -> list[_T]:
        """Run the jobs side by side, the first one on this thread; all end before any error is raised."""
        if self._pool is None:
            return [job() for job in jobs]
        others = [self._pool.submit(job) for job in jobs[1:]]
        try:
            first = jobs[0]()
        finally:
            wait(others)
        return [first, *(other.result() for other in others)]


def rows_of_a_pass(config: TrainerConfig, batch: int) -> int:
    """Return the rows that a direction sees."""
    if config.rows == "shared":
        return batch
    if batch % config.num_directions:
        raise InputError(
            f"a batch of {batch} cannot be split evenly among {config.num_directions} directions; make the "
            "batch a multiple of them"
        )
    return batch // config.num_directions


def rows_of_an_inference(rows: int, wanted: int | None, objective: Objective) -> int:
    """Return the rows of one inference: as wanted, else all that a direction sees."""
    if wanted is None:
        return rows
    if positive("rows_at_once", wanted) > rows or rows % wanted:
        raise InputError(
            f"the rows of one inference must divide {rows}, those that a direction sees; got {wanted}"
        )
    if wanted < rows and not isinstance(objective, LinearCrossEntropy):
        raise InputError("rows_at_once is for the linear cross-entropy, a sum over rows; this loss needs all")
    return wanted


def _prepared_copy(objective: Objective, program: Program, batch: int) -> Objective:
    own = copy.copy(objective)
    own.prepare(program, batch)
    return own


def _slices(directions: range, workers: int) -> list[list[Pass]]:
    """Deal the passes out in order, as evenly as they go: a pair is split between two workers at most."""
    passes = [(direction, sign) for direction in directions for sign in (1, -1)]
    ends = [len(passes) * k // workers for k in range(workers + 1)]
    return [passes[start:end] for start, end in pairwise(ends)]
