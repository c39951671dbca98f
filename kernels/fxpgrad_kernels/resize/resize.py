"""Bilinear resizing of images: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.rounding_shift import rounding_shift
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.resize.resize_ref import resize_bilinear_ref
from fxpgrad_kernels.spec import KernelSpec, array, parameter

__all__ = ["SPECS", "resize_bilinear"]


@device
def _step(extent, count, align_corners):
    """Return the distance of neighbouring outputs in the input, in 1/1024, to nearest."""
    whole, steps = np.int64(extent), np.int64(count)
    if align_corners and count > 1:
        whole -= np.int64(1)
        steps -= np.int64(1)
    return ((whole << np.int64(10)) + (steps >> np.int64(1))) // steps


@device
def _place(index, step, half_pixel_centers):
    """Return where an output stands in the input, in 1/1024; at least -512."""
    place = np.int64(index) * step
    if half_pixel_centers:
        place += (step >> np.int64(1)) - np.int64(512)
    return place


@kernel
def resize_bilinear(input, output, align_corners, half_pixel_centers, ties):
    """Interpolate between the four nearest pixels.

    Parameters
    ----------
    input : int8 or int16 [B, H, W, C]
        Images.
    output : as the input [B, OH, OW, C]
        Written; the input's quantization.
    align_corners, half_pixel_centers : 0 or 1
        Which points of both images fall together; at most one of them is 1.
    ties : int
        A code of `profiles.ShiftRounding`: NEAREST_UP or NEAREST_AWAY.
    """
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    one = np.int64(1 << 10)
    step_y = _step(height, output.shape[1], align_corners)
    step_x = _step(width, output.shape[2], align_corners)
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            y = _place(oh, step_y, half_pixel_centers)
            y0 = max(y >> np.int64(10), np.int64(0))
            y1 = min((y + one - np.int64(1)) >> np.int64(10), np.int64(height - 1))
            dy = y - (y0 << np.int64(10))
            for ow in range(output.shape[2]):
                x = _place(ow, step_x, half_pixel_centers)
                x0 = max(x >> np.int64(10), np.int64(0))
                x1 = min((x + one - np.int64(1)) >> np.int64(10), np.int64(width - 1))
                dx = x - (x0 << np.int64(10))
                for c in range(channels):
                    total = np.int64(input[b, y0, x0, c]) * (one - dy) * (one - dx)
                    total += np.int64(input[b, y1, x0, c]) * dy * (one - dx)
                    total += np.int64(input[b, y0, x1, c]) * (one - dy) * dx
                    total += np.int64(input[b, y1, x1, c]) * dy * dx
                    output[b, oh, ow, c] = rounding_shift(total, np.int64(20), ties)


SPECS = tuple(
    KernelSpec(
        f"resize_bilinear_a{bits}", "resize", resize_bilinear, resize_bilinear_ref,
        (
            array("input", "input", f"int{bits}", "B H W C"),
            array("output", "output", f"int{bits}", "B OH OW C"),
            parameter("align_corners", 0, 1),
            parameter("half_pixel_centers", 0, 1),
            parameter("ties", 2, 3),
        ),
    )
    for bits in (8, 16)
)  # fmt: skip
