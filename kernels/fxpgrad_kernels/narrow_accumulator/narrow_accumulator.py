"""Layers with weights in an accumulator of 8 to 32 bits that wraps or saturates: see `contract.md`."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.narrow_accumulator.accumulate import (
    add_depthwise,
    add_products,
    add_products_32,
    finish,
)
from fxpgrad_kernels.narrow_accumulator.narrow_accumulator_ref import (
    conv2d_narrow_ref,
    depthwise_conv2d_narrow_ref,
    fully_connected_narrow_ref,
)
from fxpgrad_kernels.spec import KernelSpec, array, parameter


@device
def _pack(weights, first, count, size, panel):
    """Write filters `first` to `first + count` of flat weights [O, size] as panel [size, count]."""
    for o in range(count):
        filters = weights[(first + o) * size : (first + o + 1) * size]
        for k in range(filters.size):
            panel[k * count + o] = np.int16(filters[k])


@device
def _add_run(
    pixels, panel, count, zero_point, sums32, overflows32, largest32, sums, overflows, largest, bits, saturate
):  # fmt: skip
    """Add the products of a run of inputs with as many rows of the panel [run, count]."""
    for k in range(pixels.size):
        value = np.int64(pixels[k]) - zero_point
        taps = panel[k * count : (k + 1) * count]
        if bits < 32:
            add_products(value, taps, sums32, overflows32, largest32, bits, saturate)
        else:
            add_products_32(value, taps, sums, overflows, largest, saturate)


@device
def _clear(narrow, wide):
    """Set the sums, counts and largest magnitudes of one output pixel to 0."""
    for i in range(narrow.size):
        narrow[i] = np.int32(0)
    for i in range(wide.size):
        wide[i] = np.int64(0)


@device
def _finish_pixel(
    result, first, count, bias, multiplier, shift, statistics, narrow, wide, bits, saturate,
    output_zero_point, clamp_low, clamp_high, rounding,
):  # fmt: skip
    """Write `count` output channels of one pixel from whichever sums were kept."""
    for o in range(count):
        if bits < 32:
            total = np.int64(narrow[o])
            overflows = np.int64(narrow[count + o])
            largest = np.int64(narrow[2 * count + o])
        else:
            total, overflows, largest = wide[o], wide[count + o], wide[2 * count + o]
        result[first + o] = finish(
            total, overflows, largest, first + o, bias, multiplier, shift, statistics, bits, saturate,
            output_zero_point, clamp_low, clamp_high, rounding,
        )  # fmt: skip


@kernel
def conv2d_narrow(
    input, weights, bias, multiplier, shift, panel, narrow, wide, statistics, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits, saturate,
):  # fmt: skip
    """Convolve; each sum is kept in `accumulator_bits` bits. Arguments: `SPECS`; order: `contract.md`."""
    batch, height, width, _ = input.shape
    outputs, kernel_h, kernel_w, depth = weights.shape
    _, output_height, output_width, _ = output.shape
    count = outputs // groups
    flat = weights.reshape(-1)
    for i in range(statistics.size):
        statistics[i] = 0
    for group in range(groups):
        _pack(flat, group * count, count, kernel_h * kernel_w * depth, panel)
        for b in range(batch):
            for oy in range(output_height):
                for ox in range(output_width):
                    _clear(narrow, wide)
                    for ky in range(kernel_h):
                        y = oy * stride_h - pad_top + ky * dilation_h
                        if y < 0 or y >= height:
                            continue
                        for kx in range(kernel_w):
                            x = ox * stride_w - pad_left + kx * dilation_w
                            if x < 0 or x >= width:
                                continue
                            _add_run(
                                input[b, y, x, group * depth : (group + 1) * depth],
                                panel[(ky * kernel_w + kx) * depth * count :], count, input_zero_point,
                                narrow[:count], narrow[count : 2 * count], narrow[2 * count :],
                                wide[:count], wide[count : 2 * count], wide[2 * count :],
                                accumulator_bits, saturate != 0,
                            )  # fmt: skip
                    _finish_pixel(
                        output[b, oy, ox], group * count, count, bias, multiplier, shift, statistics,
                        narrow, wide, accumulator_bits, saturate != 0, output_zero_point, clamp_low,
                        clamp_high, rounding,
                    )  # fmt: skip


@kernel
def fully_connected_narrow(
    input, weights, bias, multiplier, shift, panel, narrow, wide, statistics, output,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits, saturate,
):  # fmt: skip
    """Multiply; each sum is kept in `accumulator_bits` bits. Arguments: `SPECS`; order: `contract.md`."""
    count, depth = weights.shape
    for i in range(statistics.size):
        statistics[i] = 0
    _pack(weights.reshape(-1), np.int64(0), count, depth, panel)
    for b in range(output.shape[0]):
        _clear(narrow, wide)
        _add_run(
            input[b], panel, count, input_zero_point,
            narrow[:count], narrow[count : 2 * count], narrow[2 * count :],
            wide[:count], wide[count : 2 * count], wide[2 * count :], accumulator_bits, saturate != 0,
        )  # fmt: skip
        _finish_pixel(
            output[b], np.int64(0), count, bias, multiplier, shift, statistics, narrow, wide,
            accumulator_bits, saturate != 0, output_zero_point, clamp_low, clamp_high, rounding,
        )  # fmt: skip


@kernel
def depthwise_conv2d_narrow(
    input, weights, bias, multiplier, shift, wide, statistics, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w,
    input_zero_point, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits, saturate,
):  # fmt: skip
    """Convolve each channel; each sum is kept in `accumulator_bits` bits. Arguments: `SPECS`."""
    batch, height, width, channels = input.shape
    _, kernel_h, kernel_w, count = weights.shape
    _, output_height, output_width, _ = output.shape
    sums, overflows, largest = wide[:count], wide[count : 2 * count], wide[2 * count :]
    for i in range(statistics.size):
        statistics[i] = 0
    for b in range(batch):
        for oy in range(output_height):
            for ox in range(output_width):
                for i in range(wide.size):
                    wide[i] = 0
                for ky in range(kernel_h):
                    y = oy * stride_h - pad_top + ky * dilation_h
                    if y < 0 or y >= height:
                        continue
                    for kx in range(kernel_w):
                        x = ox * stride_w - pad_left + kx * dilation_w
                        if x >= 0 and x < width:
                            add_depthwise(
                                input[b, y, x], weights[0, ky, kx], input_zero_point, count // channels,
                                sums, overflows, largest, accumulator_bits, saturate != 0,
                            )  # fmt: skip
                pixel = output[b, oy, ox]
                for o in range(count):
                    pixel[o] = finish(
                        sums[o], overflows[o], largest[o], o, bias, multiplier, shift, statistics,
                        accumulator_bits, saturate != 0, output_zero_point, clamp_low, clamp_high, rounding,
                    )  # fmt: skip


def _workspace(shapes, parameters):
    outputs = shapes["bias"][0]
    size = 1
    for extent in shapes["weights"][1:]:
        size *= extent
    count = outputs // parameters.get("groups", 1)
    return {"panel": size * count, "narrow": 3 * count, "wide": 3 * count, "statistics": 4 * outputs}


def _depthwise_workspace(shapes, parameters):
    del parameters
    outputs = shapes["bias"][0]
    return {"wide": 3 * outputs, "statistics": 4 * outputs}


_GEOMETRY = tuple(
    parameter(name, 0 if "pad" in name else 1, 2**15)
    for name in ("stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w")
)
_FINISH = (
    parameter("input_zero_point", -128, 127),
    parameter("output_zero_point", -128, 127),
    parameter("clamp_low", -128, 127),
    parameter("clamp_high", -128, 127),
    parameter("rounding", 0, 5),
    parameter("accumulator_bits", 8, 32),
    parameter("saturate", 0, 1),
)
_SUMS = (
    array("wide", "workspace", "int64", "3*O"),
    array("statistics", "workspace", "int64", "4*O"),
)
_PANEL = (array("panel", "workspace", "int16", "Q"), array("narrow", "workspace", "int32", "3*O"), *_SUMS)


def _spec(name, function, reference, dtype, shapes, workspaces, parameters, workspace):
    return KernelSpec(
        name=name,
        operator="narrow_accumulator",
        function=function,
        reference=reference,
        workspace=workspace,
        arguments=(
            array("input", "input", "int8", shapes[0]),
            array("weights", "constant", dtype, shapes[1]),
            array("bias", "constant", "int32", "O"),
            array("multiplier", "constant", "int32", "O", 0),
            array("shift", "constant", "int32", "O", -31, 30),
            *workspaces,
            array("output", "output", "int8", shapes[2]),
            *parameters,
            *_FINISH,
        ),
    )


_IMAGE = "B OH OW O"
SPECS = tuple(
    spec
    for bits, dtype in ((8, "int8"), (16, "int16"))
    for spec in (
        _spec(
            f"conv2d_narrow_a8w{bits}", conv2d_narrow, conv2d_narrow_ref, dtype,
            ("B H W C", "O KH KW C/G", _IMAGE), _PANEL, (*_GEOMETRY, parameter("groups", 1, 2**15)),
            _workspace,
        ),
        _spec(
            f"depthwise_conv2d_narrow_a8w{bits}", depthwise_conv2d_narrow, depthwise_conv2d_narrow_ref,
            dtype, ("B H W C", "1 KH KW O", _IMAGE), _SUMS, _GEOMETRY, _depthwise_workspace,
        ),
        _spec(
            f"fully_connected_narrow_a8w{bits}", fully_connected_narrow, fully_connected_narrow_ref, dtype,
            ("B I", "O I", "B O"), _PANEL, (), _workspace,
        ),
    )
)  # fmt: skip
