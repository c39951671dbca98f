"""One step of one weight, saturated to the limits of its type: what perturb and update end in.

int8 and int16 weights keep to +-127 and +-32767, int32 biases use all of int32. The argument `weights` is
the array of weights, of which only the type is read.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, intrinsic, ir, types

_WORD = ir.IntType(16)
NEAREST, STOCHASTIC, FLOOR = np.int64(0), np.int64(1), np.int64(2)  # rounding rules


@intrinsic
def _saturating_add(typing_context, a, b):
    """Return a + b saturated to int16 (both int16)."""

    def generate(context, builder, signature, arguments):
        function = ir.FunctionType(_WORD, [_WORD, _WORD])
        return builder.call(builder.module.declare_intrinsic("llvm.sadd.sat", [_WORD], function), arguments)

    return types.int16(types.int16, types.int16), generate


@intrinsic
def high_product(typing_context, a, b):
    """Return a * b >> 16 (all uint16): an intrinsic, for vectors that stay in 16-bit lanes."""

    def generate(context, builder, signature, arguments):
        function = ir.FunctionType(_WORD, [_WORD, _WORD, ir.IntType(32)])
        multiply = builder.module.declare_intrinsic("llvm.umul.fix", [_WORD], function)
        return builder.call(multiply, [*arguments, ir.Constant(ir.IntType(32), 16)])

    return types.uint16(types.uint16, types.uint16), generate


@intrinsic
def shifted_product(typing_context, value, low, high, offset, places):
    """Return (value * (high * 2**16 + low) // 2**16 + offset) >> places, all int32; no part may overflow.

    An intrinsic, because Numba's products of 32 bits are of 64, in half as many lanes.
    """

    def generate(context, builder, signature, arguments):
        value, low, high, offset, places = arguments
        below = builder.ashr(builder.mul(value, low), ir.Constant(value.type, 16))
        product = builder.add(builder.mul(value, high), below)
        return builder.ashr(builder.add(product, offset), places)

    return types.int32(*(types.int32,) * 5), generate


@device
def is_narrow(weights):
    """Return whether the weights are int8 or int16: then a step is taken in 16 bits where it fits them."""
    return weights.itemsize < 4


@device
def take_step(weight, step, weights):
    """Return (weight + step saturated, 1 if that cut it else 0), all int16."""
    limit = np.int16(np.iinfo(weights.dtype).max)
    kept = max(min(_saturating_add(weight, step), limit), np.int16(-limit))
    return kept, np.int16(kept != np.int16(weight + step))  # the wrapped sum is right or far off


@device
def saturate(value, weights):
    """Return (value saturated, 1 if that cut it else 0), all int64."""
    high = np.int64(np.iinfo(weights.dtype).max)
    low = np.int64(-high) if is_narrow(weights) else np.int64(-high - np.int64(1))
    kept = max(min(value, high), low)
    return kept, np.int64(kept != value)


@device
def rounded(value, right, rule, word):
    """Return value / 2**right rounded by the rule; |value| < 2**62, right in [1, 93], word uint32."""
    if rule == FLOOR:
        return value >> min(right, np.int64(63))
    magnitude = abs(value)
    if rule == STOCHASTIC:
        before, of_word = max(right - np.int64(32), np.int64(0)), max(np.int64(32) - right, np.int64(0))
        whole = ((magnitude >> before) + (np.int64(word) >> of_word)) >> min(right, np.int64(32))
    else:
        half = min(right, np.int64(63)) - np.int64(1)  # from 2**63 on everything rounds to zero
        whole = ((magnitude >> half) + np.int64(1)) >> np.int64(1)
    return -whole if value < np.int64(0) else whole
