"""Depthwise convolution of int16 weights in passes of 8-bit ones: see `contract.md`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fxpgrad_kernels.depthwise_conv2d.accumulate import add_rows
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_ref import depthwise_conv2d_ref
from fxpgrad_kernels.depthwise_conv2d.store import store
from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.spec import Argument, KernelSpec, Parameters, Shapes, array, parameter

__all__ = ["SPLIT_SPEC", "arguments", "depthwise_conv2d_split"]


@device
def _split_weights(weights, weights_high, weights_low):
    for i in range(weights.size):
        weight = np.int32(weights[i])
        weights_high[i] = np.int8(weight >> np.int32(8))
        weights_low[i] = np.int8(np.int32(weight & np.int32(255)) - np.int32(128))


@device
def _combine(high, low, inputs, bias, accumulator):
    """Put the sums of a row together: 256 * high + low + 128 * inputs + bias, in int64."""
    for pixel in range(accumulator.size // bias.size):
        for o in range(bias.size):
            at = pixel * bias.size + o
            total = np.int64(256) * np.int64(high[at]) + np.int64(low[at])
            accumulator[at] = total + np.int64(128) * np.int64(inputs[at]) + np.int64(bias[o])


@device
def _convolve_split(
    input, kernel_h, kernel_w, filters_high, filters_low, ones, bias, multiplier, shift, high, low, inputs,
    accumulator, output, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point,
    output_zero_point, clamp_low, clamp_high, rounding,
):  # fmt: skip
    zero_point = np.int32(input_zero_point)
    height, width, channels = input.shape[1], input.shape[2], input.shape[3]
    count, outputs = output.shape[2], output.shape[3]
    image, result = input.ravel(), output.ravel()
    for b in range(output.shape[0]):
        for oh in range(output.shape[1]):
            top = oh * stride_h - pad_top
            high[:] = 0
            low[:] = 0
            inputs[:] = 0
            add_rows(
                high, image, height, width, channels, b, top, filters_high, outputs, kernel_h, kernel_w,
                count, outputs, stride_w, pad_left, dilation_h, dilation_w, zero_point,
            )  # fmt: skip
            add_rows(
                low, image, height, width, channels, b, top, filters_low, outputs, kernel_h, kernel_w,
                count, outputs, stride_w, pad_left, dilation_h, dilation_w, zero_point,
            )  # fmt: skip
            add_rows(
                inputs, image, height, width, channels, b, top, ones, np.int64(0), kernel_h, kernel_w,
                count, outputs, stride_w, pad_left, dilation_h, dilation_w, zero_point,
            )  # fmt: skip
            _combine(high, low, inputs, bias, accumulator)
            to = (b * output.shape[1] + oh) * count * outputs
            for start in range(0, count * outputs, outputs):
                store(
                    accumulator, start, multiplier, shift, result, to + start, outputs, output_zero_point,
                    clamp_low, clamp_high, rounding,
                )  # fmt: skip


@kernel
def depthwise_conv2d_split(
    input, weights, bias, multiplier, shift, weights_high, weights_low, ones, high, low, inputs,
    accumulator, output, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, input_zero_point,
    output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
):  # fmt: skip
    """Give the bits of `depthwise_conv2d` for int16 weights from passes with 8-bit weights.

    weights_high, weights_low : int8 workspaces [KH * KW * O], the two halves of the weights;
    ones : int8 workspace [O], the weights of the third pass, which sums the inputs;
    high, low, inputs : int32 workspaces [OW * O], the three sums; accumulator : int64 workspace [OW * O].
    The passes are exact in int32 for windows of fewer than 2**16 taps and are put together in int64,
    so that `accumulator_bits` changes nothing; it is there to keep one signature for both forms.
    """
    _split_weights(weights.ravel(), weights_high, weights_low)
    ones[:] = 1
    _convolve_split(
        input, weights.shape[1], weights.shape[2], weights_high, weights_low, ones, bias, multiplier, shift,
        high, low, inputs, accumulator, output, stride_h, stride_w, pad_top, pad_left, dilation_h,
        dilation_w, input_zero_point, output_zero_point, clamp_low, clamp_high, rounding,
    )  # fmt: skip


def _split_workspace(shapes: Shapes, parameters: Parameters) -> Mapping[str, int]:
    del parameters
    outputs, taps = shapes["bias"][0], shapes["weights"][1] * shapes["weights"][2]
    row = shapes["output"][2] * outputs
    planes = {"weights_high": taps * outputs, "weights_low": taps * outputs, "ones": outputs}
    return {**planes, "high": row, "low": row, "inputs": row, "accumulator": row}


_PARAMETERS = (
    parameter("stride_h", 1, 2**15),
    parameter("stride_w", 1, 2**15),
    parameter("pad_top", 0, 2**15),
    parameter("pad_left", 0, 2**15),
    parameter("dilation_h", 1, 2**15),
    parameter("dilation_w", 1, 2**15),
    parameter("input_zero_point", -128, 127),
    parameter("output_zero_point", -128, 127),
    parameter("clamp_low", -128, 127),
    parameter("clamp_high", -128, 127),
    parameter("rounding", 0, 5),
    parameter("accumulator_bits", 32, 64),
)


def arguments(weights: str, *workspaces: Argument) -> tuple[Argument, ...]:
    """Return the arguments that every form with int8 activations has, `workspaces` in their place."""
    return (
        array("input", "input", "int8", "B H W C"),
        array("weights", "constant", weights, "1 KH KW O"),
        array("bias", "constant", "int32", "O"),
        array("multiplier", "constant", "int32", "O", 0),
        array("shift", "constant", "int32", "O", -31, 30),
        *workspaces,
        array("output", "output", "int8", "B OH OW O"),
        *_PARAMETERS,
    )


_HALVES = (
    array("weights_high", "workspace", "int8", "KH*KW*O"),
    array("weights_low", "workspace", "int8", "KH*KW*O"),
    array("ones", "workspace", "int8", "O"),
    array("high", "workspace", "int32", "OW*O"),
    array("low", "workspace", "int32", "OW*O"),
    array("inputs", "workspace", "int32", "OW*O"),
    array("accumulator", "workspace", "int64", "OW*O"),
)

SPLIT_SPEC = KernelSpec(
    "depthwise_conv2d_a8w16_split", "depthwise_conv2d", depthwise_conv2d_split, depthwise_conv2d_ref,
    arguments("int16", *_HALVES), _split_workspace,
)  # fmt: skip
