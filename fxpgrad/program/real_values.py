"""Between real numbers and a Program's own integers, at its two ends only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import to_inner, to_outer
from fxpgrad.program.program import Program, TensorInfo


def quantize_input(info: TensorInfo, x: NDArray[Any]) -> NDArray[Any]:
    """Return round(x / scale) + zero_point, saturated, in the tensor's outer type; ties go away from zero.

    x: any finite real array.
    """
    real = np.asarray(x)
    if real.dtype.kind not in "buif":
        raise InputError(f"input {info.name} must be real numbers; got {real.dtype}")
    if not np.isfinite(real).all():
        raise InputError(f"input {info.name} holds NaN or infinity; clean the data first")
    limits = np.iinfo(info.dtype)
    with np.errstate(over="ignore"):  # an infinite quotient saturates like a large one
        quotient = real.astype(np.float64) / info.scale
    integers = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient) + info.zero_point
    saturated: NDArray[Any] = np.clip(integers, limits.min, limits.max).astype(info.dtype)
    return to_outer(info, saturated)


def output_scale(program: Program, output: str | None = None) -> NDArray[np.float64]:
    """Return the real value of one step of an output (the first): one number, or one per class."""
    name = output or program.outputs[0]
    for call in program.calls:
        if call.output == name and call.kernel.startswith("fully_connected_accumulate"):
            scale = program.constants[call.constants["bias"]].scale
            if scale is not None:
                return scale
    return np.array([program.tensors[name].scale])


def dequantize_output(program: Program, y: NDArray[Any], output: str | None = None) -> NDArray[np.float64]:
    """Return the real values of an output (the first if unnamed)."""
    info = program.tensors[output or program.outputs[0]]
    return (to_inner(info, y).astype(np.float64) - info.zero_point) * output_scale(program, output)
