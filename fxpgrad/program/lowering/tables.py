"""Tables of the smooth functions of one value, step by step as a TFLite runtime computes them.

Floats are allowed here: this is the host, before anything runs. The device reads the results off a table of
256 int8 values (`lookup_a8`) or interpolates in one of 256 entries (`logistic_a16`, `tanh_a16`).

TFLite-Micro evaluates logistic, tanh and rsqrt of int8 in fixed point and elu in float32; it has neither exp
nor gelu of int8. LiteRT makes float32 tables of logistic, tanh, elu, exp and gelu.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.lowering import fixed_point
from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref

Int8s = NDArray[np.int8]
Float32s = NDArray[np.float32]

_LOGISTIC_OUTPUT = (2.0**-8, -128)
_TANH_OUTPUT = (2.0**-7, 0)
_SIGMOID_SCALE = -15  # log2 of the output scale of the 16-bit functions
_RSQRT_BITS = 20
# Where TFLite's table of 2**16 / (1 + exp(-i / 24)) lies one above the nearest integer (tanh shows it).
_SIGMOID_ABOVE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45,
    46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Affine:
    """The quantization of one tensor: real = scale * (q - zero_point)."""

    scale: float
    zero_point: int


def _centred(source: Affine) -> list[int]:
    return [q - source.zero_point for q in range(-128, 128)]


def _clipped(values: list[int]) -> Int8s:
    return np.clip(np.array(values, np.int64), -128, 127).astype(np.int8)


def fixed_point_table(function: str, source: Affine, output: Affine) -> Int8s:
    """Return TFLite-Micro's logistic or tanh of int8, int8 [256]: the result of q at q + 128.

    Parameters
    ----------
    function : {"logistic", "tanh"}
    source, output : Affine
        The output must be (1/256, -128) for logistic, (1/128, 0) for tanh.

    Raises
    ------
    LoweringError
        Another output quantization (the runtime would ignore its scale), or an input scale below 2**-28.
    """
    expected = {"logistic": _LOGISTIC_OUTPUT, "tanh": _TANH_OUTPUT}[function]
    if (output.scale, output.zero_point) != expected:
        raise LoweringError(
            f"{function} of int8 must have the output scale {expected[0]} and zero point {expected[1]}; "
            f"got {output.scale!r}, {output.zero_point}"
        )
    fraction, shift = math.frexp(source.scale * 2**27)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if shift < 0:
        raise LoweringError(f"{function}: the input scale must be at least 2**-28; got {source.scale!r}")
    radius = (15 << 27) >> shift
    results = []
    for x in _centred(source):
        if x <= -radius:
            results.append(-128)
        elif x >= radius:
            results.append(127)
        else:
            raw = fixed_point.product(x << shift, multiplier)
            if function == "logistic":
                results.append(fixed_point.divide(fixed_point.logistic(raw, 4), 23) - 128)
            else:
                results.append(fixed_point.divide(fixed_point.tanh(raw, 4), 24))
    return _clipped(results)


def rsqrt_table(source: Affine, output: Affine, rounding: int = 0) -> Int8s:
    """Return TFLite's 1 / sqrt of int8 in fixed point, int8 [256].

    At and below the input's zero point the result is 127: the runtime says so for 0 and stops with an
    error below it, so a Program that gets there has left what the runtime defines. `rounding` is a code of
    `profiles.Rounding`: DOUBLE_AWAY, or SINGLE where the runtime is built with single rounding.
    """
    real = 1.0 / (math.sqrt(source.scale) * output.scale)
    (multiplier,), (shift,) = (pair.tolist() for pair in derive_multiplier(real))
    if shift - _RSQRT_BITS < -31:
        raise LoweringError(f"rsqrt: the output scale {output.scale!r} is too large for the input's")
    results = []
    for x in _centred(source):
        if x <= 0:
            results.append(127)
            continue
        inverse, inverse_shift = fixed_point.inverse_square_root(x)
        value = int(requantize_ref(np.array([1]), inverse, inverse_shift + _RSQRT_BITS, rounding)[0])
        value = int(requantize_ref(np.array([value]), multiplier, shift - _RSQRT_BITS, rounding)[0])
        results.append(value + output.zero_point)
    return _clipped(results)


def float_table(function: str, source: Affine, output: Affine) -> Int8s:
    """Return a function of int8 as TFLite computes a table: everything in float32, int8 [256].

    Parameters
    ----------
    function : str
        A key of `FLOAT_FUNCTIONS`.
    source, output : Affine

    Raises
    ------
    LoweringError
        A result lies so close to a tie that the runtime's mathematical library decides, not the function.
    """
    evaluate, slack = FLOAT_FUNCTIONS[function]
    centred = np.array(_centred(source), np.float32)
    real = (np.float32(source.scale) * centred).astype(np.float32)
    inverse_scale = np.float32(1) / np.float32(output.scale)
    with np.errstate(over="ignore"):
        value, exact = evaluate(real)
        table, below, above = (
            _rounded(v, inverse_scale, output)
            for v in (value, _moved(value, -np.inf, slack), _moved(value, np.inf, slack))
        )
    doubtful = ~exact & ((below != table) | (above != table))
    if doubtful.any():
        place = int(np.flatnonzero(doubtful)[0])
        raise LoweringError(
            f"{function}: at {float(real[place])!r} the result lies within {slack} float32 steps of a tie, "
            "where the runtime's mathematical library decides; change the output scale by a millionth"
        )
    return table


def _moved(value: Float32s, towards: float, steps: int) -> Float32s:
    for _ in range(steps):
        value = np.nextafter(value, np.float32(towards))
    return value


def _rounded(value: Float32s, inverse_scale: np.float32, output: Affine) -> Int8s:
    steps = (value * inverse_scale).astype(np.float32).astype(np.float64)
    nearest = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
    table: Int8s = np.clip(nearest + output.zero_point, -128, 127).astype(np.int8)
    return table


_Evaluated = tuple[Float32s, NDArray[np.bool_]]


def _each(function: Callable[[float], float], real: Float32s) -> Float32s:
    """Return a function in double precision, rounded once to float32."""
    with np.errstate(over="ignore"):
        return np.array([function(x) for x in real.tolist()], np.float64).astype(np.float32)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _logistic(real: Float32s) -> _Evaluated:
    one = np.float32(1)
    return (one / (one + _each(lambda x: _exp(-x), real))).astype(np.float32), real == 0


def _tanh(real: Float32s) -> _Evaluated:
    return _each(math.tanh, real), real == 0


def _elu(real: Float32s) -> _Evaluated:
    negative = (_each(lambda x: _exp(min(x, 0.0)), real) - np.float32(1)).astype(np.float32)
    return np.where(real < 0, negative, real), real >= 0


def _exponential(real: Float32s) -> _Evaluated:
    return _each(_exp, real), real == 0


def _gelu(real: Float32s) -> _Evaluated:
    turned = (real * np.float32(-math.sqrt(0.5))).astype(np.float32)
    return (np.float32(0.5) * real * _each(math.erfc, turned)).astype(np.float32), real == 0


def _gelu_approximate(real: Float32s) -> _Evaluated:
    cubic = (real + np.float32(0.044715) * real * real * real).astype(np.float32)
    tangent = _each(math.tanh, (np.float32(math.sqrt(2 / math.pi)) * cubic).astype(np.float32))
    return (np.float32(0.5) * real * (np.float32(1) + tangent)).astype(np.float32), real == 0


# Each with the float32 steps by which a mathematical library may miss the nearest result.
FLOAT_FUNCTIONS: dict[str, tuple[Callable[[Float32s], _Evaluated], int]] = {
    "logistic": (_logistic, 1),
    "tanh": (_tanh, 2),
    "elu": (_elu, 1),
    "exp": (_exponential, 1),
    "gelu": (_gelu, 4),
    "gelu_approximate": (_gelu_approximate, 4),
}


def sigmoid_table() -> NDArray[np.int32]:
    """Return the table of `logistic_a16` and `tanh_a16`, int32 [256]."""
    nearest = [math.floor(2**16 / (1 + math.exp(-i / 24)) + 0.5) for i in range(256)]
    return np.array([value + (i in _SIGMOID_ABOVE) for i, value in enumerate(nearest)], np.int32)


def sigmoid_input(function: str, source: Affine, output: Affine) -> tuple[int, int]:
    """Return (input_multiplier, input_shift) of `logistic_a16` or `tanh_a16`.

    Raises
    ------
    LoweringError
        What TFLite refuses: a zero point, or an output scale that is not 2**-15; an input scale above 2.66,
        whose multiplier would not fit 16 bits; one so near the edge of the runtime's test for powers of
        two that its mathematical library decides.
    """
    if source.zero_point or output.zero_point or _power_of_two(output.scale) != _SIGMOID_SCALE:
        raise LoweringError(
            f"{function} of int16 must have zero points 0 and the output scale 2**-15; got zero points "
            f"{source.zero_point}, {output.zero_point} and output scale {output.scale!r}"
        )
    power = _power_of_two(source.scale)
    shift = None if power is None else power + 12
    if shift == 0 or (shift == 1 and function == "tanh"):
        return 3 << shift, 0
    multiplier, shift = source.scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    if multiplier >= 2**15:
        raise LoweringError(f"{function} of int16: the input scale must be below 2.66; got {source.scale!r}")
    return int(multiplier), shift


def _power_of_two(scale: float) -> int | None:
    """Return log2 of a scale that the runtime takes for a power of two (within 0.07 %), else None."""
    logarithm = math.log2(scale)
    distance = abs(logarithm - round(logarithm))
    if abs(distance - 1e-3) < 2e-5:
        raise LoweringError(
            f"scale {scale!r} lies where rounding decides whether the runtime takes it for a power of two"
        )
    return round(logarithm) if distance < 1e-3 else None
