"""2-D convolution of int16 activations with int8 weights, sums in int64: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.dot_product import dot_in_blocks
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.conv2d.conv2d_ref import conv2d_16x8_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter

_BLOCK = 511  # products of int16 and int8 that fit int32


@device
def _inside(origin, taps, dilation, extent):
    """Return the first tap that lies in [0, extent), and one past the last; first = last for none."""
    first = np.int64(0)
    while first < taps and origin + first * dilation < 0:
        first += 1
    last = np.int64(taps)
    while last > first and origin + (last - 1) * dilation >= extent:
        last -= 1
    return first, last


@device
def _sum(
    image, filters, y, x, o, ky0, ky1, kx0, kx1, width, channels, kernel_w, group_channels, channel,
    dilation_h, dilation_w,
):  # fmt: skip
    """Return the exact sum of products of filter `o` on one window of a flat image.

    `filters` is flat [O, KH, KW, C/G], and `o` the offset of one filter; `channel` is the group's first.
    """
    total = np.int64(0)
    joined = dilation_w == 1 and group_channels == channels
    for ky in range(ky0, ky1):
        line = (y + ky * dilation_h) * width
        if joined:
            run = (kx1 - kx0) * channels
            source = (line + x + kx0) * channels
            taps = o + (ky * kernel_w + kx0) * channels
            total += dot_in_blocks(image[source : source + run], filters[taps : taps + run], np.int64(_BLOCK))
            continue
        for kx in range(kx0, kx1):
            source = (line + x + kx * dilation_w) * channels + channel
            taps = o + (ky * kernel_w + kx) * group_channels
            total += dot_in_blocks(
                image[source : source + group_channels],
                filters[taps : taps + group_channels],
                np.int64(_BLOCK),
            )
    return total


@kernel
def conv2d_16x8(
    input, weights, bias, multiplier, shift, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Convolve int16 activations with int8 weights. Arguments: `SPECS`; arithmetic: `contract.md`."""
    batch, height, width, channels = input.shape
    outputs, kernel_h, kernel_w, group_channels = weights.shape
    _, output_height, output_width, _ = output.shape
    size = kernel_h * kernel_w * group_channels
    group_outputs = outputs // groups
    filters = weights.reshape(-1)
    for b in range(batch):
        image = input[b].reshape(-1)
        for oy in range(output_height):
            y = oy * stride_h - pad_top
            ky0, ky1 = _inside(y, kernel_h, dilation_h, height)
            for ox in range(output_width):
                x = ox * stride_w - pad_left
                kx0, kx1 = _inside(x, kernel_w, dilation_w, width)
                pixel = output[b, oy, ox]
                for o in range(outputs):
                    total = bias[o] + _sum(
                        image, filters, y, x, o * size, ky0, ky1, kx0, kx1, width, channels, kernel_w,
                        group_channels, (o // group_outputs) * group_channels, dilation_h, dilation_w,
                    )  # fmt: skip
                    value = requantize(total, multiplier[o], shift[o], rounding)
                    pixel[o] = np.int16(min(max(value, clamp_low), clamp_high))


SPECS = (
    KernelSpec(
        name="conv2d_a16w8",
        operator="conv2d",
        function=conv2d_16x8,
        reference=conv2d_16x8_ref,
        arguments=(
            array("input", "input", "int16", "B H W C"),
            array("weights", "constant", "int8", "O KH KW C/G"),
            array("bias", "constant", "int64", "O", -(2**46), 2**46),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("output", "output", "int16", "B OH OW O"),
            parameter("stride_h", 1, 2**15),
            parameter("stride_w", 1, 2**15),
            parameter("pad_top", 0, 2**15),
            parameter("pad_left", 0, 2**15),
            parameter("dilation_h", 1, 2**15),
            parameter("dilation_w", 1, 2**15),
            parameter("groups", 1, 2**15),
            parameter("clamp_low", -(2**15), 2**15 - 1),
            parameter("clamp_high", -(2**15), 2**15 - 1),
            parameter("rounding", 0, 5),
        ),
    ),
)
