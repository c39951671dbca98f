"""Shifted tasks: the same drawings, seen by a changed sensor."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.tasks.episodes import sample_episode
from fxpgrad.tasks.omniglot import load_omniglot
from fxpgrad.tasks.shifts import SHIFTS, shift_episode

TASK = sample_episode(load_omniglot(), "evaluation", 5, 5, 15, 0, 0)


@pytest.mark.parametrize("shift", SHIFTS)
def test_shift_changes_the_images_only_and_keeps_them_binary(shift: str) -> None:
    shifted = shift_episode(TASK, shift)
    for name in ("support_y", "query_y", "characters", "support_drawings", "query_drawings"):
        assert getattr(shifted, name) is getattr(TASK, name)
    for name in ("support_x", "query_x"):
        images, clean = getattr(shifted, name), getattr(TASK, name)
        assert images.dtype == np.uint8
        assert images.shape == clean.shape
        assert set(np.unique(images)) == {0, 1}
        assert np.array_equal(images, clean) == (shift == "none")


def test_inverting_twice_restores() -> None:
    twice = shift_episode(shift_episode(TASK, "inverted"), "inverted")
    np.testing.assert_array_equal(twice.query_x, TASK.query_x)


def test_noise_flips_one_pixel_in_twenty_and_belongs_to_the_drawing() -> None:
    noisy = shift_episode(TASK, "noisy")
    assert 0.045 < (noisy.query_x != TASK.query_x).mean() < 0.055
    again = shift_episode(sample_episode(load_omniglot(), "evaluation", 5, 15, 5, 0, 0), "noisy")
    together = {
        int(row): image for row, image in zip(again.support_drawings, again.support_x, strict=True)
    } | {int(row): image for row, image in zip(again.query_drawings, again.query_x, strict=True)}
    assert set(TASK.support_drawings) <= set(together)
    for row, image in zip(noisy.support_drawings, noisy.support_x, strict=True):
        np.testing.assert_array_equal(image, together[int(row)])


def test_unknown_shift_is_named() -> None:
    with pytest.raises(InputError, match="shift must be one of none, inverted, noisy, not 'blur'"):
        shift_episode(TASK, "blur")
