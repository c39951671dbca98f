"""The numbers of a constant, and the scale and zero point of an activation, as the Graph has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_refusals import ACTIVATION_DTYPES, label, refuse, refuse_type


def dtype_of(operator: TfliteOperator | None, tensor: TfliteTensor) -> str:
    """Return the Graph's dtype of an activation, or refuse it by name."""
    if tensor.type not in ACTIVATION_DTYPES:
        refuse_type(operator, tensor)
    return ACTIVATION_DTYPES[tensor.type]


def numbers_of(operator: TfliteOperator, tensor: TfliteTensor) -> NDArray[Any]:
    """Return a constant's numbers as a new array: uint8 less 128 as int8, int4 as int8."""
    if tensor.data is None:
        refuse(
            operator,
            f"{label(tensor)} must be a constant; values that are computed while running are not "
            f"supported here",
        )
    if tensor.is_sparse:
        refuse(operator, f"{label(tensor)} is sparse; export the model without sparsity")
    if tensor.type == "INT4":
        return _unpacked(tensor.data, tensor.elements).reshape(tensor.shape)
    if tensor.type == "UINT8":
        return (tensor.data ^ np.uint8(0x80)).view(np.int8).reshape(tensor.shape)
    dtype = np.dtype(dtype_of(operator, tensor))
    return tensor.data.view(dtype.newbyteorder("<")).astype(dtype).reshape(tensor.shape)


def _unpacked(data: NDArray[np.uint8], count: int) -> NDArray[np.int8]:
    """Unpack two's-complement nibbles, low one first, into int8 [count]."""
    nibbles = np.empty(2 * data.size, np.uint8)
    nibbles[0::2], nibbles[1::2] = data & 15, data >> 4
    return (nibbles[:count] ^ 8).view(np.int8) - np.int8(8)


def quantization_of_tensor(operator: TfliteOperator | None, tensor: TfliteTensor) -> Quantization:
    """Return an activation's scale and zero point; plain int32 and int64 count as scale 1."""
    scales = tensor.scales
    if tensor.type in ("INT32", "INT64") and not np.any(scales):
        return Quantization(np.ones(1), np.zeros(1, np.int64))
    if scales.size != 1 or not (np.isfinite(scales[0]) and scales[0] > 0):
        refuse(
            operator,
            f"{label(tensor)} needs one scale, finite and > 0; got {scales[:4].tolist()}; "
            f"quantize the model again",
        )
    zero_point = int(tensor.zero_points[0]) - (128 if tensor.type == "UINT8" else 0)
    limits = np.iinfo(dtype_of(operator, tensor))
    if not limits.min <= zero_point <= limits.max:
        refuse(operator, f"{label(tensor)}: the zero point {tensor.zero_points[0]} is no {tensor.type}")
    if tensor.type == "INT16" and zero_point != 0:
        refuse(operator, f"{label(tensor)} is INT16, whose zero point must be 0; got {zero_point}")
    return Quantization(scales.copy(), np.array([zero_point], np.int64))
