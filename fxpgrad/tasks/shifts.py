"""A changed sensor: the same task, seen in a way that the backbone was not trained on.

Few-shot tasks on clean drawings leave little to adapt to; a shift leaves more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.tasks.episodes import Episode

SHIFTS = ("none", "inverted", "noisy")
_NOISE_SEED = 0x5EED
_FLIPS_PER_65536 = 3277  # 5 % of the pixels


def shift_episode(episode: Episode, shift: str) -> Episode:
    """Return the task with support and query images changed alike.

    Parameters
    ----------
    episode
        A task on clean drawings.
    shift
        "none"; "inverted": paper becomes 1 and ink 0; "noisy": one pixel in twenty is flipped, which
        ones depends on the drawing alone, so that a drawing looks the same in every task.
    """
    if shift not in SHIFTS:
        raise InputError(f"shift must be one of {', '.join(SHIFTS)}, not {shift!r}")
    if shift == "none":
        return episode
    if shift == "inverted":
        return replace(episode, support_x=1 - episode.support_x, query_x=1 - episode.query_x)
    return replace(
        episode,
        support_x=episode.support_x ^ _flips(episode.support_drawings, episode.support_x.shape[1:]),
        query_x=episode.query_x ^ _flips(episode.query_drawings, episode.query_x.shape[1:]),
    )


def _flips(drawings: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return 1 where a pixel flips, uint8 [drawings, *shape], from raw words (a stable stream)."""
    pixels = int(np.prod(shape))
    rows = []
    for drawing in drawings:
        words = np.random.PCG64(np.random.SeedSequence(_NOISE_SEED, spawn_key=(int(drawing),)))
        rows.append((words.random_raw(pixels) >> np.uint64(48)) < _FLIPS_PER_65536)
    return np.stack(rows).astype(np.uint8).reshape(-1, *shape)
