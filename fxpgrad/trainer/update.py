"""Updates: the step of some trained values, all of them in one native call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.trainable import Trainable, distribution_code, rounding_code
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.tape import Tape
from fxpgrad_kernels.training.update import BLOCK


class Update:
    """Rewrites the values of some trainables in place; different ones may run on different threads."""

    def __init__(self, items: Sequence[Trainable], config: TrainerConfig) -> None:
        self._signs = np.zeros(config.num_directions, np.int32)
        self._counts = np.zeros((len(items), 2), np.int64)
        table = direction_table(distribution_code(config))
        block = np.zeros((1, BLOCK), np.int8)
        self._tape = Tape()
        steps = []
        for item, counts in zip(items, self._counts, strict=True):
            values = {
                "weights": item.values.reshape(-1),
                "signs": self._signs,
                "multiplier": item.multiplier,
                "shift": item.shift,
                "table": table,
                "block": block,
                "counts": counts,
                "seed": config.seed,
                "step": 0,
                "tensor": item.tensor,
                "rounding_rule": rounding_code(config),
                "distribution": distribution_code(config),
            }
            steps.append(self._tape.add(item.update.function, item.update.arguments, values)["step"])
        self._steps = np.array(steps, np.int64)

    def run(self, step: int, signs: tuple[int, ...]) -> tuple[int, int]:
        """Take the step; return how many values moved and how many were clipped."""
        self._signs[:] = signs
        self._tape.words[self._steps] = step
        self._tape.run()
        moved, clipped = np.add.reduce(self._counts).tolist()
        return moved, clipped
