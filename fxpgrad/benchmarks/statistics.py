"""The few statistics that timings are told in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fxpgrad.errors import InputError


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two middle ones."""
    if not values:
        raise InputError("the median of no values is not defined")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def geometric_mean(values: Sequence[float]) -> float:
    """Return the n-th root of the product of positive values: the mean for ratios."""
    if not values or min(values) <= 0:
        raise InputError(f"the geometric mean needs positive values; got {list(values)}")
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))
