"""Requantization of int32 sums to int8 in vectors, 16 channels at a time: the bits of `requantize`.

The four roundings without floating point and without a left shift are one formula. With R = -shift,
h = floor((x*m + F) / 2**31) and F = 2**30, or 0 for SINGLE:

    floor((h + half + (away if h < 0)) / 2**R),  half = floor(2**R / 2)

where away is -1 for ties away from zero and R > 0, else 0. SINGLE needs R > 0, because only then its
one rounding falls on h. TOSA_DOUBLE is DOUBLE_AWAY where nothing is shifted left. h fits int32, and with
|x| < 2**30 so does h + half.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import cgutils, device, intrinsic, ir, types

CONSTANTS = 5
"""Vectors of constants for 8 channels: multipliers, those of odd channels again, half, away, R."""

_LANES = 8
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_V8, _V16 = ir.VectorType(_I8, 16), ir.VectorType(_I16, 16)
_V32, _V64 = ir.VectorType(_I32, _LANES), ir.VectorType(_I64, _LANES // 2)
_ALTERNATE = ir.Constant(_V32, [i if i % 2 == 0 else i + _LANES for i in range(_LANES)])


@device
def takes_lanes(multiplier, shift, bias, products, rounding):
    """Return whether `requantize_rows` gives the bits of `requantize` for these channels.

    products: what the sum without its bias may reach.
    """
    if rounding > np.int64(3):
        return False
    highest = np.int64(-1) if rounding == np.int64(2) else np.int64(0)
    for o in range(shift.size):
        if np.int64(shift[o]) > highest or abs(np.int64(bias[o])) + products >= np.int64(1 << 30):
            return False
    return True


@device
def lane_constants(multiplier, shift, rounding, lanes, constants):
    """Write the constants of `lanes` channels; lane i belongs to channel i % multiplier.size.

    constants: int32 [lanes / 8][CONSTANTS][8], flat; lanes: a multiple of 8. Shifts above 0 are taken
    as 0: the caller asks `takes_lanes`.
    """
    channel = 0
    away = np.int32(-1) if rounding == np.int64(0) or rounding == np.int64(3) else np.int32(0)
    for group in range(lanes // 8):
        block = constants[group * 40 : group * 40 + 40]
        for lane in range(8):
            right = min(max(-np.int64(shift[channel]), np.int64(0)), np.int64(31))
            block[lane] = multiplier[channel]
            block[8 + (lane ^ 1)] = multiplier[channel]
            block[16 + lane] = np.int32((np.int64(1) << right) >> np.int64(1))
            block[24 + lane] = away if right > np.int64(0) else np.int32(0)
            block[32 + lane] = np.int32(right)
            channel += 1
            if channel == multiplier.size:
                channel = 0


def _load(builder, pointer, kind, align):
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def _all(kind, value):
    return ir.Constant(kind, [value] * kind.count)


def _spread(builder, scalar, kind):
    narrow = builder.trunc(scalar, kind.element) if kind.element.width < 64 else scalar
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, narrow, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, kind.count), None))


def _clamp(builder, value, low, high):
    value = builder.select(builder.icmp_signed(">", value, low), value, low)
    return builder.select(builder.icmp_signed("<", value, high), value, high)


def _even(builder, value):
    """Return int32 lanes 0, 2, 4, 6 as int64, in the form from which LLVM picks a 32-bit multiply."""
    return builder.ashr(builder.shl(builder.bitcast(value, _V64), _all(_V64, 32)), _all(_V64, 32))


def _requantize(builder, sums, constants, first):
    """Return the rounded values of 8 int32 sums, as int32."""
    multiplier, odd_multiplier, half, away, right = constants
    odd = builder.ashr(builder.bitcast(sums, _V64), _all(_V64, 32))
    even_product = builder.add(builder.mul(_even(builder, sums), _even(builder, multiplier)), first)
    odd_product = builder.add(builder.mul(odd, _even(builder, odd_multiplier)), first)
    even_high = builder.bitcast(builder.lshr(even_product, _all(_V64, 31)), _V32)
    odd_high = builder.bitcast(builder.shl(odd_product, _all(_V64, 1)), _V32)
    high = builder.shuffle_vector(even_high, odd_high, _ALTERNATE)
    correction = builder.and_(builder.ashr(high, _all(_V32, 31)), away)
    return builder.ashr(builder.add(builder.add(high, half), correction), right)


def _narrow(builder, values, zero_point, bounds):
    """Return 16 int32 values as clamped int8, the zero point added on the way."""
    # Halves of 128 bits in the order in which two saturating packs leave bytes that one shuffle sorts.
    sixteen = ir.Constant(ir.VectorType(_I32, 16), [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15])
    wide = builder.shuffle_vector(values[0], values[1], sixteen)
    kind = ir.VectorType(_I32, 16)
    words = builder.trunc(_clamp(builder, wide, _all(kind, -(2**15)), _all(kind, 2**15 - 1)), _V16)
    kind = ir.FunctionType(_V16, [_V16, _V16])
    add = cgutils.get_or_insert_function(builder.module, kind, "llvm.sadd.sat.v16i16")
    words = builder.call(add, [words, zero_point])
    octets = builder.trunc(_clamp(builder, words, _all(_V16, -128), _all(_V16, 127)), _V8)
    order = ir.Constant(ir.VectorType(_I32, 16), [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15])
    octets = builder.shuffle_vector(octets, ir.Constant(_V8, ir.Undefined), order)
    return _clamp(builder, octets, *bounds)


@intrinsic
def requantize_rows(
    typing_context, sums, at, width, constants, constants_at, zero_point, low, high, rounding, output,
    to, step, count,
):  # fmt: skip
    """Requantize `width` neighbouring channels of `count` pixels and store them as int8.

    sums: int32, pixel p at `at` + p * width; width: a multiple of 16; constants: int32
    [width / 8][CONSTANTS][8] from `constants_at`, as `lane_constants` writes them for the same `rounding`;
    output: int8, pixel p at `to` + p * step. Scalars int64.
    """
    scalar = types.int64
    signature = types.void(sums, *(scalar,) * 2, constants, *(scalar,) * 5, output, *(scalar,) * 3)

    def codegen(context, builder, signature, args):
        def data(index, offset):
            kind = signature.args[index]
            return builder.gep(context.make_array(kind)(context, builder, args[index]).data, [offset])

        def number(value):
            return ir.Constant(_I64, value)

        source, table, target = data(0, args[1]), data(3, args[4]), data(9, args[10])
        width, step, count = args[2], args[11], args[12]
        single = builder.icmp_signed("==", args[8], number(2))
        first = _spread(builder, builder.select(single, number(0), number(1 << 30)), _V64)
        zero_point = _spread(builder, args[5], _V16)
        bounds = _spread(builder, args[6], _V8), _spread(builder, args[7], _V8)
        with cgutils.for_range(builder, builder.ashr(width, number(4))) as lanes:
            lane = builder.mul(lanes.index, number(16))
            own = builder.gep(table, [builder.mul(lane, number(CONSTANTS))])
            with cgutils.for_range(builder, count) as pixels:
                # Read at every pixel: they are more than fit registers, and come as memory operands.
                vectors = [
                    _load(builder, builder.gep(own, [number(_LANES * i)]), _V32, 4)
                    for i in range(2 * CONSTANTS)
                ]
                place = builder.gep(source, [builder.add(lane, builder.mul(pixels.index, width))])
                values = []
                for half in range(2):
                    eight = _load(builder, builder.gep(place, [number(_LANES * half)]), _V32, 4)
                    constants = vectors[CONSTANTS * half : CONSTANTS * (half + 1)]
                    values.append(_requantize(builder, eight, constants, first))
                octets = _narrow(builder, values, zero_point, bounds)
                pointer = builder.gep(target, [builder.add(lane, builder.mul(pixels.index, step))])
                builder.store(octets, builder.bitcast(pointer, octets.type.as_pointer())).align = 1
        return context.get_dummy_value()

    return signature, codegen
