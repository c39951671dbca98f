"""Statistics of the directions: fixed seeds, so that a verdict never changes on its own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fxpgrad_kernels.random import philox
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.random.philox import draw_directions
from tests.kernels.callable_form import callable_form
from tests.kernels.random.table_values import z_of_every_uniform

fill_words = callable_form(philox.fill_words)

N = 1 << 17
LEAST_P = 1e-4  # about 60 p-values are computed below
EVERY = pytest.mark.parametrize("distribution", list(Distribution))
GAUSSIANS = pytest.mark.parametrize(
    ("distribution", "dz"), [(Distribution.GAUSSIAN, 1 / 32), (Distribution.GAUSSIAN_PAPER, 3.5 / 127)]
)
HOME = {"seed": 20241104, "step": 5, "direction": 1, "tensor": 3, "first_index": 0}
NEIGHBOURS = {
    "next seed": {"seed": 20241105},
    "seed with the top bit flipped": {"seed": 20241104 - 2**63},
    "seed with a bit of the high word flipped": {"seed": 20241104 + 2**32},
    "next step": {"step": 6},
    "next direction": {"direction": 2},
    "next tensor": {"tensor": 4},
    "step and tensor exchanged": {"step": 3, "tensor": 5},
    "next run of indices": {"first_index": N},
}


def draw(distribution: int, count: int = N, **changed: int) -> NDArray[np.int64]:
    name = HOME | changed
    z = np.zeros(count, np.int8)
    draw_directions(direction_table(distribution), z, *name.values(), distribution)
    return z.astype(np.int64)


def assert_uncorrelated(a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
    score = np.corrcoef(a, b)[0, 1] * np.sqrt(len(a))
    assert stats.norm.sf(abs(score)) * 2 > LEAST_P


@EVERY
@pytest.mark.parametrize("changed", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_neighbouring_streams_are_independent(distribution, changed):
    here, there = draw(distribution), draw(distribution, **changed)
    assert_uncorrelated(here, there)
    assert_uncorrelated(np.abs(here) if distribution != 1 else here[::2] * here[1::2],
                        np.abs(there) if distribution != 1 else there[::2] * there[1::2])  # fmt: skip
    classes = [np.digitize(z, [-20, 0, 1, 20]) if distribution != 1 else z > 0 for z in (here, there)]
    assert stats.chi2_contingency(np.histogram2d(*classes, bins=len(set(classes[0])))[0]).pvalue > LEAST_P


@EVERY
@pytest.mark.parametrize("lag", [1, 2, 3, 7, 8, 32, 128])
def test_neighbouring_indices_are_independent(distribution, lag):
    z = draw(distribution)
    assert_uncorrelated(z[:-lag], z[lag:])


@EVERY
def test_moments(distribution):
    z = draw(distribution)
    unit = 32 if distribution != Distribution.GAUSSIAN_PAPER else 127 / 3.5
    assert abs(z.mean() / unit) * np.sqrt(N) < 4
    # the variance of the sample variance is 2 / n for a Gaussian and 0 for signs
    assert abs(z.var() / unit**2 - 1) < 4 * np.sqrt(2 / N) + 1e-3


@GAUSSIANS
def test_gaussian_frequencies_fit_the_table(distribution, dz):
    expected = np.bincount(z_of_every_uniform(distribution) + 127, minlength=255) / 65536
    seen = np.bincount(draw(distribution) + 127, minlength=255)
    assert seen[expected == 0].sum() == 0
    # gather the tails so that every class expects at least five
    groups = np.cumsum(expected * N) // 400
    f_seen, f_expected = (np.bincount(groups.astype(int), w) for w in (seen, expected * N))
    full = f_expected >= 5
    f_seen = np.append(f_seen[full], f_seen[~full].sum())
    f_expected = np.append(f_expected[full], f_expected[~full].sum())
    keep = f_expected > 0
    assert stats.chisquare(f_seen[keep], f_expected[keep]).pvalue > LEAST_P


@GAUSSIANS
def test_gaussian_fits_the_normal_distribution(distribution, dz):
    """Kolmogorov and Smirnov, with the grid filled by an independent uniform."""
    z = draw(distribution) + np.random.default_rng(1).random(N) - 0.5
    inner = np.abs(z * dz) < 3
    assert stats.kstest(z[inner] * dz, stats.truncnorm(-3, 3).cdf).pvalue > LEAST_P


def test_rademacher_bits_are_fair_in_every_place():
    signs = (draw(Distribution.RADEMACHER) > 0).reshape(-1, 128)
    scores = (signs.mean(axis=0) - 0.5) * 2 * np.sqrt(len(signs))
    assert stats.chi2(128).sf((scores**2).sum()) > LEAST_P
    lengths = np.diff(np.flatnonzero(np.diff(signs.ravel().astype(int))))
    seen = np.bincount(np.minimum(lengths, 10), minlength=11)[1:]
    expected = np.append(0.5 ** np.arange(1, 10), 0.5**9) * seen.sum()
    assert stats.chisquare(seen, expected).pvalue > LEAST_P


def test_words_are_uniform_and_bits_are_fair():
    words = np.zeros(4 << 14, np.uint32)
    fill_words(words, 0, 1, 11, 2, 0, 7)
    byte_counts = np.bincount(words.view(np.uint8), minlength=256)
    assert stats.chisquare(byte_counts).pvalue > LEAST_P
    bits = (words[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    scores = (bits.mean(axis=0) - 0.5) * 2 * np.sqrt(len(words))
    assert stats.chi2(32).sf((scores**2).sum()) > LEAST_P


def test_purposes_do_not_share_words():
    here, there = np.zeros((2, 4096), np.uint32)
    fill_words(here, 0, 0, 11, 2, 0, 7)
    fill_words(there, 0, 1, 11, 2, 0, 7)
    assert len(np.intersect1d(here, there)) <= 1
    assert_uncorrelated(here.astype(np.int64) >> 1, there.astype(np.int64) >> 1)


@pytest.mark.parametrize("fault", ["repeated block", "short period", "shared streams"])
def test_statistics_catch_a_planted_fault(fault):
    z = draw(Distribution.GAUSSIAN)
    if fault == "repeated block":
        broken = np.repeat(z[: N // 2], 2)
        pair = broken[:-1], broken[1:]
    elif fault == "short period":
        broken = np.tile(z[: N // 8], 8)
        pair = broken[: -N // 8], broken[N // 8 :]
    else:
        pair = z, z + (draw(Distribution.GAUSSIAN, step=6) >> 2)
    with pytest.raises(AssertionError):
        assert_uncorrelated(*pair)
