"""The filters, biases and requantization constants of a depthwise layer in the order of its vectors."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.requantize_lanes import CONSTANTS, lane_constants, takes_lanes
from fxpgrad_kernels.depthwise_conv2d.layout import BLOCK, GROUP, filter_layout, filter_layout_in_kernel
from fxpgrad_kernels.jit import device, kernel


@device
def _pair_taps(weights, upper, column, kernel_h, kernel_w, outputs, group, filters, at):
    """Write the pairs (weight of filter row `upper`, of the row after) of one column and 8 channels.

    weights: [KH * KW * O], flat; what lies outside the filter counts as zeros.
    """
    channel = group * GROUP % outputs
    first, second = (upper * kernel_w + column) * outputs, ((upper + 1) * kernel_w + column) * outputs
    first_mask = np.int32(0xFFFF) if 0 <= upper < kernel_h and column < kernel_w else np.int32(0)
    second_mask = np.int32(-1) if upper + 1 < kernel_h and column < kernel_w else np.int32(0)
    first = first if first_mask != 0 else np.int64(0)
    second = second if second_mask != 0 else np.int64(0)
    if channel + GROUP <= outputs:
        top, bottom, target = np.uint64(first + channel), np.uint64(second + channel), np.uint64(at)
        for lane in range(np.uint64(GROUP)):
            low = np.int32(np.int32(weights[top + lane]) & first_mask)
            high = np.int32(np.int32(weights[bottom + lane]) & second_mask)
            filters[target + lane] = np.int32(low | np.int32(high << np.int32(16)))
        return
    for lane in range(GROUP):
        low = np.int32(np.int32(weights[first + channel]) & first_mask)
        high = np.int32(np.int32(weights[second + channel]) & second_mask)
        filters[at + lane] = np.int32(low | np.int32(high << np.int32(16)))
        channel = channel + 1 if channel + 1 < outputs else 0


@device
def _pair_filters(weights, kernel_h, kernel_w, lanes, phases, blocks, filters):
    """Write filters [phases][lanes / 8][blocks][2 pairs of rows][COLUMNS][8].

    Blocks are counted along the columns first. Phase 1 starts at the second row of a pair.
    """
    outputs = weights.size // (kernel_h * kernel_w)
    across = (kernel_w + 2) // 3
    at = np.int64(0)
    for phase in range(phases):
        for group in range(lanes // GROUP):
            for block in range(blocks):
                for pair in range(2):
                    upper = 2 * (block // across * 2 + pair) - phase
                    for column in range(block % across * 3, block % across * 3 + 3):
                        _pair_taps(weights, upper, column, kernel_h, kernel_w, outputs, group, filters, at)
                        at += GROUP


@kernel
def prepare_depthwise(
    weights, bias, multiplier, shift, panel,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write the prepared panel of `depthwise_conv2d`; `contract.md` has its layout."""
    kernel_h, kernel_w = weights.shape[1], weights.shape[2]
    _, lanes, phases, _, blocks = filter_layout_in_kernel(
        bias.size, kernel_h, kernel_w, stride_h, stride_w, dilation_h
    )
    channel = 0
    for lane in range(lanes):  # a sum in 64 bits adds its bias at the end
        panel[lane] = np.int32(0) if accumulator_bits == 64 else bias[channel]
        channel = channel + 1 if channel + 1 < bias.size else 0
    lane_constants(multiplier, shift, rounding, lanes, panel[lanes : (1 + CONSTANTS) * lanes])
    reach = np.int64(255 << (8 * weights.itemsize - 1)) * kernel_h * kernel_w
    in_lanes = accumulator_bits == 32 and takes_lanes(multiplier, shift, bias, reach, rounding)
    panel[(1 + CONSTANTS) * lanes] = np.int32(in_lanes)
    filters = panel[(1 + CONSTANTS) * lanes + 8 :]
    _pair_filters(weights.reshape(-1), kernel_h, kernel_w, lanes, phases, blocks, filters)


def prepared_elements(shapes, parameters):
    """Return the elements of `panel`."""
    _, kernel_h, kernel_w, outputs = shapes["weights"]
    _, lanes, phases, _, blocks = filter_layout(
        outputs, kernel_h, kernel_w, parameters["stride_h"], parameters["stride_w"], parameters["dilation_h"]
    )
    return {"panel": (1 + CONSTANTS) * lanes + 8 + phases * lanes // GROUP * blocks * BLOCK}
