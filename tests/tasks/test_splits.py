"""A split is disjoint, complete, and a function of its arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.tasks.splits import split_by_seed

RECORDED = [5, 9]


@given(st.integers(2, 400), st.integers(0, 2**64), st.floats(0.001, 0.999))
def test_parts_are_disjoint_and_complete(samples: int, seed: int, share: float) -> None:
    first, second = split_by_seed(samples, seed, share)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(samples))
    assert len(first) == min(max(round(samples * share), 1), samples - 1)
    assert (np.diff(first) > 0).all()
    assert (np.diff(second) > 0).all()


def test_split_is_the_recorded_one() -> None:
    assert split_by_seed(20, 0)[1].tolist() == RECORDED
    assert split_by_seed(20, 1)[1].tolist() != RECORDED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0), "samples must be an integer of at least 2, not 1"),
        ((10, -1), "seed must be"),
        ((10, 0, 1.0), "share must be between 0 and 1, not 1.0"),
    ],
)
def test_impossible_splits_are_refused(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        split_by_seed(*arguments)
