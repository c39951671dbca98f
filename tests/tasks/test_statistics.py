"""Mean and confidence interval of task accuracies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.tasks.statistics import mean_and_ci95


def test_interval_agrees_with_the_textbook() -> None:
    # n = 5, mean 3, s = sqrt(2.5), t(0.975, 4) = 2.776445
    mean, half = mean_and_ci95([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == pytest.approx(3.0)
    assert half == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)


def test_equal_tasks_leave_no_doubt() -> None:
    assert mean_and_ci95([0.5, 0.5, 0.5]) == (0.5, 0.0)


def test_one_task_says_nothing_about_the_spread() -> None:
    assert mean_and_ci95([0.75]) == (0.75, math.inf)


def test_interval_covers_the_true_mean_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        mean, half = mean_and_ci95(rng.normal(0.7, 0.1, 6))
        hits += abs(mean - 0.7) <= half
    assert 0.935 < hits / 2000 < 0.965


@pytest.mark.parametrize("bad", [[], [[0.1, 0.2]], [0.5, math.nan], [math.inf]])
def test_unusable_accuracies_are_refused(bad: list[float]) -> None:
    with pytest.raises(InputError, match="accuracies must be"):
        mean_and_ci95(bad)
