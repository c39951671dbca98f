"""What a step of a run sees: its rows of the data, and the share of the learning rate that is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.trainer.config import TrainerConfig

STAIRS = 64  # of the linear schedule: the rate changes so many times in a run


def rows_of_step(seed: int, step: int, samples: int, batch: int) -> Any:
    """Return the rows of a step, an index into the data: a pure function of the arguments.

    All of them in order where the batch holds all samples, else `batch` rows (int64, ascending) drawn
    without replacement.
    """
    if samples == batch:
        return slice(None)
    sequence = np.random.SeedSequence(seed, spawn_key=(step,))
    words = np.random.PCG64(sequence).random_raw(samples)  # raw words: a stream NumPy keeps for good
    return np.sort(np.argsort(words, kind="stable")[:batch])


def rate_of_step(config: TrainerConfig, number: int, steps: int) -> float:
    """Return the share of the learning rate, in (0, 1], for step `number` of `steps` (from 0)."""
    return 1.0 if config.schedule == "constant" else 1 - STAIRS * number // steps / STAIRS
