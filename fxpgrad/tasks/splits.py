"""Which samples are learned from and which are judged on: a function of (number of samples, seed)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.tasks.episodes import require_integer


def split_by_seed(samples: int, seed: int, share: float = 0.9) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide 0..samples-1 at random into two parts, none of them empty.

    Parameters
    ----------
    samples
        How many there are, >= 2.
    seed
        Integer >= 0.
    share
        Part of them that goes into the first half, in (0, 1); rounded to the nearest sample.

    Returns
    -------
    first, second
        int64, ascending, disjoint, together all samples.

    Notes
    -----
    Ranks raw PCG64 words, whose stream NumPy guarantees for good.
    """
    require_integer("samples", samples, 2)
    require_integer("seed", seed, 0)
    if not 0 < share < 1:
        raise InputError(f"share must be between 0 and 1, not {share!r}")
    first = min(max(round(samples * share), 1), int(samples) - 1)
    words = np.random.PCG64(np.random.SeedSequence(int(seed))).random_raw(int(samples))
    order = np.argsort(words, kind="stable").astype(np.int64)
    return np.sort(order[:first]), np.sort(order[first:])
