"""The definition of layers with narrow accumulators: one addition after the other, in Python integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar

Ints = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What is in an accumulator after some additions, and what happened on the way."""

    value: int = 0
    overflows: int = 0
    largest: int = 0


def accumulate(terms: Iterable[int], bits: int, saturate: bool) -> Accumulated:
    """Add terms one after the other in `bits` bits, starting from 0; each sum saturates or wraps."""
    half = 1 << (bits - 1)
    value = overflows = largest = 0
    for term in terms:
        exact = value + term
        value = max(-half, min(half - 1, exact)) if saturate else (exact + half) % (2 * half) - half
        overflows += value != exact
        largest = max(largest, abs(exact))
    return Accumulated(value, overflows, largest)


@dataclass(frozen=True, slots=True)
class NarrowLayer:
    """What all output elements of a layer share."""

    bias: Ints
    multiplier: Ints
    shift: Ints
    output_zero_point: int
    clamp_low: int
    clamp_high: int
    rounding: int
    bits: int
    saturate: bool


def element(layer: NarrowLayer, o: int, products: list[int], statistics: NDArray[np.int64]) -> int:
    """Return one output value of channel `o` from its products in order; add to its row of statistics."""
    done = accumulate([*products, int(layer.bias[o])], layer.bits, layer.saturate)
    row = statistics[o]
    row[0] += done.overflows
    row[1] += done.overflows > 0
    row[2] = max(row[2], done.overflows)
    row[3] = max(row[3], done.largest)
    m, s = int(layer.multiplier[o]), int(layer.shift[o])
    value = requantize_scalar(done.value, m, s, layer.rounding) + layer.output_zero_point
    return max(layer.clamp_low, min(layer.clamp_high, value))


def windowed_narrow_ref(
    input: Ints,
    weights: Ints,
    layer: NarrowLayer,
    output_size: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    input_zero_point: int,
    statistics: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Convolve filters [O, KH, KW, C/G] element by element; padding adds nothing, and is no addition."""
    batch, height, width, _ = input.shape
    outputs, kernel_h, kernel_w, depth = weights.shape
    output = np.zeros((batch, *output_size, outputs), np.int8)
    for b, oy, ox, o in np.ndindex(*output.shape):
        first = o // (outputs // groups) * depth
        products = []
        for ky in range(kernel_h):
            for kx in range(kernel_w):
                y = oy * stride[0] - pad[0] + ky * dilation[0]
                x = ox * stride[1] - pad[1] + kx * dilation[1]
                if 0 <= y < height and 0 <= x < width:
                    for c in range(depth):
                        centred = int(input[b, y, x, first + c]) - input_zero_point
                        products.append(centred * int(weights[o, ky, kx, c]))
        output[b, oy, ox, o] = element(layer, o, products, statistics)
    return output


def conv2d_narrow_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
    saturate: int,
    *,
    output_size: tuple[int, int],
    statistics: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Define `conv2d_narrow_*`; `statistics` [4 * O] is written if it is given."""
    layer = NarrowLayer(
        bias, multiplier, shift, output_zero_point, clamp_low, clamp_high, rounding, accumulator_bits,
        bool(saturate),
    )  # fmt: skip
    counted = np.zeros((len(bias), 4), np.int64)
    output = windowed_narrow_ref(
        input, weights, layer, output_size, (stride_h, stride_w), (pad_top, pad_left),
        (dilation_h, dilation_w), groups, input_zero_point, counted,
    )  # fmt: skip
    if statistics is not None:
        statistics[:] = counted.ravel()
    return output


def depthwise_conv2d_narrow_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stride_h: int,
    stride_w: int,
    pad_top: int,
    pad_left: int,
    dilation_h: int,
    dilation_w: int,
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
    saturate: int,
    *,
    output_size: tuple[int, int],
    statistics: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Define `depthwise_conv2d_narrow_*`: a convolution with one group for each input channel."""
    filters = np.moveaxis(weights, 3, 0).transpose(0, 2, 3, 1)
    return conv2d_narrow_ref(
        input, filters, bias, multiplier, shift, stride_h, stride_w, pad_top, pad_left, dilation_h,
        dilation_w, input.shape[3], input_zero_point, output_zero_point, clamp_low, clamp_high, rounding,
        accumulator_bits, saturate, output_size=output_size, statistics=statistics,
    )  # fmt: skip


def fully_connected_narrow_ref(
    input: NDArray[np.int8],
    weights: NDArray[np.int8 | np.int16],
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    input_zero_point: int,
    output_zero_point: int,
    clamp_low: int,
    clamp_high: int,
    rounding: int,
    accumulator_bits: int,
    saturate: int,
    *,
    statistics: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Define `fully_connected_narrow_*`: a convolution of single pixels."""
    pixels, filters = input[:, None, None, :], weights[:, None, None, :]
    output = conv2d_narrow_ref(
        pixels, filters, bias, multiplier, shift, 1, 1, 0, 0, 1, 1, 1, input_zero_point, output_zero_point,
        clamp_low, clamp_high, rounding, accumulator_bits, saturate, output_size=(1, 1),
        statistics=statistics,
    )  # fmt: skip
    return output.reshape(len(input), len(weights))
