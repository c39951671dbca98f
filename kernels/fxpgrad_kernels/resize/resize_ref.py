"""The definition of bilinear resizing, in Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.rounding_shift_ref import shift_scalar

_ONE = 2**10


def _places(
    extent: int, count: int, align_corners: int, half_pixel_centers: int
) -> list[tuple[int, int, int]]:
    """Return for each output row (or column) the input's two, and how far beyond the first it lies."""
    whole, steps = (extent - 1, count - 1) if align_corners and count > 1 else (extent, count)
    scale = (_ONE * whole + steps // 2) // steps
    places = []
    for i in range(count):
        place = i * scale + (scale // 2 - _ONE // 2 if half_pixel_centers else 0)
        first = max(place // _ONE, 0)
        second = min((place + _ONE - 1) // _ONE, extent - 1)
        places.append((first, second, place - _ONE * first))
    return places


def resize_bilinear_ref(
    input: NDArray[Any],
    align_corners: int,
    half_pixel_centers: int,
    ties: int,
    *,
    output_size: tuple[int, int],
) -> NDArray[Any]:
    """Define `resize_bilinear_a8` and `resize_bilinear_a16`."""
    batch, height, width, channels = input.shape
    output = np.zeros((batch, *output_size, channels), input.dtype)
    rows = _places(height, output_size[0], align_corners, half_pixel_centers)
    columns = _places(width, output_size[1], align_corners, half_pixel_centers)
    for oh, (y0, y1, dy) in enumerate(rows):
        for ow, (x0, x1, dx) in enumerate(columns):
            for b, c in np.ndindex(batch, channels):
                pixel = input[b, :, :, c]
                total = int(pixel[y0, x0]) * (_ONE - dy) * (_ONE - dx) + int(pixel[y1, x0]) * dy * (_ONE - dx)
                total += int(pixel[y0, x1]) * (_ONE - dy) * dx + int(pixel[y1, x1]) * dy * dx
                output[b, oh, ow, c] = shift_scalar(total, 20, ties)
    return output
