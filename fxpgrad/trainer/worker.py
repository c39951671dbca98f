"""One thread's share of a step: its passes, one after the other, and their losses."""

from __future__ import annotations

from collections.abc import Mapping
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
        passes: list[Pass],
        widths: Mapping[str, int],
    ) -> tuple[dict[Pass, int], int]:
        """Return the loss of each pass and the number of clipped values."""
        if self.head is not None:
            self.head.clear()
        losses: dict[Pass, int] = {}
        saturated = at = 0
        output = self.probe.program.outputs[0]
        while at < len(passes):
            direction, sign = passes[at]
            both = self.probe.paired and passes[at + 1 : at + 2] == [(direction, -sign)]
            signs = (sign, -sign) if both else (sign,)
            own = self._rows(direction)
            x, y = (features, labels) if own is None else (features[own], labels[own])
            executors, clipped = self.probe.run(x, step, direction, signs, widths)
            for one, executor in zip(signs, executors, strict=True):
                losses[direction, one] = self.objective(executor.view(output), y)
                if self.head is not None and isinstance(self.objective, LinearCrossEntropy):
                    self.head.add(executor, self.objective, y)
            saturated += clipped
            at += len(signs)
        return losses, saturated

    def _rows(self, direction: int) -> slice | None:
        """Return the rows that a direction sees, None for all."""
        rows = self.probe.batch
        return slice(direction * rows, (direction + 1) * rows) if self.split else None
