"""Transposed 2-D convolution, NHWC, filters OHWI: the kernels. `contract.md` has the arithmetic."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.dot_product import dot_in_blocks
from fxpgrad_kernels.arithmetic.requantize import requantize
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter
from fxpgrad_kernels.transpose_conv2d.transpose_conv2d_ref import (
    transpose_conv2d_16x8_ref,
    transpose_conv2d_ref,
)

_BLOCK = 255  # products of a value in [-255, 255] and int16, or of int16 and int8, that fit int32


@device
def _source(position, stride, extent):
    """Return the input index that a tap reads, or -1: position / stride, if that is whole and inside."""
    if position < 0:
        return np.int64(-1)
    index = position // stride
    if index * stride != position or index >= extent:
        return np.int64(-1)
    return np.int64(index)


@device
def _accumulate(image, weights, sums, y, x, height, width, stride_h, stride_w):
    """Add to `sums` [O] all products that the scattered filters leave at output position (y, x).

    `image` is flat, int16, its zero point subtracted; `y` and `x` count from the padded corner.
    """
    outputs, kernel_h, kernel_w, channels = weights.shape
    for ky in range(kernel_h):
        source_y = _source(y - ky, stride_h, height)
        if source_y < 0:
            continue
        for kx in range(kernel_w):
            source_x = _source(x - kx, stride_w, width)
            if source_x < 0:
                continue
            start = (source_y * width + source_x) * channels
            pixel = image[start : start + channels]
            for o in range(outputs):
                sums[o] += dot_in_blocks(pixel, weights[o, ky, kx], np.int64(_BLOCK))


@kernel
def transpose_conv2d(
    input, weights, bias, multiplier, shift, centred, sums, output,
    stride_h, stride_w, pad_top, pad_left, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Scatter int8 activations through 8- or 16-bit filters. Arguments: `SPECS`."""
    batch, height, width, _ = input.shape
    _, output_height, output_width, outputs = output.shape
    for b in range(batch):
        image = input[b].reshape(-1)
        for i in range(image.size):
            centred[i] = np.int16(image[i] - input_zero_point)
        for oy in range(output_height):
            for ox in range(output_width):
                for o in range(outputs):
                    sums[o] = np.int64(bias[o])
                _accumulate(
                    centred, weights, sums, oy + pad_top, ox + pad_left, height, width, stride_h, stride_w
                )
                pixel = output[b, oy, ox]
                for o in range(outputs):
                    value = requantize(sums[o], multiplier[o], shift[o], rounding) + output_zero_point
                    pixel[o] = np.int8(min(max(value, clamp_low), clamp_high))


@kernel
def transpose_conv2d_16x8(
    input, weights, bias, multiplier, shift, sums, output,
    stride_h, stride_w, pad_top, pad_left, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Scatter int16 activations through 8-bit filters. Arguments: `SPECS`."""
    batch, height, width, _ = input.shape
    _, output_height, output_width, outputs = output.shape
    for b in range(batch):
        image = input[b].reshape(-1)
        for oy in range(output_height):
            for ox in range(output_width):
                for o in range(outputs):
                    sums[o] = bias[o]
                _accumulate(
                    image, weights, sums, oy + pad_top, ox + pad_left, height, width, stride_h, stride_w
                )
                pixel = output[b, oy, ox]
                for o in range(outputs):
                    value = requantize(sums[o], multiplier[o], shift[o], rounding)
                    pixel[o] = np.int16(min(max(value, clamp_low), clamp_high))


def _workspace(shapes, parameters):
    del parameters
    _, height, width, channels = shapes["input"]
    return {"centred": height * width * channels, "sums": shapes["bias"][0]}


def _workspace_16x8(shapes, parameters):
    del parameters
    return {"sums": shapes["bias"][0]}


_GEOMETRY = (
    parameter("stride_h", 1, 2**15),
    parameter("stride_w", 1, 2**15),
    parameter("pad_top", 0, 2**15),
    parameter("pad_left", 0, 2**15),
)


def _spec(name, weight_dtype):
    return KernelSpec(
        name=name,
        operator="transpose_conv2d",
        function=transpose_conv2d,
        reference=transpose_conv2d_ref,
        workspace=_workspace,
        arguments=(
            array("input", "input", "int8", "B H W C"),
            array("weights", "constant", weight_dtype, "O KH KW C"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("centred", "workspace", "int16", "H*W*C"),
            array("sums", "workspace", "int64", "O"),
            array("output", "output", "int8", "B OH OW O"),
            *_GEOMETRY,
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("rounding", 0, 5),
        ),
    )


SPECS = (
    _spec("transpose_conv2d_a8w8", "int8"),
    _spec("transpose_conv2d_a8w16", "int16"),
    KernelSpec(
        name="transpose_conv2d_a16w8",
        operator="transpose_conv2d",
        function=transpose_conv2d_16x8,
        reference=transpose_conv2d_16x8_ref,
        workspace=_workspace_16x8,
        arguments=(
            array("input", "input", "int16", "B H W C"),
            array("weights", "constant", "int8", "O KH KW C"),
            array("bias", "constant", "int64", "O", -(2**46), 2**46),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("sums", "workspace", "int64", "O"),
            array("output", "output", "int16", "B OH OW O"),
            *_GEOMETRY,
            parameter("clamp_low", -(2**15), 2**15 - 1),
            parameter("clamp_high", -(2**15), 2**15 - 1),
            parameter("rounding", 0, 5),
        ),
    ),
)
