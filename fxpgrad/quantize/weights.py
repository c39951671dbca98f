"""Quantize the weights and the bias of one layer so that every scale and accumulator stays legal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.graph import Quantization
from fxpgrad.quantize.affine import quantize_array

WEIGHT_BITS: tuple[int, ...] = (8, 16)
# Half of the int32 accumulator is kept for the products and half for the bias.
_HALF_ACCUMULATOR = 2**30
# The real multiplier input scale * weight scale / output scale stays strictly between these.
MULTIPLIER_LOW, MULTIPLIER_HIGH = 2.0**-30, 2.0**30
_MARGIN = 1 + 2.0**-20


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """weights: int8 or int16 as given; bias: int32 [C]; their quantizations."""

    weights: NDArray[np.generic]
    weight_quantization: Quantization
    bias: NDArray[np.generic]
    bias_quantization: Quantization


def quantize_layer(
    where: str,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    channel_axis: int,
    weight_bits: int,
    source: Quantization,
    output_scale: float,
    per_channel: bool = True,
    headroom: float = 1.0,
) -> QuantizedLayer:
    """Quantize symmetrically: weights to +-(2**(bits - 1) - 1), the bias to int32 with zero point 0.

    Parameters
    ----------
    where : str
        How a message calls the layer.
    weights : ndarray of float32
        Channels along `channel_axis`.
    bias : ndarray of float32 [C]
    channel_axis : int
    weight_bits : int
        8 or 16.
    source : Quantization
        Of the layer's input, per tensor.
    output_scale : float
        Of the layer's output.
    per_channel : bool
        One scale a channel, or one (the largest) for all.
    headroom : float >= 1
        How far beyond its largest weight a channel's range reaches, so that a trained or perturbed
        weight is not clipped at once.

    Returns
    -------
    QuantizedLayer
        The bias scale is exactly input scale * weight scale.

    Raises
    ------
    GraphError
        No weight scale satisfies the rules of the notes.

    Notes
    -----
    The natural weight scale of a channel is headroom * max|w| / (2**(bits - 1) - 1). It is enlarged, at the
    price of resolution, until

    1. the bias fits: |b| <= 2**30 * input scale * weight scale;
    2. the products fit for every int8 input: sum|w_q| * max|q - zero_point| < 2**30, so that with
       the bias the int32 accumulator cannot overflow. Perturbed weights are not covered;
    3. the real multiplier input scale * weight scale / output scale exceeds 2**-30.

    It is an error if the multiplier then is not below 2**30. A channel whose weights are all zero
    takes the median scale of the live channels (1 / (2**(bits - 1) - 1) if there are none), so that a
    trainer moves it in steps like its neighbours'; the same rules then apply.
    """
    if weight_bits not in WEIGHT_BITS:
        raise InputError(f"weight_bits must be 8 or 16; got {weight_bits!r}")
    rows = np.moveaxis(np.asarray(weights, np.float64), channel_axis, 0).reshape(bias.shape[0], -1)
    input_scale = float(source.scale[0])
    if not headroom >= 1.0:
        raise InputError(f"headroom must be at least 1; got {headroom!r}")
    natural = _natural_scales(headroom * np.abs(rows).max(axis=1), 2 ** (weight_bits - 1) - 1)
    smallest = _smallest_scales(rows, np.asarray(bias, np.float64), source, output_scale)
    # A dead channel's scale is free: keep it below the largest multiplier where that is possible.
    largest = MULTIPLIER_HIGH / _MARGIN * output_scale / input_scale
    dead = ~rows.any(axis=1)
    scale = np.maximum(np.where(dead, np.minimum(natural, largest), natural), smallest)
    if not per_channel:
        scale = np.array([scale.max()])
    multiplier = input_scale * scale / output_scale
    if not (multiplier < MULTIPLIER_HIGH).all():
        channel = int(np.argmax(multiplier))
        raise GraphError(
            f"{where}: channel {channel} needs the real multiplier {multiplier[channel]:.3g}, but it must be "
            f"below 2**30: the calibrated output range is far too small for these weights; "
            f"calibrate with representative data"
        )
    axis = channel_axis if per_channel else None
    weight_quantization = Quantization(scale, np.zeros(scale.size, np.int64), axis)
    bias_quantization = Quantization(
        input_scale * scale, np.zeros(scale.size, np.int64), 0 if per_channel else None
    )
    dtype = f"int{weight_bits}"
    return QuantizedLayer(
        np.ascontiguousarray(quantize_array(weights, weight_quantization, dtype)),
        weight_quantization,
        quantize_array(bias, bias_quantization, "int32"),
        bias_quantization,
    )


def _natural_scales(largest: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    live = largest > 0
    spare = float(np.median(largest[live])) if live.any() else 1.0
    return np.where(live, largest, spare) / limit


def _smallest_scales(
    rows: NDArray[np.float64], bias: NDArray[np.float64], source: Quantization, output_scale: float
) -> NDArray[np.float64]:
    """Return the least weight scale of each channel that the three rules of `quantize_layer` allow."""
    input_scale, zero_point = float(source.scale[0]), int(source.zero_point[0])
    reach = max(127 - zero_point, zero_point + 128)
    # Rounding may enlarge every |w_q| by a half; beyond a few million taps no scale can help.
    room = _HALF_ACCUMULATOR - 1 - reach * rows.shape[1] / 2
    if room <= 0:
        raise GraphError(f"{rows.shape[1]} products per output cannot be summed in an int32 accumulator")
    for_products = reach * np.abs(rows).sum(axis=1) / room
    for_bias = np.abs(bias) / (input_scale * _HALF_ACCUMULATOR)
    for_multiplier = _MARGIN * MULTIPLIER_LOW * output_scale / input_scale
    smallest: NDArray[np.float64] = np.maximum(np.maximum(for_products, for_bias), for_multiplier)
    return smallest
