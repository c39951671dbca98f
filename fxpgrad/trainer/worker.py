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

    rows: how many a direction sees, a multiple of the probe's batch. split: each direction sees rows of its
    own. head: where the gradient of an exact head is summed.
    """

    probe: Probe
    objective: Objective
    rows: int
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
            clipped = 0
            for piece in self._pieces(direction):
                x, y = features[piece], labels[piece]
                executors, clipped = self.probe.run(x, step, direction, signs, widths)
                for one, executor in zip(signs, executors, strict=True):
                    loss = self.objective(executor.view(output), y)
                    losses[direction, one] = losses.get((direction, one), 0) + loss
                    if self.head is not None and isinstance(self.objective, LinearCrossEntropy):
                        self.head.add(executor, self.objective, y)
            saturated += clipped
            at += len(signs)
        return losses, saturated

    def _pieces(self, direction: int) -> list[slice]:
        """Return the rows that a direction sees, an inference's worth at a time."""
        start, size = direction * self.rows if self.split else 0, self.probe.batch
        return [slice(at, at + size) for at in range(start, start + self.rows, size)]
