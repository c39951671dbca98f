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

from fxpgrad.program.execute import Executor
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
    threads : int >= 1
    """

    def __init__(
        self,
        executor: Executor,
        trained: Trained,
        config: TrainerConfig,
        objective: Objective,
        guidance: Guidance,
        *,
        threads: int,
        paired: bool,
    ) -> None:
        count, rows, program = min(threads, 2 * config.num_directions), executor.batch, executor.program
        executors = [executor] + [Executor(program, rows, like=executor) for _ in range(1, count)]
        exact = config.head == "exact"
        self._workers = [
            Worker(
                Probe(one, trained, config, guidance, paired=paired),
                _prepared_copy(objective, program, rows),
                config.rows == "split",
                HeadGradient(program, rows) if exact else None,
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

    def run_plain(self, executor: Executor, features: NDArray[Any], labels: NDArray[np.int32]) -> int:
        """Run one inference without a probe, for an exact head alone; return its loss."""
        worker = self._workers[0]
        assert worker.head is not None
        assert isinstance(worker.objective, LinearCrossEntropy)
        worker.head.clear()
        executor.load(features)
        executor.execute()
        loss = worker.objective(executor.view(executor.program.outputs[0]), labels)
        worker.head.add(executor, worker.objective, labels)
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


def _prepared_copy(objective: Objective, program: Program, batch: int) -> Objective:
    own = copy.copy(objective)
    own.prepare(program, batch)
    return own


def _slices(directions: range, workers: int) -> list[list[Pass]]:
    """Deal the passes out in order, as evenly as they go: a pair is split between two workers at most."""
    passes = [(direction, sign) for direction in directions for sign in (1, -1)]
    ends = [len(passes) * k // workers for k in range(workers + 1)]
    return [passes[start:end] for start, end in pairwise(ends)]
