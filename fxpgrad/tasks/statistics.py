"""What a list of task accuracies says about the mean over all tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError


def mean_and_ci95(accuracies: Sequence[float] | NDArray[np.floating]) -> tuple[float, float]:
    """Return the mean and the half width of its 95 % confidence interval.

    Parameters
    ----------
    accuracies
        float [n], n >= 1, one finite value per task (independent tasks).

    Returns
    -------
    mean, half_width
        The interval is mean ± half_width. A single task gives an infinite half width: it says nothing
        about the spread.

    Notes
    -----
    Student's t with n - 1 degrees of freedom on the unbiased sample variance.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise InputError(f"accuracies must be a list of at least one number, not of shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("accuracies must be finite; drop or repair the tasks that gave NaN or infinity")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.inf
    from scipy.special import stdtrit  # noqa: PLC0415 - scipy takes long to import; most commands need none

    quantile = float(stdtrit(len(values) - 1, 0.975))
    return mean, quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
