"""Depthwise convolution, int8 activations, int8 or int16 weights: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.arithmetic.requantize_lanes import CONSTANTS, requantize_rows
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_ref import depthwise_conv2d_ref
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_split import SPLIT_SPEC, arguments
from fxpgrad_kernels.depthwise_conv2d.layout import (
    BLOCK,
    GROUP,
    PIXELS,
    filter_layout,
    filter_layout_in_kernel,
    row_layout,
    row_layout_in_kernel,
)
from fxpgrad_kernels.depthwise_conv2d.prepare import PREPARATION
from fxpgrad_kernels.depthwise_conv2d.rows import clear_edges, pair_rows
from fxpgrad_kernels.depthwise_conv2d.store import store
from fxpgrad_kernels.depthwise_conv2d.vectors import (
    lanes_to_boundary,
    sum_row,
    sum_row_stride_1,
    sum_row_stride_2,
)
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import KernelSpec, Parameters, Shapes, array

__all__ = ["SPECS", "depthwise_conv2d"]


@device
def _copy_pixels(packed, pixel_width, count, outputs, output, to):
    """Copy int8 pixels whose lanes are padded to where they are not."""
    for pixel in range(count):
        for o in range(outputs):
            output[to + pixel * outputs + o] = packed[pixel * pixel_width + o]


@device
def _widen_sums(lines, sums_at, pixel_width, wide_at, count, bias, begin):
    """Add the int32 sums of `count` pixels to the int64 ones at lines[wide_at:].

    begin: 0 where the int64 sums hold something, else they begin with the bias (1) or with nothing (2).
    """
    outputs = bias.size
    wide = lines[wide_at : wide_at + 2 * count * outputs].view(np.int64)
    for pixel in range(count):
        for o in range(outputs):
            before = np.int64(bias[o]) if begin == 1 else np.int64(0)
            if begin == 0:
                before = wide[pixel * outputs + o]
            wide[pixel * outputs + o] = before + np.int64(lines[sums_at + pixel * pixel_width + o])


@device
def _store_pixels(
    lines, sums_at, pixel_width, wide_at, in_64_bits, count, bias, multiplier, shift, output, to, zero_point,
    low, high, rounding,
):  # fmt: skip
    """Requantize `count` pixels one by one, with any rounding."""
    wide = lines[wide_at : wide_at + 2 * count * bias.size].view(np.int64)
    if not in_64_bits:
        _widen_sums(lines, sums_at, pixel_width, wide_at, count, bias, np.int64(2))
    for at in range(0, count * bias.size, bias.size):
        store(wide, at, multiplier, shift, output, to + at, bias.size, zero_point, low, high, rounding)


@device
def _sum_block(
    lines, channels, filters, starts_at, block, across, column, step, unit, tiles, begins, filters_at, blocks,
    sums_at,
):  # fmt: skip
    """Sum a row of outputs over one block of taps; `across`: blocks in a row of blocks."""
    first_start, column_at = starts_at + block // across * 2, block % across * 3 * column
    taps_at, groups = filters_at + block * BLOCK, unit // GROUP
    if step == column:
        sum_row_stride_1(
            lines, channels, filters, first_start, column_at, column, step, unit, groups, tiles, begins,
            taps_at, blocks * BLOCK, sums_at,
        )  # fmt: skip
    elif step == 2 * column:
        sum_row_stride_2(
            lines, channels, filters, first_start, column_at, column, step, unit, groups, tiles, begins,
            taps_at, blocks * BLOCK, sums_at,
        )  # fmt: skip
    else:
        sum_row(
            lines, channels, filters, first_start, column_at, column, step, unit, groups, tiles * PIXELS,
            begins, taps_at, blocks * BLOCK, sums_at,
        )  # fmt: skip


@kernel
def depthwise_conv2d(
    input, weights, bias, multiplier, shift, channels, filters, lines, output,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Convolve each channel with its own filters; output channel o reads input channel o // M.

    Parameters
    ----------
    input : int8 [B, H, W, C]
        Quantized activations; a padded pixel holds `input_zero_point`.
    weights : int8 or int16 [1, KH, KW, O]
        Symmetric filters, O = C * M.
    bias, multiplier, shift : int32 [O]
        Bias at accumulator scale; requantization pair of each output channel.
    channels : int32
        Prepared: biases and constants of requantization, in vectors.
    filters : int32
        Prepared: filters in pairs of rows, in vectors.
    lines : int32
        Workspace: a row of sums, rows of pairs, a row of outputs.
    output : int8 [B, OH, OW, O]
        Written.
    stride_h, stride_w, dilation_h, dilation_w : int, at least 1
        Steps in pixels.
    pad_top, pad_left : int, at least 0
        Pixels before the image; those after it follow from the output's shape.
    input_zero_point, output_zero_point : int in [-128, 127]
        Zero points.
    clamp_low, clamp_high : int in [-128, 127]
        Bounds of the output, low <= high.
    rounding : int
        A code of `profiles.Rounding`.
    accumulator_bits : int, 32 or 64
        Width of the sum; 32 requires a proof that the sum fits int32.
    """
    height, width_in, inputs = input.shape[1], input.shape[2], input.shape[3]
    output_h, count, outputs = output.shape[1], output.shape[2], output.shape[3]
    kernel_h, kernel_w = weights.shape[1], weights.shape[2]
    repeats, lanes, phases, pairs, blocks = filter_layout_in_kernel(
        outputs, kernel_h, kernel_w, stride_h, stride_w, dilation_h
    )
    wide_pixels, width, reach, length, pitch, rows = row_layout_in_kernel(
        inputs, outputs, lanes, repeats, kernel_w, stride_w, dilation_w, output_h, count
    )
    # Sums are made for steps of `unit` lanes: a pixel, or pixels together where a pixel is no whole vector.
    unit = outputs if wide_pixels > 1 and outputs % GROUP == 0 else width
    pixel_width = outputs if wide_pixels > 1 else width
    tiles = (count * pixel_width + PIXELS * unit - 1) // (PIXELS * unit)
    in_lanes, in_64_bits = channels[(1 + CONSTANTS) * lanes] != 0, accumulator_bits == 64
    together = max(rows, np.int64(1)) if in_lanes else np.int64(1)
    # lines: sums, the ring of pairs of rows, sums in 64 bits, a row of outputs, starts of rows of pairs
    sums_at = lanes_to_boundary(lines)
    ring = sums_at + length + (max(rows, np.int64(1)) - 1) * count * outputs
    wide_at = ring + pairs * pitch
    packed_at = wide_at + 2 * count * outputs
    starts_at = packed_at + length // 4
    lines[starts_at + pairs] = np.int32(ring)  # read, with weights of zero, where pairs is odd
    left, pixels = clear_edges(lines, ring, pairs, pitch, pad_left, width_in, reach)
    image, result = flat(input), flat(output)
    for b in range(input.shape[0]):
        # rows of sums that wait to be requantized; pairs below `built` are in the ring or no longer needed
        held, built = np.int64(0), np.int64(0)
        for row in range(output_h):
            first_pair, top = row * stride_h // 2, -pad_top
            if dilation_h != 1:
                first_pair, top, built = np.int64(0), row * stride_h - pad_top, np.int64(0)
            for pair in range(first_pair, first_pair + pairs):
                start = ring + pair % pairs * pitch
                lines[starts_at + pair - first_pair] = np.int32(start)
                if pair >= built:
                    pair_rows(
                        image, b * height * width_in * inputs, height, width_in, inputs, outputs,
                        top + 2 * pair * dilation_h, top + (2 * pair + 1) * dilation_h, input_zero_point,
                        lines, start + left, reach, pixels,
                    )  # fmt: skip
            built = first_pair + pairs
            filters_at = row * stride_h % phases * (lanes // GROUP) * blocks * BLOCK
            for block in range(blocks):
                begins = np.int64(block == 0 or in_64_bits)
                _sum_block(
                    lines, channels, filters, starts_at, block, (kernel_w + 2) // 3, dilation_w * reach,
                    unit * stride_w, unit, tiles, begins, filters_at, blocks,
                    sums_at + held * count * outputs,
                )  # fmt: skip
                if in_64_bits:
                    _widen_sums(lines, sums_at, pixel_width, wide_at, count, bias, np.int64(block == 0))
            held += 1
            if held < together and row + 1 < output_h:
                continue
            to = (b * output_h + row + 1 - held) * count * outputs
            if in_lanes:
                steps, target, at = held * count * outputs // width, result, to
                if rows == 0:
                    packed = lines[packed_at:starts_at].view(np.int8)
                    steps, target, at = length // width, packed, np.int64(0)
                requantize_rows(
                    lines, sums_at, width, channels, lanes, output_zero_point, clamp_low, clamp_high,
                    rounding, target, at, width, steps,
                )  # fmt: skip
                if rows == 0:
                    _copy_pixels(target, pixel_width, count, outputs, result, to)
            else:
                _store_pixels(
                    lines, sums_at, pixel_width, wide_at, in_64_bits, count, bias, multiplier, shift, result,
                    to, output_zero_point, clamp_low, clamp_high, rounding,
                )  # fmt: skip
            held = np.int64(0)


def _workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    _, kernel_h, kernel_w, outputs = shapes["weights"]
    _, output_h, count, _ = shapes["output"]
    repeats, lanes, _, pairs, _ = filter_layout(
        outputs, kernel_h, kernel_w, parameters["stride_h"], parameters["stride_w"], parameters["dilation_h"]
    )
    _, _, reach, length, pitch, rows = row_layout(
        shapes["input"][3], outputs, lanes, repeats, kernel_w, parameters["stride_w"],
        parameters["dilation_w"], output_h, count,
    )  # fmt: skip
    columns = (kernel_w + 2) // 3 * 3
    unused = (columns - kernel_w) * parameters["dilation_w"] * reach  # read, with weights of zero
    sums = length + (max(rows, 1) - 1) * count * outputs
    return {"lines": unused + 7 + sums + pairs * pitch + 2 * count * outputs + length // 4 + pairs + 1}


def _spec(name, weights):
    own = (
        array("channels", "prepared", "int32", "R"),
        array("filters", "prepared", "int32", "Q"),
        array("lines", "workspace", "int32", "L"),
    )
    return KernelSpec(
        name, "depthwise_conv2d", depthwise_conv2d, depthwise_conv2d_ref,
        arguments(weights, *own), _workspace, PREPARATION,
    )  # fmt: skip


SPECS = (
    _spec("depthwise_conv2d_a8w8", "int8"),
    _spec("depthwise_conv2d_a8w16", "int16"),
    SPLIT_SPEC,
)
