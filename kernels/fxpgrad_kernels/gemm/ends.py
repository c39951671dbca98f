"""What becomes of a finished tile while it is still in registers: one function for each end.

`contract.md` derives the formulas and says which sums, multipliers and shifts each end may meet; the
choice is made when the channels are prepared (`prepare.py`). The codes and the fields are shared with
the plain twin (`plain.py`).
"""

from __future__ import annotations

from fxpgrad_kernels.gemm.vectors import (
    HALVES,
    I8,
    I16,
    I64,
    LANES,
    SUMS,
    at,
    broadcast,
    constant,
    indices,
    join,
    load,
    maximum,
    minimum,
    split_signed,
    split_unsigned,
    store,
)
from fxpgrad_kernels.jit import ir

COLUMNS = 16

# How a tile ends.
STORE_SUMS = 0  # the int32 sums themselves
ROUND_ONCE = 1
ROUND_UP_TWICE = 2
ROUND_AWAY_TWICE = 3
ROUND_FLOAT = 4

# The rows of a panel's record of int32 [FIELDS][COLUMNS].
START = 0  # low half of the folded bias: where int32 sums start
START_HIGH = 1  # its high half
MULTIPLIER = 2
SHIFT = 3  # 31 - s of ROUND_ONCE, 24 - s of ROUND_FLOAT, -s of the others
ZEROS = 4  # where the sums of a block start
NOTES = 5  # [0]: how the tile ends, [1]: whether all sums fit int32, [2]: pairs whose sums do
FIELDS = 6

_WORDS = ir.VectorType(I16, COLUMNS)
_BYTES = ir.VectorType(I8, COLUMNS)


def _field(builder, record, field, vector):
    return load(builder, at(builder, record, field * COLUMNS + vector * LANES), SUMS, 4)


def round_once(builder, record, vector, sums):
    """floor((x * m + 2**(shift - 1)) / 2**shift), 2**62 above it so that a logical shift will do."""
    multipliers = split_signed(builder, _field(builder, record, MULTIPLIER, vector))
    shifts = split_unsigned(builder, _field(builder, record, SHIFT, vector))
    one, lift = constant(HALVES, 1), constant(HALVES, 2**62)
    halves = [builder.add(lift, builder.shl(one, builder.sub(shift, one))) for shift in shifts]
    lifted = join(builder, *[builder.lshr(lift, shift) for shift in shifts])
    results = []
    for x in sums:
        parts = [
            builder.lshr(builder.add(builder.mul(part, m), half), shift)
            for part, m, half, shift in zip(
                split_signed(builder, x), multipliers, halves, shifts, strict=True
            )
        ]
        results.append(builder.sub(join(builder, *parts), lifted))
    return results


def round_twice(builder, record, vector, sums, away):
    """High half of the doubled product, ties up, then a right shift to nearest; `away`: ties from zero."""
    multipliers = split_signed(builder, _field(builder, record, MULTIPLIER, vector))
    right = _field(builder, record, SHIFT, vector)
    one = constant(SUMS, 1)
    half = builder.lshr(builder.shl(one, right), one)
    if away:
        moves = builder.sext(builder.icmp_signed(">", right, constant(SUMS, 0)), SUMS)
    results = []
    for x in sums:
        even, odd = (
            builder.add(builder.mul(part, m), constant(HALVES, 2**30))
            for part, m in zip(split_signed(builder, x), multipliers, strict=True)
        )
        low = builder.lshr(even, constant(HALVES, 31))
        high = builder.lshr(odd, constant(HALVES, 31))
        nearest = join(builder, low, high)
        moved = builder.add(nearest, half)
        if away:
            moved = builder.add(moved, builder.and_(moves, builder.ashr(nearest, constant(SUMS, 31))))
        results.append(builder.ashr(moved, right))
    return results


def _float_magnitude(builder, product, shift, half):
    """Return product / 2**shift as a float32 product, rounded to an integer half to even: `contract.md`."""
    whole = builder.lshr(product, shift)
    smeared = whole
    for step in (1, 2, 4):
        smeared = builder.or_(smeared, builder.lshr(smeared, constant(HALVES, step)))
    one = constant(HALVES, 1)
    reach = builder.shl(builder.add(smeared, one), builder.sub(shift, constant(HALVES, 24)))
    reach = builder.lshr(reach, one)
    even = builder.sub(builder.and_(whole, one), one)  # all ones where the integer part is even
    bias = builder.add(half, builder.xor(reach, even))
    return builder.lshr(builder.add(product, bias), shift)


def round_float(builder, record, vector, sums):
    """Round as a product of two float32 numbers does, to an integer half to even."""
    multipliers = split_unsigned(builder, _field(builder, record, MULTIPLIER, vector))
    shifts = split_unsigned(builder, _field(builder, record, SHIFT, vector))
    one = constant(HALVES, 1)
    halves = [builder.shl(one, builder.sub(shift, one)) for shift in shifts]
    results = []
    for x in sums:
        sign = builder.ashr(x, constant(SUMS, 31))
        magnitude = builder.sub(builder.xor(x, sign), sign)
        parts = [
            _float_magnitude(builder, builder.mul(part, m), shift, half)
            for part, m, shift, half in zip(
                split_unsigned(builder, magnitude), multipliers, shifts, halves, strict=True
            )
        ]
        results.append(builder.sub(builder.xor(join(builder, *parts), sign), sign))
    return results


def narrow(builder, low_columns, high_columns, zero_point, clamp_low, clamp_high):
    """Return 16 bytes: results plus zero point, clamped.

    clamp_low and clamp_high: 16-bit lanes, the bounds less the zero point. The clamp to 16 bits by
    constants is what LLVM turns into a saturating pack.
    """
    both = builder.shuffle_vector(low_columns, high_columns, indices(*range(COLUMNS)))
    both = maximum(builder, both, constant(both.type, -(2**15)))
    both = minimum(builder, both, constant(both.type, 2**15 - 1))
    words = builder.trunc(both, _WORDS)
    words = minimum(builder, maximum(builder, words, clamp_low), clamp_high)
    words = builder.add(words, zero_point)
    words = maximum(builder, words, constant(_WORDS, -(2**7)))
    words = minimum(builder, words, constant(_WORDS, 2**7 - 1))
    return builder.trunc(words, _BYTES)


def word_lanes(builder, value):
    """Return the low 16 bits of an int64 in 16 lanes."""
    return broadcast(builder, builder.trunc(value, I16), _WORDS)


def store_columns(builder, values, pointer, columns):
    """Store the first `columns` (fewer than 16) of 16 bytes: 8, 4, 2 and 1 at a time."""
    rest = builder.bitcast(values, ir.IntType(128))
    for size in (8, 4, 2, 1):
        kind = ir.IntType(8 * size)
        wanted = builder.and_(columns, constant(I64, size))
        with builder.if_then(builder.icmp_signed("!=", wanted, constant(I64, 0))):
            store(builder, builder.trunc(rest, kind), pointer, 1)
        pointer = at(builder, pointer, wanted)
        bits = builder.zext(builder.mul(wanted, constant(I64, 8)), rest.type)
        rest = builder.lshr(rest, bits)
