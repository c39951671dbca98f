"""Images as a bad sensor, bad weather or a bad transmission would make them, by seed.

The nineteen corruptions of Hendrycks and Dietterich, *Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations* (ICLR 2019), from the package imagecorruptions. Its strengths are those of
ImageNet-C at 224x224; the published CIFAR-10-C took milder ones, so that equal names and severities are
harder here and accuracies must not be compared with CIFAR-10-C's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.tasks.imagecorruptions_package import load_corruptions

COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise",
    "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
CORRUPTIONS = COMMON + EXTRA
SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST = 32

OnImage = Callable[[int, int], None]


def corrupt(
    images: NDArray[np.uint8], name: str, severity: int, seed: int, on_image: OnImage | None = None
) -> NDArray[np.uint8]:
    """Return the images corrupted, each by randomness of its own.

    Parameters
    ----------
    images
        uint8 [n, h, w, 3], RGB, h and w at least 32.
    name
        One of `CORRUPTIONS`.
    severity
        1 (mild) to 5.
    seed
        Integer >= 0.
    on_image
        Called with (images done, images in all) after each.

    Returns
    -------
    uint8 [n, h, w, 3]

    Raises
    ------
    InputError
        An unknown name, another severity, or an array that does not fit.
    MissingExtraError
        imagecorruptions is not installed.

    Notes
    -----
    What an image becomes depends on (its pixels, name, severity, seed): not on its place, on the other
    images, or on how the work is shared out to processes. It may depend on the versions of the packages
    behind it. "spatter" without a drop divides zero by zero there; here it leaves the image as it was.
    The package draws from NumPy's global generator, which is seeded for each image and left as
    it was found; do not call this from two threads at once.
    """
    _check(images, name, severity, seed)
    function = load_corruptions()[name]
    from PIL import Image  # noqa: PLC0415 - comes with imagecorruptions

    result = np.empty_like(images)
    before = np.random.get_state()
    try:
        for i, image in enumerate(images):
            np.random.seed(_words(image, name, severity, seed))
            with np.errstate(invalid="ignore"):
                values = np.asarray(function(Image.fromarray(image), int(severity)))
            result[i] = np.where(np.isfinite(values), values, image).astype(np.uint8)
            if on_image is not None:
                on_image(i + 1, len(images))
    finally:
        np.random.set_state(before)
    return result


def _words(image: NDArray[np.uint8], name: str, severity: int, seed: int) -> NDArray[np.uint32]:
    """Return the seed of one image's randomness, eight 32-bit words."""
    digest = hashlib.sha256(f"{name} {severity} {seed} {image.shape} ".encode() + image.tobytes()).digest()
    return np.frombuffer(digest, "<u4")


def _check(images: NDArray[np.uint8], name: str, severity: int, seed: int) -> None:
    if name not in CORRUPTIONS:
        raise InputError(f"name must be one of {', '.join(CORRUPTIONS)}; got {name!r}")
    if isinstance(severity, bool) or severity not in SEVERITIES:
        raise InputError(f"severity must be an integer in 1..5; got {severity!r}")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be an integer of at least 0; got {seed!r}")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise InputError(
            f"images must be a uint8 array; got {getattr(images, 'dtype', type(images).__name__)}"
        )
    if images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < SMALLEST:
        raise InputError(
            f"images must be [n, h, w, 3] with h and w of at least {SMALLEST}; got {images.shape}"
        )
