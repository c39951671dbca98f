"""Corrupted images: a function of the image, the name, the severity and the seed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from fxpgrad.errors import InputError, MissingExtraError
from fxpgrad.tasks import imagecorruptions_package
from fxpgrad.tasks.corruptions import COMMON, CORRUPTIONS, corrupt

needs_package = pytest.mark.skipif(
    find_spec("imagecorruptions") is None, reason="needs imagecorruptions: pip install 'fxpgrad[experiments]'"
)
RAMP = np.linspace(40, 215, 32)[:, None, None] + np.zeros((32, 3))
IMAGES = np.stack([RAMP, RAMP.transpose(1, 0, 2), 255 - RAMP]).astype(np.uint8)
IMAGES[:, 8:20, 10:24] = (200, 60, 20)
# Those without randomness: the seed must not matter.
FIXED = {
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur",
    "saturate",
}  # fmt: skip


@needs_package
def test_names_are_those_of_the_package() -> None:
    assert tuple(imagecorruptions_package.load_corruptions()) == CORRUPTIONS
    assert len(COMMON) == 15


@needs_package
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_belongs_to_the_image_and_the_seed(name: str) -> None:
    for severity in (1, 5):
        first = corrupt(IMAGES, name, severity, 7)
        assert first.dtype == np.uint8
        assert first.shape == IMAGES.shape
        assert not np.array_equal(first, IMAGES)
        np.testing.assert_array_equal(corrupt(IMAGES[::-1], name, severity, 7)[::-1], first)
        np.testing.assert_array_equal(corrupt(IMAGES[1:2], name, severity, 7), first[1:2])
        assert np.array_equal(corrupt(IMAGES, name, severity, 8), first) == (name in FIXED)


@needs_package
@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "contrast", "pixelate"])
def test_severity_is_severe(name: str) -> None:
    changes = [np.abs(corrupt(IMAGES, name, s, 0).astype(int) - IMAGES).mean() for s in (1, 3, 5)]
    assert changes == sorted(changes)
    assert changes[2] > 1.5 * changes[0]


@needs_package
def test_global_generator_and_modules_are_left_as_they_were() -> None:
    np.random.seed(5)
    wanted = np.random.random(4)
    np.random.seed(5)
    corrupt(IMAGES, "snow", 3, 0)
    np.testing.assert_array_equal(np.random.random(4), wanted)
    assert "pkg_resources" not in sys.modules or hasattr(sys.modules["pkg_resources"], "WorkingSet")
    assert not hasattr(np, "float_") or np.__version__.startswith("1.")


@needs_package
def test_images_in_which_the_package_divides_by_zero_stay() -> None:
    flat = np.full((40, 32, 32, 3), 90, np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None]
    spattered = corrupt(flat, "spatter", 1, 0)
    assert (spattered.reshape(40, -1).max(axis=1) >= 90).all()


@needs_package
def test_progress_is_told_image_by_image() -> None:
    seen: list[tuple[int, int]] = []
    corrupt(IMAGES, "contrast", 1, 0, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert corrupt(IMAGES[:0], "contrast", 1, 0).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    ("images", "name", "severity", "seed", "message"),
    [
        (IMAGES, "rain", 1, 0, r"name must be one of gaussian_noise, .*saturate; got 'rain'"),
        (IMAGES, "snow", 0, 0, r"severity must be an integer in 1\.\.5; got 0"),
        (IMAGES, "snow", True, 0, "severity must be"),
        (IMAGES, "snow", 1, -1, "seed must be an integer of at least 0; got -1"),
        (IMAGES / 255.0, "snow", 1, 0, "images must be a uint8 array; got float64"),
        (IMAGES[..., :1], "snow", 1, 0, r"images must be \[n, h, w, 3\]"),
        (IMAGES[:, :31], "snow", 1, 0, r"at least 32; got \(3, 31, 32, 3\)"),
    ],
)
def test_unusable_arguments_are_refused(images, name, severity, seed, message) -> None:
    with pytest.raises(InputError, match=message):
        corrupt(images, name, severity, seed)


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("skimage", "skimage.color"):
        monkeypatch.setitem(sys.modules, name, None)
    imagecorruptions_package.load_corruptions.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'fxpgrad\[experiments\]'"):
        corrupt(IMAGES, "contrast", 1, 0)
