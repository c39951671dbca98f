"""One thread's share of a step: its passes, one after the other, and their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.probe import Probe

Pass = tuple[int, int]  # (direction, sign)


@dataclass(frozen=True, slots=True)
class Worker:
    """A probe and an objective of its own: nothing here is shared with another thread."""

    probe: Probe
    objective: Objective

    def run(
        self,
        features: NDArray[Any],
        labels: NDArray[np.int32],
        step: int,
        passes: Sequence[Pass],
        widths: Mapping[str, int],
    ) -> tuple[dict[Pass, int], int]:
        """Return the loss of each pass and the number of clipped values."""
        losses: dict[Pass, int] = {}
        saturated = 0
        todo = list(passes)
        while todo:
            direction, sign = todo[0]
            both = self.probe.paired and todo[1:2] == [(direction, -sign)]
            signs = [sign, -sign] if both else [sign]
            outputs, clipped = self.probe.run(features, step, direction, signs, widths)
            for one, output in zip(signs, outputs, strict=True):
                losses[direction, one] = self.objective(output, labels)
            saturated += clipped
            todo = todo[len(signs) :]
        return losses, saturated
