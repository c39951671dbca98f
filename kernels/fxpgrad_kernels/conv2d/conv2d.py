"""2-D convolution, NHWC, filters OHWI: the kernels. `contract.md` has the arithmetic."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.conv2d.conv2d_ref import conv2d_ref
from fxpgrad_kernels.gemm.ends import COLUMNS
from fxpgrad_kernels.gemm.gemm import (
    BLOCK,
    SCRATCH,
    SPLIT,
    multiply_rows,
    rows_near,
    start_rows,
    widen,
    widen_rows,
)
from fxpgrad_kernels.gemm.prepare import panel_elements, prepare_layer, prepare_records
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, Preparation, Records, array, parameter


@device
def _fill(target, value):
    """Set every element."""
    for i in range(target.size):
        target[i] = value


@device
def _pad_image(
    image, height, width, depth, padded, padded_height, padded_width, pad_top, pad_left, zero_point
):  # fmt: skip
    """Widen one flat int8 image to int16 with the zero point around it, cropped to what is read."""
    fill = np.int16(zero_point)
    columns = min(width, padded_width - pad_left) * depth
    lines = min(height, padded_height - pad_top) if columns > 0 else np.int64(0)
    end = np.int64(0)
    for y in range(lines):
        start = ((y + pad_top) * padded_width + pad_left) * depth
        _fill(padded[end:start], fill)  # what is right of the last line and left of this one
        end = start + columns
        widen(image[y * width * depth :], padded[start:end])
    _fill(padded[end : padded_height * padded_width * depth], fill)


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
def _start_windows(row_offset, first, width, stride_h, stride_w, padded_width, depth):
    """Write where the windows of the output pixels from number `first` on start in the padded image."""
    y = first // width
    x = first - y * width
    step = stride_w * depth
    done = np.int64(0)
    while done < row_offset.size:
        run = row_offset[done : done + width - x]  # to the end of this line of the output
        start = y * stride_h * padded_width * depth + x * step
        for i in range(run.size):
            run[i] = start + i * step
        done += run.size
        x = np.int64(0)
        y += 1


@kernel
def conv2d(
    input, weights, bias, multiplier, shift, panels, channels, padded, scratch, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Convolve with 8- or 16-bit weights. Arguments: `SPECS`; arithmetic: `contract.md`.

    Panels narrower than the weights hold their bytes: the split form.
    """
    images, image_height, image_width, depth = input.shape
    filters, kernel_h, kernel_w, group_channels = weights.shape
    _, height, width, _ = output.shape
    mode = np.int64(SPLIT) if panels.itemsize < weights.itemsize else accumulator_bits
    padded_height = (height - 1) * stride_h + (kernel_h - 1) * dilation_h + 1
    padded_width = (width - 1) * stride_w + (kernel_w - 1) * dilation_w + 1
    num_segments, segment_length = _segments(
        kernel_h, kernel_w, dilation_h, dilation_w, depth, group_channels, padded_width, scratch[SCRATCH:]
    )
    image, result = flat(input), flat(output)  # result: [images * pixels, filters]
    pixels = height * width
    block = np.int64(BLOCK)
    stays = stride_h * stride_w == 1 and pad_top + pad_left == 0
    pointwise = (
        kernel_h * kernel_w * groups == 1 and stays and height == image_height and width == image_width
    )
    if pointwise:  # all images are one matrix
        pixels, images = pixels * images, 1
        block = start_rows(depth, pixels, padded, scratch)
    for n in range(images):
        if not pointwise:
            _pad_image(
                image[n * image_height * image_width * depth :], image_height, image_width, depth, padded,
                padded_height, padded_width, pad_top, pad_left, input_zero_point,
            )  # fmt: skip
        for first in range(0, pixels, block):
            count = min(block, pixels - first)
            if pointwise:
                widen_rows(image, first, count, depth, padded)
            else:
                offsets = scratch[SCRATCH - BLOCK : SCRATCH - BLOCK + count]
                _start_windows(offsets, first, width, stride_h, stride_w, padded_width, depth)
            multiply_rows(
                padded, scratch[SCRATCH - BLOCK :], count, scratch[SCRATCH:], num_segments, segment_length,
                groups, group_channels, panels, channels, multiplier, shift, mode, rounding,
                output_zero_point, clamp_low, clamp_high, scratch, result[(n * pixels + first) * filters :],
                None, filters,
            )  # fmt: skip


@kernel
def prepare_conv2d(
    weights, bias, multiplier, shift, panels, channels,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write the panels and the records of `conv2d`."""
    _, kernel_h, kernel_w, group_channels = weights.shape
    num_segments, segment_length = kernel_h * kernel_w, group_channels
    if dilation_w == 1 and groups == 1:
        num_segments, segment_length = kernel_h, kernel_w * group_channels
    prepare_layer(
        flat(weights), bias, multiplier, shift, groups, num_segments, segment_length, input_zero_point,
        rounding, panels, channels,
    )  # fmt: skip


@kernel
def prepare_conv2d_records(
    weights, bias, multiplier, shift, panels, channels, new_channels,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write the records of `conv2d` alone: the weights are those of `panels` and `channels`."""
    prepare_records(
        flat(weights), bias, multiplier, shift, groups, input_zero_point, rounding,
        panels.itemsize < weights.itemsize, channels, new_channels,
    )  # fmt: skip


def _layout(weights, parameters):
    """Return the number and the length of the runs that one output reads."""
    _, kernel_h, kernel_w, group_channels = weights
    if parameters["dilation_w"] == 1 and parameters["groups"] == 1:
        return kernel_h, kernel_w * group_channels
    return kernel_h * kernel_w, group_channels


def _workspace(shapes, parameters):
    _, kernel_h, kernel_w, _ = shapes["weights"]
    depth = shapes["input"][3]
    _, height, width, _ = shapes["output"]
    padded_height = (height - 1) * parameters["stride_h"] + (kernel_h - 1) * parameters["dilation_h"] + 1
    padded_width = (width - 1) * parameters["stride_w"] + (kernel_w - 1) * parameters["dilation_w"] + 1
    padded = padded_height * padded_width * depth + 1
    if kernel_h == kernel_w == 1:
        row_length = depth + depth % 2
        padded = max(padded, rows_near(row_length) * row_length)
    segments, _ = _layout(shapes["weights"], parameters)
    return {"padded": padded, "scratch": SCRATCH + segments}


def _elements(shapes, parameters):
    segments, length = _layout(shapes["weights"], parameters)
    return panel_elements(shapes["weights"][0], segments, length, parameters["groups"])


def _elements_split(shapes, parameters):
    elements = _elements(shapes, parameters)
    return {**elements, "panels": 2 * elements["panels"]}


def _spec(name, function, weight_dtype, panel_dtype, preparation):
    return KernelSpec(
        name=name,
        operator="conv2d",
        function=function,
        reference=conv2d_ref,
        workspace=_workspace,
        preparation=preparation,
        arguments=(
            array("input", "input", "int8", "B H W C"),
            array("weights", "constant", weight_dtype, "O KH KW C/G"),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            array("panels", "prepared", panel_dtype, "Q"),
            array("channels", "prepared", "int32", "R"),
            array("padded", "workspace", "int16", "P"),
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


_RECORDS = Records(prepare_conv2d_records, "channels")
_WHOLE = Preparation(prepare_conv2d, _elements, COLUMNS, _RECORDS)
_SPLIT = Preparation(prepare_conv2d, _elements_split, COLUMNS, _RECORDS)

SPECS = (
    _spec("conv2d_a8w8", conv2d, "int8", "int8", _WHOLE),
    _spec("conv2d_a8w16", conv2d, "int16", "int16", _WHOLE),
    _spec("conv2d_a8w16_split", conv2d, "int16", "int8", _SPLIT),
)
