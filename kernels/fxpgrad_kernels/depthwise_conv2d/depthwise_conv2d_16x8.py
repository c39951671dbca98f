"""Depthwise convolution of int16 activations with int8 weights, sums in int64: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_ref import depthwise_conv2d_16x8_ref
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def _add_tap(sums, pixel, taps, multiplicity):
    """Add the products of one tap: sums[o] += pixel[o // multiplicity] * taps[o]."""
    if multiplicity == 1:
        for o in range(min(sums.size, pixel.size)):
            sums[o] += np.int64(np.int32(np.int32(pixel[o]) * np.int32(taps[o])))
        return
    for c in range(pixel.size):
        value = np.int32(pixel[c])
        for o in range(c * multiplicity, (c + 1) * multiplicity):
            sums[o] += np.int64(np.int32(value * np.int32(taps[o])))


@kernel
def depthwise_conv2d_16x8(
    input, weights, bias, multiplier, shift, sums, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Convolve each int16 channel with its own int8 filters. Arguments: `SPECS`."""
    batch, height, width, channels = input.shape
    _, kernel_h, kernel_w, outputs = weights.shape
    _, output_height, output_width, _ = output.shape
    multiplicity = outputs // channels
    for b in range(batch):
        for oy in range(output_height):
            for ox in range(output_width):
                for o in range(outputs):
                    sums[o] = bias[o]
                for ky in range(kernel_h):
                    y = oy * stride_h - pad_top + ky * dilation_h
                    if y < 0 or y >= height:
                        continue
                    for kx in range(kernel_w):
                        x = ox * stride_w - pad_left + kx * dilation_w
                        if x >= 0 and x < width:
                            _add_tap(sums, input[b, y, x], weights[0, ky, kx], multiplicity)
                pixel = output[b, oy, ox]
                for o in range(outputs):
                    value = requantize(sums[o], multiplier[o], shift[o], rounding)
                    pixel[o] = np.int16(min(max(value, clamp_low), clamp_high))


def _workspace(shapes, parameters):
    del parameters
    return {"sums": shapes["bias"][0]}


SPECS = (
    KernelSpec(
        name="depthwise_conv2d_a16w8",
        operator="depthwise_conv2d",
        function=depthwise_conv2d_16x8,
        reference=depthwise_conv2d_16x8_ref,
        workspace=_workspace,
        arguments=(
            array("input", "input", "int16", "B H W C"),
            array("weights", "constant", "int8", "1 KH KW O"),
            array("bias", "constant", "int64", "O", -(2**46), 2**46),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("sums", "workspace", "int64", "O"),
            array("output", "output", "int16", "B OH OW O"),
            parameter("stride_h", 1, 2**15),
            parameter("stride_w", 1, 2**15),
            parameter("pad_top", 0, 2**15),
            parameter("pad_left", 0, 2**15),
            parameter("dilation_h", 1, 2**15),
            parameter("dilation_w", 1, 2**15),
            parameter("clamp_low", -(2**15), 2**15 - 1),
            parameter("clamp_high", -(2**15), 2**15 - 1),
            parameter("rounding", 0, 5),
        ),
    ),
)
