"""Median and geometric mean, on numbers whose answer is known."""

from __future__ import annotations

import pytest

from fxpgrad.benchmarks.statistics import geometric_mean, median
from fxpgrad.errors import InputError


@pytest.mark.parametrize(
    ("values", "middle"),
    [([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 3.0, 2.0], 2.5), ([1.0, 1.0, 100.0], 1.0)],
)
def test_median(values, middle):
    assert median(values) == middle


@pytest.mark.parametrize(
    ("values", "mean"), [([2.0, 8.0], 4.0), ([0.5, 2.0], 1.0), ([1.0, 10.0, 100.0], 10.0), ([7.0], 7.0)]
)
def test_geometric_mean(values, mean):
    assert geometric_mean(values) == pytest.approx(mean, rel=1e-12)


def test_geometric_mean_of_reciprocals_is_the_reciprocal():
    values = [1.3, 0.7, 2.9]
    assert geometric_mean([1 / value for value in values]) == pytest.approx(1 / geometric_mean(values))


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [-1.0]])
def test_geometric_mean_refuses_what_has_none(values):
    with pytest.raises(InputError):
        geometric_mean(values)


def test_median_of_nothing_is_refused():
    with pytest.raises(InputError):
        median([])
