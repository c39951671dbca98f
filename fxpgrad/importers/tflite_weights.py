"""Weights and biases of TFLite operators as constants of the Graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_refusals import refuse, refuse_type
from fxpgrad.importers.tflite_translation import Translation

Scales = NDArray[np.float64]


def weights(
    state: Translation,
    operator: TfliteOperator,
    position: int,
    channel_axis: int | None,
    *,
    zero_point_allowed: bool = False,
) -> tuple[str, Scales]:
    """Add the weights at an input position; return the constant's name and its scales [1] or [channels].

    int8, int16 and unpacked int4 stay as they are. A zero point is taken off, which makes the weights
    int16: of uint8 always, of int8 where `zero_point_allowed` (elsewhere runtimes ignore it silently).
    """
    tensor = state.tensor(operator, position)
    if tensor.data is None or tensor.index in state.placed:
        refuse(
            operator,
            f"the weights {tensor.name} (tensor {tensor.index}) must be a constant; use BATCH_MATMUL for "
            f"the product of two activations",
        )
    if tensor.type not in ("INT8", "INT4", "UINT8", "INT16"):
        refuse_type(operator, tensor)
    key = ("weights", tensor.index, channel_axis, zero_point_allowed)
    if key not in state.shared:
        state.shared[key] = _new_weights(state, operator, tensor, channel_axis, zero_point_allowed)
    name, scales = state.shared[key]
    return name, scales


def _new_weights(
    state: Translation,
    operator: TfliteOperator,
    tensor: TfliteTensor,
    channel_axis: int | None,
    zero_point_allowed: bool,
) -> tuple[str, Scales]:
    scales, zero_points = tensor.scales, tensor.zero_points
    axis = None
    if scales.size > 1:
        axis = channel_axis
        if axis is None or tensor.quantized_dimension != axis or scales.size != tensor.shape[axis]:
            refuse(
                operator,
                f"the weights {tensor.name} have {scales.size} scales along axis "
                f"{tensor.quantized_dimension}; "
                + ("they must have one" if axis is None else f"channels are axis {axis}")
                + f" of the shape {list(tensor.shape)}",
            )
    _require_scales(operator, tensor)
    values = state.values(operator, tensor)
    state.spend(operator, 8 * scales.size)
    if tensor.type == "UINT8":
        zero_points = zero_points - 128
    if zero_points.any():
        if not (tensor.type == "UINT8" or zero_point_allowed) or scales.size > 1:
            refuse(
                operator,
                f"the weights {tensor.name} have a zero point of {zero_points.tolist()[:4]}, which runtimes "
                f"ignore here; quantize them symmetrically",
            )
        zero_point = int(zero_points[0])
        if not -128 <= zero_point <= 127:
            refuse(operator, f"the weights {tensor.name} have the zero point {zero_point}, outside the type")
        values = values.astype(np.int16) - np.int16(zero_point)
    quantization = Quantization(scales.copy(), np.zeros(scales.size, np.int64), axis)
    name = state.names[tensor.index]
    if name in state.tensors:
        name = state.unique(f"{name}/weights")
    state.taken.discard(name)
    return state.add_constant(name, values, quantization), scales


def _require_scales(operator: TfliteOperator, tensor: TfliteTensor) -> None:
    scales = tensor.scales
    if scales.size == 0 or not (np.isfinite(scales).all() and (scales > 0).all()):
        refuse(
            operator,
            f"the weights {tensor.name} need scales, finite and > 0; got {scales[:4].tolist()}; "
            f"quantize the model again",
        )


def bias(
    state: Translation,
    operator: TfliteOperator,
    position: int,
    channels: int,
    scales: Scales,
    *,
    wide: bool,
) -> str:
    """Add the bias [channels] at an input position, or zeros where it is left out; return its name.

    scales: input scale times weight scales, which is what the accumulator counts in; the file's own
    (and the axis that it names) is not used. wide: the activations are int16, and the bias is int64
    unless the file has int32.
    """
    dtype: Any = np.int64 if wide else np.int32
    name = f"{state.names[state.output(operator).index]}/bias"
    if not state.has(operator, position):
        state.spend(operator, 16 * channels)
        values: NDArray[Any] = np.zeros(channels, dtype)
    else:
        tensor = state.tensor(operator, position)
        allowed = ("INT32", "INT64") if wide else ("INT32",)
        if tensor.type not in allowed:
            if tensor.type.startswith("FLOAT"):
                refuse_type(operator, tensor)
            refuse(
                operator,
                f"the bias {tensor.name} must be {' or '.join(allowed)}; got {tensor.type}",
            )
        if tensor.elements != channels:
            refuse(operator, f"the bias {tensor.name} must have {channels} values; got {list(tensor.shape)}")
        values = state.values(operator, tensor).reshape(-1)
        state.spend(operator, 8 * channels)
        if state.names[tensor.index] not in state.tensors:
            name = state.names[tensor.index]
            state.taken.discard(name)
    axis = 0 if scales.size > 1 else None
    return state.add_constant(name, values, Quantization(scales, np.zeros(scales.size, np.int64), axis))


def accumulator_scales(state: Translation, source: str, scales: Scales) -> Scales:
    """Return input scale times weight scales."""
    quantization = state.tensors[source].quantization
    assert quantization is not None
    return np.asarray(quantization.scale[0] * scales, np.float64)
