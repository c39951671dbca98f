"""ONNX Runtime's float32 arithmetic on 8-bit activations, written down as tables of integers.

ONNX Runtime adds, multiplies and applies activations in float32 between dequantizing and quantizing.
With 8-bit values only 256 (or 256 x 256) results exist, so they are computed here, once, with the
roundings that the runtime makes on x86 with AVX2, and the device looks them up.

Scales are float32 numbers (as an ONNX file holds them). A tensor that is uint8 in the file is int8
here: value - 128. Its arithmetic is done on the file's own numbers, because float32 rounds differently
on them; `Affine.unsigned` says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError

Int8s = NDArray[np.int8]
Float32s = NDArray[np.float32]
Function = Callable[[Float32s], NDArray[np.float64]]

PAIR_OPERATORS: tuple[str, ...] = ("add", "sub", "mul")


@dataclass(frozen=True, slots=True)
class Affine:
    """The quantization of one tensor: real = scale * (q - zero_point), q int8.

    unsigned: the file holds uint8: q + 128, with zero_point + 128.
    """

    scale: float
    zero_point: int
    unsigned: bool = False

    @property
    def offset(self) -> int:
        """What is added to an int8 value to give the file's own."""
        return 128 if self.unsigned else 0

    @property
    def low(self) -> int:
        """The least value of the file's type."""
        return self.offset - 128

    @property
    def file_zero_point(self) -> np.float32:
        """The zero point as the file has it."""
        return np.float32(self.zero_point + self.offset)

    def file_values(self) -> Float32s:
        """Return the 256 values of the file's type, ascending."""
        return np.arange(self.low, self.low + 256, dtype=np.float32)

    def real_values(self) -> Float32s:
        """Return the 256 dequantized values, each rounded to float32."""
        reals: Float32s = (self.file_values() - self.file_zero_point) * np.float32(self.scale)
        return reals

    def quantized(self, real: Float32s) -> Int8s:
        """Return what QuantizeLinear makes of float32 values: half to even, zero point, saturate."""
        with np.errstate(over="ignore"):
            steps = np.rint((real / np.float32(self.scale)).astype(np.float32)).astype(np.float64)
        return np.clip(steps + self.zero_point, -128, 127).astype(np.int8)


def pair_table(
    operator: str,
    first: Affine,
    second: Affine,
    output: Affine,
    activation: tuple[float, float] = (-math.inf, math.inf),
) -> Int8s:
    """Return the table of a binary operator for `lookup_pair_a8`.

    Parameters
    ----------
    operator : {"add", "sub", "mul"}
    first, second, output : Affine
    activation : (float, float)
        Bounds of a fused clamp, in real numbers.

    Returns
    -------
    int8 [65536]
        The result of (a, b) at 256 * (a + 128) + (b + 128).

    Notes
    -----
    With all three tensors of one type the runtime fuses add and mul, and rounds where its vector code
    does. Otherwise, and for sub, and with a clamp above the least integer of the output, it computes
    dequantize, operator, clamp, quantize one by one (`definition_table`). The order of add's operands
    matters in float32; where the first one repeats along the innermost axis of the second, the runtime
    swaps them, and so does the importer.
    """
    if operator not in PAIR_OPERATORS:
        raise LoweringError(f"no table for {operator!r}; known: {', '.join(PAIR_OPERATORS)}")
    low, high = clamp_bounds(activation, output)
    one_type = first.unsigned == second.unsigned == output.unsigned
    clamped = math.isfinite(activation[0]) and low > -128
    if operator == "sub" or not one_type or clamped or (math.isfinite(activation[1]) and high < 127):
        return definition_table(operator, first, second, output, activation)
    fused = _fused_mul if operator == "mul" else _fused_add
    table = fused(first, second, output)
    return np.ascontiguousarray(np.clip(table, low, high).astype(np.int8).reshape(-1))


def definition_table(
    operator: str,
    first: Affine,
    second: Affine,
    output: Affine,
    activation: tuple[float, float] = (-math.inf, math.inf),
) -> Int8s:
    """Return the table of the operator as ONNX defines it: each step alone, in float32."""
    a, b = first.real_values()[:, None], second.real_values()[None, :]
    real = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[operator](a, b)
    clamped = np.clip(real, np.float32(activation[0]), np.float32(activation[1]))
    return np.ascontiguousarray(output.quantized(clamped).reshape(-1))


def clamp_bounds(activation: tuple[float, float], output: Affine) -> tuple[int, int]:
    """Return the int8 bounds that a clamp to real numbers means, as QuantizeLinear rounds them."""
    bounds = np.asarray(activation, np.float32)
    low, high = output.quantized(bounds)
    return int(low), int(high)


def _fused_add(first: Affine, second: Affine, output: Affine) -> NDArray[np.float64]:
    """Return zero + a * ratio_a + b * ratio_b with one rounding for each multiply-add, b first."""
    ratio_a = np.float32(np.float32(first.scale) / np.float32(output.scale))
    ratio_b = np.float32(np.float32(second.scale) / np.float32(output.scale))
    zeros = _multiply_add(
        np.atleast_1d(first.file_zero_point), ratio_a, np.atleast_1d(ratio_b * second.file_zero_point)
    )
    fixed = (output.file_zero_point - zeros).astype(np.float32)
    of_b = _multiply_add(second.file_values(), ratio_b, fixed)
    total = _multiply_add(first.file_values()[:, None], ratio_a, of_b[None, :])
    return _packed(total, output)


def _fused_mul(first: Affine, second: Affine, output: Affine) -> NDArray[np.float64]:
    """Return (a - zero_a) * (b - zero_b) * ratio + zero, rounded to float32 after each of the two steps."""
    ratio = np.float32(np.float32(first.scale) * np.float32(second.scale)) / np.float32(output.scale)
    product = (first.file_values() - first.file_zero_point)[:, None] * (
        second.file_values() - second.file_zero_point
    )
    scaled = (product * ratio).astype(np.float32)
    return _packed((scaled + output.file_zero_point).astype(np.float32), output)


def _packed(value: Float32s, output: Affine) -> NDArray[np.float64]:
    """Return values that hold the zero point already as unclamped int8 ones, half to even."""
    if not np.abs(value).max() < 2.0**31:
        raise LoweringError(
            "the operands' scales are more than 2**22 times the output's; "
            "the runtime's conversion wraps there"
        )
    result: NDArray[np.float64] = np.rint(value).astype(np.float64) - output.offset
    return np.clip(result, -128, 127)


def _multiply_add(x: Float32s, y: np.float32, z: Float32s) -> Float32s:
    """Return x * y + z with one rounding to float32; x are integers below 2**9.

    x * y is exact in float64. The sum is rounded to odd there: what was lost leaves the last bit set,
    so that the rounding to float32 sees it.
    """
    product, addend = np.broadcast_arrays(x.astype(np.float64) * np.float64(y), z.astype(np.float64))
    total = product + addend
    part = total - product
    lost = (product - (total - part)) + (addend - part)
    bits = total.view(np.int64)
    away = np.where((lost > 0) == (total > 0), bits + 1, bits - 1)
    odd = np.where((lost != 0) & (bits & 1 == 0), away, bits)
    rounded: Float32s = odd.view(np.float64).astype(np.float32)
    return rounded


def requantize_table(source: Affine, output: Affine) -> Int8s:
    """Return DequantizeLinear then QuantizeLinear, for each int8 value: int8 [256]."""
    return output.quantized(source.real_values())


def unary_table(function: str, source: Affine, output: Affine, alpha: float = 0.0) -> Int8s:
    """Return the table of a function of one value, int8 [256], the result of q at q + 128.

    Parameters
    ----------
    function : str
        A key of `UNARY_FUNCTIONS`.
    source, output : Affine
    alpha : float
        Of leaky_relu (the slope below zero) and elu.

    Raises
    ------
    LoweringError
        The function is not known, or a result lies so close to a tie that the runtime's
        approximation of the function decides and not the function.
    """
    if function not in UNARY_FUNCTIONS:
        raise LoweringError(f"no table for {function!r}; known: {', '.join(UNARY_FUNCTIONS)}")
    tolerance, make = UNARY_FUNCTIONS[function]
    real = source.real_values()
    with np.errstate(over="ignore"):
        result = make(float(np.float32(alpha)))(real)
        if tolerance:
            _refuse_near_ties(function, tolerance, real, result, output)
        return output.quantized(result.astype(np.float32))


def _refuse_near_ties(
    function: str, tolerance: float, real: Float32s, result: NDArray[np.float64], output: Affine
) -> None:
    scale = float(np.float32(output.scale))
    steps = result / scale
    inside = np.abs(steps) < 600  # beyond, every zero point saturates
    margin = tolerance * np.maximum(np.abs(result), 1.0) / scale
    distance = np.abs(steps - np.floor(np.where(inside, steps, 0.0)) - 0.5)
    # at 0 every one of these functions is exact, in the runtime too, and elu wherever it changes nothing
    near = inside & (distance <= margin) & (real != 0) & (result != real)
    if near.any():
        place = int(np.flatnonzero(near)[0])
        raise LoweringError(
            f"{function}: at {float(real[place])!r} the result lies within {margin[place]:.2g} steps of a "
            "tie, where the runtime's approximation decides; change the output scale by one part in a million"
        )


def _elementwise(function: Callable[[float], float]) -> Function:
    return lambda real: np.array([function(value) for value in real.tolist()], np.float64)


def _leaky_relu(alpha: float) -> Function:
    return lambda real: np.where(real >= 0, real, np.float32(alpha) * real).astype(np.float64)


def _hard_swish(real: Float32s) -> NDArray[np.float64]:
    gate = (real * np.float32(1 / 6) + np.float32(0.5)).astype(np.float32)
    return (real * np.clip(gate, np.float32(0), np.float32(1))).astype(np.float64)


def _logistic(value: float) -> float:
    if value < 0:
        grown = math.exp(value)
        return grown / (1 + grown)
    return 1 / (1 + math.exp(-value))


def _exponential(value: float) -> float:
    return math.exp(min(value, 700.0))


# name -> (how far the runtime may be off, relative to max(|result|, 1); the function for a given alpha).
# Measured against float64 on 900,000 values: logistic 1.7e-7, tanh 3.2e-7, elu 6.7e-8, exp 7.5e-8,
# gelu 1.3e-7; the division by the scale adds 6e-8. Zero: computed here as the runtime computes it.
UNARY_FUNCTIONS: dict[str, tuple[float, Callable[[float], Function]]] = {
    "abs": (0.0, lambda alpha: lambda real: np.abs(real).astype(np.float64)),
    "elu": (
        2e-7,
        lambda alpha: _elementwise(lambda value: value if value > 0 else alpha * math.expm1(value)),
    ),
    "exp": (2e-7, lambda alpha: _elementwise(_exponential)),
    "gelu": (
        3e-7,
        lambda alpha: _elementwise(lambda value: 0.5 * value * (1 + math.erf(value / math.sqrt(2)))),
    ),
    "hard_swish": (0.0, lambda alpha: _hard_swish),
    "leaky_relu": (0.0, _leaky_relu),
    "logistic": (3e-7, lambda alpha: _elementwise(_logistic)),
    "neg": (0.0, lambda alpha: lambda real: -real.astype(np.float64)),
    "relu": (0.0, lambda alpha: lambda real: np.maximum(real, 0).astype(np.float64)),
    "tanh": (5e-7, lambda alpha: _elementwise(math.tanh)),
}
