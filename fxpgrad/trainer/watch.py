"""The watch over a run: it ends a hopeless one with a sentence that says why and what to change."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from fxpgrad.errors import TrainingError
from fxpgrad.trainer.report import StepReport

_FIXES = {
    "equal losses": "raise epsilon: the probes do not change the loss",
    "no weight moved": "raise the {rate}, or round stochastically",
}


def stopping_rise(num_classes: int) -> float:
    """Return how far a loss may rise, in nats a sample: ln(classes), the loss of pure guessing."""
    return math.log(max(num_classes, 2))


def greatest_rise(steps: Sequence[StepReport], patience: int) -> float:
    """Return how far the mean loss of `patience` steps in a row ever lay above the first step's.

    In nats a sample; -inf for a run of fewer steps.
    """
    losses = [step.mean_loss for step in steps]
    runs = (losses[start : start + patience] for start in range(len(losses) - patience + 1))
    return max((sum(run) / patience for run in runs), default=-math.inf) - losses[0]


class Watch:
    """Sees every step's report and raises `TrainingError` when going on makes no sense.

    Hopeless is: `patience` dead steps in a row (steps whose loss is zero do not count, nor steps too small to
    move anything once others have: they are done, not stuck); an update that clips more than half of all
    values; or a loss whose mean over the last `patience` steps lies more than `stopping_rise` above the first
    step's. rate: what the run's rates are called, to be lowered or raised.
    """

    def __init__(self, patience: int, values: int, num_classes: int, rate: str = "learning rate") -> None:
        self._rate = rate
        self._patience = patience
        self._values = values
        self._rise = stopping_rise(num_classes)
        self._dead = 0
        self._moved = False
        self._first: float | None = None
        self._recent: deque[float] = deque(maxlen=patience)

    def observe(self, report: StepReport) -> None:
        """Take in the next step."""
        self._moved = self._moved or report.moved > 0
        stuck = report.dead in _FIXES and not (report.dead == "no weight moved" and self._moved)
        self._dead = self._dead + 1 if stuck else 0
        if report.dead is not None and self._dead >= self._patience:
            raise TrainingError(
                f"stopped at step {report.step}: {self._dead} dead steps in a row ({report.dead}); "
                f"{_FIXES[report.dead].format(rate=self._rate)}"
            )
        if 2 * report.updates_saturated > self._values:
            raise TrainingError(
                f"stopped at step {report.step}: the update clipped {report.updates_saturated} of "
                f"{self._values} values; lower the {self._rate}"
            )
        self._recent.append(report.mean_loss)
        if self._first is None:
            self._first = report.mean_loss
        mean = sum(self._recent) / len(self._recent)
        if len(self._recent) == self._patience and mean > self._first + self._rise:
            raise TrainingError(
                f"stopped at step {report.step}: the loss rose from {self._first:.3g} to {mean:.3g} "
                f"(mean of {self._patience} steps); lower the {self._rate}"
            )
