"""2-D convolution, NHWC, filters OHWI: the kernels. `contract.md` has the arithmetic."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.conv2d.conv2d_ref import conv2d_ref
from fxpgrad_kernels.gemm.epilogue import load_channels, store_requantized
from fxpgrad_kernels.gemm.gemm import SPLIT, compute_tile, prepare_panel
from fxpgrad_kernels.gemm.tile import COLUMNS, ROWS
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def _pad_image(image, padded, padded_height, padded_width, pad_top, pad_left, value):
    """Widen one int8 image to int16 with `value` (the zero point) around it, cropped to what is read."""
    height, width, channels = image.shape
    fill = np.int16(value)
    columns = min(width, padded_width - pad_left) * channels
    for y in range(padded_height):
        line = padded[y * padded_width * channels : (y + 1) * padded_width * channels]
        source = y - pad_top
        if source < 0 or source >= height or columns <= 0:
            for i in range(line.size):
                line[i] = fill
            continue
        left = pad_left * channels
        row = image[source].reshape(-1)[:columns]
        inner = line[left : left + columns]
        for i in range(left):
            line[i] = fill
        for i in range(inner.size):
            inner[i] = np.int16(row[i])
        for i in range(left + columns, line.size):
            line[i] = fill


@device
def _segments(kernel_h, kernel_w, dilation_h, dilation_w, channels, group_channels, padded_width, offsets):
    """Fill the runs that one output reads; return their number and length."""
    if dilation_w == 1 and group_channels == channels:
        for ky in range(kernel_h):
            offsets[ky] = ky * dilation_h * padded_width * channels
        return kernel_h, kernel_w * channels
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            offsets[ky * kernel_w + kx] = (ky * dilation_h * padded_width + kx * dilation_w) * channels
    return kernel_h * kernel_w, group_channels


@device
def _conv2d(
    input, weights, bias, multiplier, shift, padded, panel, tile, scratch, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, mode,
):  # fmt: skip
    batch, _, _, channels = input.shape
    filters, kernel_h, kernel_w, group_channels = weights.shape
    _, height, width, _ = output.shape
    padded_height = (height - 1) * stride_h + (kernel_h - 1) * dilation_h + 1
    padded_width = (width - 1) * stride_w + (kernel_w - 1) * dilation_w + 1
    wide = scratch[: ROWS * COLUMNS]
    folded = scratch[ROWS * COLUMNS : (ROWS + 1) * COLUMNS]
    channel_scales = scratch[(ROWS + 1) * COLUMNS : (ROWS + 3) * COLUMNS]
    row_offset = scratch[(ROWS + 3) * COLUMNS : (ROWS + 3) * COLUMNS + ROWS]
    segment_offset = scratch[(ROWS + 3) * COLUMNS + ROWS :]
    num_segments, segment_length = _segments(
        kernel_h, kernel_w, dilation_h, dilation_w, channels, group_channels, padded_width, segment_offset
    )
    flat_weights = weights.reshape(-1)
    pixels = output.reshape(-1)  # [batch * height * width, filters]; a 2-D reshape would divide in float
    group_filters = filters // groups
    for group in range(groups):
        for first in range(0, group_filters, COLUMNS):
            column = group * group_filters + first
            count = min(COLUMNS, group_filters - first)
            prepare_panel(
                flat_weights, bias, column, count, num_segments, segment_length,
                input_zero_point, mode, panel, folded,
            )  # fmt: skip
            load_channels(multiplier, shift, column, count, channel_scales)
            for n in range(batch):
                _pad_image(input[n], padded, padded_height, padded_width, pad_top, pad_left, input_zero_point)
                x = np.int64(0)
                y = np.int64(0)
                for pixel in range(0, height * width, ROWS):
                    for r in range(ROWS):
                        row_offset[r] = (
                            y * stride_h * padded_width + x * stride_w
                        ) * channels + group * group_channels
                        if pixel + r + 1 < height * width:  # past the end, the last row repeats
                            x += 1
                            if x == width:
                                x = np.int64(0)
                                y += 1
                    compute_tile(
                        padded, row_offset, segment_offset, num_segments, segment_length,
                        panel, folded, mode, tile, wide,
                    )  # fmt: skip
                    start = (n * height * width + pixel) * filters + column
                    for r in range(min(ROWS, height * width - pixel)):
                        store_requantized(
                            wide, r, channel_scales, output_zero_point, clamp_low, clamp_high, rounding,
                            pixels[start + r * filters : start + r * filters + count],
                        )  # fmt: skip


@kernel
def conv2d(
    input, weights, bias, multiplier, shift, padded, panel, tile, scratch, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Convolve with 8- or 16-bit weights. Arguments: `SPECS`; arithmetic: `contract.md`."""
    _conv2d(
        input, weights, bias, multiplier, shift, padded, panel, tile, scratch, output,
        stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
        input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
    )  # fmt: skip


@kernel
def conv2d_split(
    input, weights, bias, multiplier, shift, padded, panel, tile, scratch, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Convolve with 16-bit weights as two passes of 8-bit ones; equal to `conv2d` in every bit."""
    _conv2d(
        input, weights, bias, multiplier, shift, padded, panel, tile, scratch, output,
        stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
        input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, np.int64(SPLIT),
    )  # fmt: skip


def _workspace(shapes, parameters, panels=1):
    _, kernel_h, kernel_w, group_channels = shapes["weights"]
    channels = shapes["input"][3]
    _, height, width, _ = shapes["output"]
    padded_height = (height - 1) * parameters["stride_h"] + (kernel_h - 1) * parameters["dilation_h"] + 1
    padded_width = (width - 1) * parameters["stride_w"] + (kernel_w - 1) * parameters["dilation_w"] + 1
    if parameters["dilation_w"] == 1 and group_channels == channels:
        segments, length = kernel_h, kernel_w * channels
    else:
        segments, length = kernel_h * kernel_w, group_channels
    return {
        "padded": padded_height * padded_width * channels + 1,
        "panel": panels * segments * (length + length % 2) * COLUMNS,
        "tile": ROWS * COLUMNS,
        "scratch": (ROWS + 3) * COLUMNS + ROWS + segments,
    }


def _workspace_split(shapes, parameters):
    return _workspace(shapes, parameters, panels=2)


def _spec(name, function, weight_dtype, workspace):
    return KernelSpec(
        name=name,
        operator="conv2d",
        function=function,
        reference=conv2d_ref,
        workspace=workspace,
        arguments=(
            array("input", "input", "int8", "B H W C"),
            array("weights", "constant", weight_dtype, "O KH KW C/G"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("padded", "workspace", "int16", "P"),
            array("panel", "workspace", "int16", "Q"),
            array("tile", "workspace", "int32", "T"),
            array("scratch", "workspace", "int64", "S"),
            array("output", "output", "int8", "B OH OW O"),
            parameter("stride_h", 1, 2**15),
            parameter("stride_w", 1, 2**15),
            parameter("pad_top", 0, 2**15),
            parameter("pad_left", 0, 2**15),
            parameter("dilation_h", 1, 2**15),
            parameter("dilation_w", 1, 2**15),
            parameter("groups", 1, 2**15),
            parameter("input_zero_point", -128, 127),
            parameter("output_zero_point", -128, 127),
            parameter("clamp_low", -128, 127),
            parameter("clamp_high", -128, 127),
            parameter("rounding", 0, 5),
            parameter("accumulator_bits", 32, 64),
        ),
    )


SPECS = (
    _spec("conv2d_a8w8", conv2d, "int8", _workspace),
    _spec("conv2d_a8w16", conv2d, "int16", _workspace),
    _spec("conv2d_a8w16_split", conv2d_split, "int16", _workspace_split),
)
