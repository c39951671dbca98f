"""The integer thresholds are those of the normal distribution, and the table is those of the thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fxpgrad_kernels.random import distributions
from fxpgrad_kernels.random.distributions import PAPER_THRESHOLDS, THRESHOLDS, Distribution, direction_table
from fxpgrad_kernels.random.random_ref import gaussian_ref
from tests.kernels.random.table_values import z_of_every_uniform

SETS = pytest.mark.parametrize(
    ("distribution", "thresholds", "dz"),
    [
        (Distribution.GAUSSIAN, THRESHOLDS, 1 / 32),
        (Distribution.GAUSSIAN_PAPER, PAPER_THRESHOLDS, 3.5 / 127),
    ],
    ids=["exact", "paper"],
)


def discretised_normal(dz: float) -> np.ndarray:
    """Return P(z = k) of N(0, 1) rounded to multiples of dz, k = -127..127, tails gathered at the ends."""
    edges = np.concatenate(([-np.inf], (np.arange(-127, 127) + 0.5) * dz, [np.inf]))
    return np.diff(norm.cdf(edges))


@SETS
def test_thresholds_are_the_rounded_cumulative_distribution(distribution, thresholds, dz):
    assert thresholds == tuple(round(65536 * norm.cdf((k + 0.5) * dz)) for k in range(127))
    assert list(thresholds) == sorted(thresholds)
    assert thresholds[-1] < 65536


@SETS
def test_table_equals_definition(distribution, thresholds, dz):
    table, z = direction_table(distribution), z_of_every_uniform(distribution)
    assert (table.dtype, table.shape) == (np.int16, (2288,))
    np.testing.assert_array_equal(z, [gaussian_ref(u, thresholds) for u in range(65536)])
    np.testing.assert_array_equal(np.diff(z) < 0, False)


def test_knee_that_is_too_small_for_the_thresholds_is_refused(monkeypatch):
    monkeypatch.setattr(distributions, "KNEE", 64)
    with pytest.raises(AssertionError, match="KNEE"):
        direction_table.__wrapped__(Distribution.GAUSSIAN)


@SETS
def test_table_is_odd(distribution, thresholds, dz):
    z = z_of_every_uniform(distribution)
    np.testing.assert_array_equal(z[::-1], -z)
    assert z.sum() == 0


@SETS
def test_every_probability_is_within_one_part_in_65536(distribution, thresholds, dz):
    counts = np.bincount(z_of_every_uniform(distribution) + 127, minlength=255)
    error = counts / 65536 - discretised_normal(dz)
    assert np.abs(error).max() <= 2**-16
    assert np.abs(np.cumsum(error)).max() <= 2**-17 + 1e-12


@SETS
def test_moments_are_those_of_the_normal(distribution, thresholds, dz):
    z = z_of_every_uniform(distribution) * dz
    # rounding to a grid adds dz**2 / 12; the cut tails take away a little
    assert abs(z.var() - 1) < 1e-3
    assert abs((z**4).mean() / z.var() ** 2 - 3) < 0.03


def test_table_is_made_once_and_rademacher_needs_none():
    assert direction_table(0) is direction_table(0)
    assert direction_table(Distribution.RADEMACHER).size == 1


@pytest.mark.parametrize("wrong", [-1, 3])
def test_unknown_distribution_is_refused(wrong):
    with pytest.raises(ValueError, match=str(wrong)):
        direction_table(wrong)
