"""What steps leave to later ones: their scalars, from which directions are drawn again."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from fxpgrad.trainer.config import TrainerConfig
from fxpgrad_kernels.training.direction_ref import WEIGHT_ONE

_FORGOTTEN = 0.1  # a weight below which an earlier direction is left out
_LONGEST = 16


class Guidance:
    """The weights of earlier directions, and how far the probes' centre is moved; one for all threads.

    Momentum: with b = 1 - momentum, the paper's z_(t+1) = b z1 + (1 - b) z2 is a sum of independent draws,
    the newest with the weight c and the one of k steps before with c momentum^k. c makes the variance 1,
    whatever number of steps there has been; it is smaller where some of them count less: steps of other
    blocks, equal losses, small magnitudes. A direction counts turned uphill (times the sign of its loss
    difference, which changes nothing in the step it was taken in), and divided by sqrt(m) where there were m.

    Attributes
    ----------
    history, history_before : int32 [blocks, K, m]
        What `guide_direction` takes as weights, in this step and in the one before, by block.
    own, own_before : int
        What it takes as `own`.
    ascent : int32 [blocks, 1]
        Minus the sign of the direction that goes uphill; 0 while it is looked for.
    last : int32 [blocks, m]
        The scalars of the step before.
    """

    def __init__(self, config: TrainerConfig, unit: int) -> None:
        self._config, self._unit = config, unit
        count = 0
        if config.momentum:
            count = min(_LONGEST, max(1, math.ceil(math.log(_FORGOTTEN) / math.log(config.momentum))))
        shape = (config.blocks, count, config.num_directions)
        self.history, self.history_before = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        self.own = self.own_before = WEIGHT_ONE
        self.ascent = np.zeros((config.blocks, 1), np.int32)
        self.last = np.zeros((config.blocks, config.num_directions), np.int32)
        self._log: deque[NDArray[np.int32]] = deque(maxlen=max(count, 1))

    def block_of(self, step: int) -> int:
        """Return which block a step trains."""
        return step % self._config.blocks

    def climb(self, step: int, sign: int) -> None:
        """Say which way is up along the extra direction of a step (0: not known)."""
        self.ascent[:] = 0
        self.ascent[self.block_of(step)] = -sign

    def record(self, step: int, scalars: tuple[int, ...]) -> None:
        """Take in the scalars of a step that has been taken."""
        self.last[:] = 0
        self.last[self.block_of(step)] = scalars
        if not self._config.momentum:
            return
        self.history_before[:] = self.history
        self.own_before = self.own
        self._log.appendleft(np.clip(np.array(scalars, np.int64) / self._unit, -1, 1))
        powers = self._config.momentum ** np.arange(len(self._log) + 1)
        first = 1 / math.sqrt(float((powers**2).sum()))
        self.own = round(WEIGHT_ONE * first)
        self.history[:] = 0
        for k, turned in enumerate(self._log):
            weights = WEIGHT_ONE * first * powers[k + 1] / math.sqrt(self._config.num_directions) * turned
            self.history[self.block_of(step - k), k] = np.rint(weights)
