"""Rows of pairs: two rows of the image, centred, widened to int16 and padded, in a ring of few rows."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.depthwise_conv2d.vectors import clear_run, pair_run
from fxpgrad_kernels.jit import device


@device
def clear_edges(lines, ring, pairs, pitch, pad_left, width, reach):
    """Put zeros left and right of the image in every row of the ring.

    Returns the lane of the first image pixel and how many pixels of the image fit.
    """
    left = min(pad_left * reach, pitch)
    pixels = min(width, (pitch - left) // reach)
    end = left + pixels * reach
    for slot in range(pairs):
        start = ring + slot * pitch
        clear_run(lines, start, left)
        clear_run(lines, start + end, pitch - end)
    return left, pixels


@device
def pair_pixels(
    image, first, second, channels, outputs, count, reach, zero_point, first_mask, second_mask, lines, to
):  # fmt: skip
    """Pair `count` pixels one value at a time, each repeated for the outputs that read it."""
    multiplicity = outputs // channels
    zero = np.int32(zero_point)
    upper_mask, lower_mask = np.int32(first_mask), np.int32(second_mask)
    for pixel in range(count):
        at = to + pixel * reach
        for c in range(pixel * channels, (pixel + 1) * channels):
            upper = np.int32(np.int32(np.int32(image[first + c]) - zero) & upper_mask)
            lower = np.int32(np.int32(np.int32(image[second + c]) - zero) & lower_mask)
            pair = np.int32(np.int32(upper & np.int32(0xFFFF)) | np.int32(lower << np.int32(16)))
            for _ in range(multiplicity):
                lines[at] = pair
                at += 1


@device
def pair_rows(
    image, base, height, width, channels, outputs, upper, lower, zero_point, lines, to, reach, count
):  # fmt: skip
    """Write one row of pairs from the image rows `upper` and `lower`; a row outside the image is zeros.

    image: int8, flat, this image from `base` on; to: the lane of the first pixel; count: pixels;
    reach: lanes from one pixel to the next.
    """
    first_mask, first = np.int64(0), base
    if 0 <= upper < height:
        first_mask, first = np.int64(-1), base + upper * width * channels
    second_mask, second = np.int64(0), base
    if 0 <= lower < height:
        second_mask, second = np.int64(-1), base + lower * width * channels
    runs, run = count, channels
    if reach == channels:  # pixels lie side by side on both sides
        runs, run = np.int64(1), count * channels
    if channels == outputs and run >= 16:
        for each in range(runs):
            pair_run(
                image, first + each * run, second + each * run, run, zero_point, first_mask, second_mask,
                lines, to + each * reach,
            )  # fmt: skip
    else:
        pair_pixels(
            image, first, second, channels, outputs, count, reach, zero_point, first_mask, second_mask, lines,
            to,
        )  # fmt: skip
