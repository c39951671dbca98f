"""Accumulate one row of output pixels of a depthwise convolution, tap by tap.

Every product fits int32 ((-255..255) * (-32768..32767) < 2**23). Sums are kept in the type of the
accumulators: int32 wraps modulo 2**32, so that a sum which fits at the end is exact whatever the
order; int64 never wraps. All arrays are flat and offsets unsigned: Numba then tests no index for
being negative, and the loops over channels vectorize.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device


@device
def add_taps(accumulator, to, image, source, step, filters, tap, pixels, outputs, multiplicity, zero_point):
    """Add one tap to `pixels` outputs: accumulator[o] += (image[o // multiplicity] - zero) * filters[o].

    to, source, tap: where the first pixel starts in accumulator, image and filters; step: from one
    input pixel to the next; outputs: channels of an output pixel; zero_point: int32.
    """
    w = np.uint64(tap)
    for pixel in range(pixels):
        a = np.uint64(to + pixel * outputs)
        x = np.uint64(source + pixel * step)
        if multiplicity == 1:
            for c in range(np.uint64(outputs)):
                centred = np.int32(np.int32(image[x + c]) - zero_point)
                accumulator[a + c] += np.int32(centred * np.int32(filters[w + c]))
            continue
        for c in range(outputs // multiplicity):
            centred = np.int32(np.int32(image[x + np.uint64(c)]) - zero_point)
            for m in range(multiplicity):
                o = np.uint64(c * multiplicity + m)
                accumulator[a + o] += np.int32(centred * np.int32(filters[w + o]))


@device
def add_three_taps(
    accumulator, to, image, source, step, reach, filters, tap, tap_size, pixels, outputs, zero_point,
):  # fmt: skip
    """Add three neighbouring taps in one pass; reach: from the input of one tap to that of the next."""
    w0, w1, w2 = np.uint64(tap), np.uint64(tap + tap_size), np.uint64(tap + tap_size + tap_size)
    for pixel in range(pixels):
        a = np.uint64(to + pixel * outputs)
        first = source + pixel * step
        x0, x1, x2 = np.uint64(first), np.uint64(first + reach), np.uint64(first + reach + reach)
        for c in range(np.uint64(outputs)):
            p0 = np.int32(np.int32(image[x0 + c]) - zero_point)
            p1 = np.int32(np.int32(image[x1 + c]) - zero_point)
            p2 = np.int32(np.int32(image[x2 + c]) - zero_point)
            total = np.int32(p0 * np.int32(filters[w0 + c]))
            total = np.int32(total + np.int32(p1 * np.int32(filters[w1 + c])))
            total = np.int32(total + np.int32(p2 * np.int32(filters[w2 + c])))
            accumulator[a + c] += total


@device
def valid_span(offset, stride, extent, count):
    """Return first and end of the output positions p in [0, count) with 0 <= p*stride + offset < extent."""
    first = (max(-offset, np.int64(0)) + stride - np.int64(1)) // stride
    end = min((extent - np.int64(1) - offset) // stride + np.int64(1), count)
    return min(first, count), max(end, min(first, count))


@device
def add_tap_span(
    accumulator, image, row, offset, filters, tap, first, end, stride_w, channels, outputs,
    zero_point,
):  # fmt: skip
    """Add one tap to the output positions [first, end) of a row."""
    if end <= first:
        return
    source = row + (first * stride_w + offset) * channels
    add_taps(
        accumulator, first * outputs, image, source, stride_w * channels, filters, tap, end - first, outputs,
        outputs // channels, zero_point,
    )  # fmt: skip


@device
def add_kernel_row(
    accumulator, image, row, width, channels, filters, tap, tap_size, kernel_w, count, outputs,
    stride_w, pad_left, dilation_w, zero_point,
):  # fmt: skip
    """Add the `kernel_w` taps of one filter row to `count` output pixels; row: where the image row starts."""
    low, high = np.int64(0), np.int64(0)  # the positions that the three-tap pass has done
    if kernel_w == 3 and outputs == channels:
        low = valid_span(-pad_left, stride_w, width, count)[0]
        high = max(valid_span(2 * dilation_w - pad_left, stride_w, width, count)[1], low)
        pixels, each, step = high - low, outputs, stride_w * channels
        add_three_taps(
            accumulator, low * outputs, image, row + (low * stride_w - pad_left) * channels, step,
            dilation_w * channels, filters, tap, tap_size, pixels, each, zero_point,
        )  # fmt: skip
    if low == high:
        low, high = count, count
    for kx in range(kernel_w):
        offset = kx * dilation_w - pad_left
        first, end = valid_span(offset, stride_w, width, count)
        at = tap + kx * tap_size
        add_tap_span(
            accumulator, image, row, offset, filters, at, first, min(end, low), stride_w, channels, outputs,
            zero_point,
        )  # fmt: skip
        add_tap_span(
            accumulator, image, row, offset, filters, at, max(first, high), end, stride_w, channels,
            outputs, zero_point,
        )  # fmt: skip


@device
def add_rows(
    accumulator, image, height, width, channels, b, top, filters, tap_size, kernel_h, kernel_w, count,
    outputs, stride_w, pad_left, dilation_h, dilation_w, zero_point,
):  # fmt: skip
    """Add the whole window of `count` output pixels of one row.

    accumulator: int32 or int64 [count * outputs]; image: int8 [B * H * W * C]; filters: int8 or int16,
    tap after tap, each `tap_size` after the one before (0: all taps share one). top: the input row of
    the first tap. Taps outside the image hold the zero point, so they contribute nothing.
    """
    for ky in range(kernel_h):
        y = top + ky * dilation_h
        if 0 <= y < height:
            row = (b * height + y) * width * channels
            add_kernel_row(
                accumulator, image, row, width, channels, filters, ky * kernel_w * tap_size, tap_size,
                kernel_w, count, outputs, stride_w, pad_left, dilation_w, zero_point,
            )  # fmt: skip
