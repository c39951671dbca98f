"""The filters, biases and requantization constants of a depthwise layer in the order of its vectors."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.arithmetic.flat_view import flat
from fxpgrad_kernels.arithmetic.requantize_lanes import CONSTANTS, lane_constants, takes_lanes
from fxpgrad_kernels.depthwise_conv2d.layout import BLOCK, GROUP, filter_layout, filter_layout_in_kernel
from fxpgrad_kernels.depthwise_conv2d.vectors import pair_weights
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import Preparation, Records

_NOTES = 8  # the first says whether vectors requantize


@device
def _pair_taps(weights, upper, column, kernel_h, kernel_w, lanes, filters, at, step):
    """Write the pairs (weight of filter row `upper`, of the row after) of one column for all lanes.

    weights: [KH * KW * O], flat; what lies outside the filter counts as zeros. Each group of 8 lanes is
    `step` after the one before.
    """
    outputs = weights.size // (kernel_h * kernel_w)
    first, first_mask, second, second_mask = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    if 0 <= upper < kernel_h and column < kernel_w:
        first, first_mask = (upper * kernel_w + column) * outputs, np.int64(-1)
    if upper + 1 < kernel_h and column < kernel_w:
        second, second_mask = ((upper + 1) * kernel_w + column) * outputs, np.int64(-1)
    channel = np.int64(0)
    for group in range(lanes // GROUP):
        if channel + GROUP <= outputs:
            pair_weights(
                weights, first + channel, second + channel, first_mask, second_mask, filters,
                at + group * step,
            )  # fmt: skip
            channel += GROUP
        else:
            for lane in range(GROUP):
                o = (channel + lane) % outputs
                low = np.int32(np.int32(weights[first + o]) & np.int32(first_mask))
                high = np.int32(np.int32(weights[second + o]) & np.int32(second_mask))
                pair = np.int32(np.int32(low & np.int32(0xFFFF)) | np.int32(high << np.int32(16)))
                filters[at + group * step + lane] = pair
            channel = (channel + GROUP) % outputs
        if channel == outputs:
            channel = np.int64(0)


@device
def _pair_filters(weights, kernel_h, kernel_w, lanes, phases, blocks, filters):
    """Write filters [phases][lanes / 8][blocks][2 pairs of rows][COLUMNS][8].

    Blocks are counted along the columns first. Phase 1 starts at the second row of a pair.
    """
    across = (kernel_w + 2) // 3
    for phase in range(phases):
        at = phase * (lanes // GROUP) * blocks * BLOCK
        for block in range(blocks):
            for pair in range(2):
                upper = 2 * (block // across * 2 + pair) - phase
                for column in range(block % across * 3, block % across * 3 + 3):
                    _pair_taps(
                        weights, upper, column, kernel_h, kernel_w, lanes, filters, at, blocks * BLOCK
                    )  # fmt: skip
                    at += GROUP


@device
def _write_channels(bias, multiplier, shift, lanes, reach, rounding, accumulator_bits, channels):
    """Write biases, constants of requantization and whether vectors requantize; reach: of the products."""
    channel = 0
    for lane in range(lanes):  # a sum in 64 bits adds its bias at the end
        channels[lane] = np.int32(0) if accumulator_bits == 64 else bias[channel]
        channel = channel + 1 if channel + 1 < bias.size else 0
    notes = (1 + CONSTANTS) * lanes
    lane_constants(multiplier, shift, rounding, lanes, channels[lanes:notes])
    in_lanes = accumulator_bits == 32 and takes_lanes(multiplier, shift, bias, reach, rounding)
    channels[notes] = np.int32(in_lanes)
    for i in range(notes + 1, notes + _NOTES):
        channels[i] = np.int32(0)


@kernel
def prepare_depthwise(
    weights, bias, multiplier, shift, channels, filters,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write what `depthwise_conv2d` reads; `contract.md` has its layout."""
    kernel_h, kernel_w = weights.shape[1], weights.shape[2]
    _, lanes, phases, _, blocks = filter_layout_in_kernel(
        bias.size, kernel_h, kernel_w, stride_h, stride_w, dilation_h
    )
    reach = np.int64(255 << (8 * weights.itemsize - 1)) * kernel_h * kernel_w
    _write_channels(bias, multiplier, shift, lanes, reach, rounding, accumulator_bits, channels)
    _pair_filters(flat(weights), kernel_h, kernel_w, lanes, phases, blocks, filters)


@kernel
def prepare_depthwise_records(
    weights, bias, multiplier, shift, channels, filters, new_channels,
    stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point, output_zero_point,
    clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Write all that `prepare_depthwise` writes but the filters."""
    kernel_h, kernel_w = weights.shape[1], weights.shape[2]
    _, lanes, _, _, _ = filter_layout_in_kernel(bias.size, kernel_h, kernel_w, stride_h, stride_w, dilation_h)
    reach = np.int64(255 << (8 * weights.itemsize - 1)) * kernel_h * kernel_w
    _write_channels(bias, multiplier, shift, lanes, reach, rounding, accumulator_bits, new_channels)


def _elements(shapes, parameters):
    _, kernel_h, kernel_w, outputs = shapes["weights"]
    _, lanes, phases, _, blocks = filter_layout(
        outputs, kernel_h, kernel_w, parameters["stride_h"], parameters["stride_w"], parameters["dilation_h"]
    )
    return {
        "channels": (1 + CONSTANTS) * lanes + _NOTES,
        "filters": phases * lanes // GROUP * blocks * BLOCK,
    }


PREPARATION = Preparation(
    prepare_depthwise, _elements, records=Records(prepare_depthwise_records, "channels")
)
