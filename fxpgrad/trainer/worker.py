"""One thread's share of a step: its passes, one after the other, and their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.trainer.head import HeadGradient
from fxpgrad.trainer.objective import LinearCrossEntropy, Objective
from fxpgrad.trainer.probe import Probe

Pass = tuple[int, int]  # (direction, sign)


@dataclass(frozen=True, slots=True)
class Worker:
    """A probe and an objective of its own: nothing here is shared with another thread.

    split: each direction sees rows of its own, as many as the probe's batch. head: where the gradient of an
    exact head is summed.
    """

    probe: Probe
    objective: Objective
    split: bool = False
    head: HeadGradient | None = None

    def run(
        self,
        features: NDArray[Any],
        labels: NDArray[np.int32],
        step: int,
        passes: Sequence[Pass],
        widths: Mapping[str, int],
    ) -> tuple[dict[Pass, int], int]:
        """Return the loss of each pass and the number of clipped values."""
        if self.head is not None:
            self.head.clear()
        losses: dict[Pass, int] = {}
        saturated = 0
        todo = list(passes)
        while todo:
            direction, sign = todo[0]
            both = self.probe.paired and todo[1:2] == [(direction, -sign)]
            signs = [sign, -sign] if both else [sign]
            own = self._rows(direction)
            executors, clipped = self.probe.run(features[own], step, direction, signs, widths)
            for one, executor in zip(signs, executors, strict=True):
                output = executor.view(self.probe.program.outputs[0])
                losses[direction, one] = self.objective(output, labels[own])
                if self.head is not None and isinstance(self.objective, LinearCrossEntropy):
                    self.head.add(executor, self.objective, labels[own])
            saturated += clipped
            todo = todo[len(signs) :]
        return losses, saturated

    def _rows(self, direction: int) -> slice:
        """Return the rows that a direction sees."""
        rows = self.probe.batch
        return slice(direction * rows, (direction + 1) * rows) if self.split else slice(None)
