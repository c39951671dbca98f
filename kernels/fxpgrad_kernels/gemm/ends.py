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
from fxpgrad_kernels.jit import cgutils, ir

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
SUM = 6  # low half of the sum of the weights: what tiles do not read, but records are made from
SUM_HIGH = 7  # its high half
MAGNITUDE = 8  # the sum of their magnitudes, 2**24 at most
FIELDS = 9

WORDS = ir.VectorType(I16, COLUMNS)
BYTES = ir.VectorType(I8, 2 * COLUMNS)
_PACKED = (0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15)


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


def high_constants(builder, record, end):
    """Return (possible, constants for `round_high`) of a panel that ends as `end` says.

    possible: the end rounds twice, or once with all shifts at least 32.
    """

    def either(test, value, other):
        return builder.select(test, constant(I64, value), constant(I64, other))

    up, away, once = (
        builder.icmp_signed("==", end, constant(I64, code))
        for code in (ROUND_UP_TWICE, ROUND_AWAY_TWICE, ROUND_ONCE)
    )
    less = broadcast(builder, either(once, 32, 0), HALVES)
    halving = broadcast(builder, either(once, 0, 1), HALVES)
    first_half = broadcast(builder, either(once, 0, 2**30), HALVES)
    below_zero = broadcast(builder, either(away, 2**31, 0), HALVES)
    none = constant(HALVES, 0)
    vectors = []
    for vector in range(COLUMNS // LANES):
        shifts = split_unsigned(builder, _field(builder, record, SHIFT, vector))
        shifts = [builder.sub(shift, less) for shift in shifts]
        right = join(builder, *shifts)
        negative = builder.bitcast(builder.icmp_signed("<", right, constant(SUMS, 0)), I8)
        once = builder.and_(once, builder.icmp_signed("==", negative, constant(I8, 0)))
        halves = [builder.lshr(builder.shl(constant(HALVES, 1), shift), halving) for shift in shifts]
        lifts = [builder.add(first_half, builder.shl(half, constant(HALVES, 31))) for half in halves]
        lowered = [
            builder.select(builder.icmp_signed("!=", half, none), builder.sub(lift, below_zero), lift)
            for half, lift in zip(halves, lifts, strict=True)
        ]
        vectors.append((lifts, lowered, right))
    return builder.or_(once, builder.or_(up, away)), (halving, vectors)


def round_high(builder, record, vector, constants, sums):
    """Both roundings by adding both halves to the product, or the only one: bits from 31 or 32 on, shifted.

    Where ties go away from zero, a negative product is given 2**31 less: `contract.md`.
    """
    # split here: LLVM looks no further than this block for the width of what is multiplied
    multipliers = split_signed(builder, _field(builder, record, MULTIPLIER, vector))
    left, (lifts, lowered, right) = constants[0], constants[1][vector]
    down = builder.sub(constant(HALVES, 32), left)
    results = []
    for x in sums:
        parts = []
        for part, m, lift, low in zip(split_signed(builder, x), multipliers, lifts, lowered, strict=True):
            product = builder.mul(part, m)
            below = builder.icmp_signed("<", product, constant(HALVES, 0))
            parts.append(builder.add(product, builder.select(below, low, lift)))
        even = builder.bitcast(builder.lshr(parts[0], down), SUMS)
        odd = builder.bitcast(builder.shl(parts[1], left), SUMS)
        both = builder.shuffle_vector(even, odd, indices(*[i + i % 2 * LANES for i in range(LANES)]))
        results.append(builder.ashr(both, right))
    return results


def _words(builder, low_columns, high_columns, zero_point):
    """Return 16 results plus zero point, saturated to 16 bits, in the order of `_PACKED`.

    The clamp to 16 bits by constants is what LLVM turns into a saturating pack, which works on halves of
    128 bits: in this order it moves nothing.
    """
    both = builder.shuffle_vector(low_columns, high_columns, indices(*_PACKED))
    both = maximum(builder, both, constant(both.type, -(2**15)))
    both = minimum(builder, both, constant(both.type, 2**15 - 1))
    kind = ir.FunctionType(WORDS, [WORDS, WORDS])
    add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sadd.sat.v{COLUMNS}i16")
    return builder.call(add, [builder.trunc(both, WORDS), zero_point])


def narrow(builder, rows, zero_point, clamp_low, clamp_high):
    """Return 16 bytes for each of one or two rows of two vectors: results plus zero point, clamped.

    zero_point: 16-bit lanes; clamp_low and clamp_high: 32 lanes of a byte.
    """
    words = [_words(builder, *row, zero_point) for row in rows]
    if len(rows) == 1:
        both = words[0]
    else:  # as quarters and words: LLVM would move a shuffle of lanes to where it costs more
        quarters = [builder.bitcast(row, HALVES) for row in words]
        both = builder.shuffle_vector(*quarters, indices(0, 1, 4, 5, 2, 3, 6, 7))
        both = builder.bitcast(both, ir.VectorType(I16, 2 * COLUMNS))
    both = maximum(builder, both, constant(both.type, -(2**7)))
    both = minimum(builder, both, constant(both.type, 2**7 - 1))
    both = builder.trunc(both, ir.VectorType(I8, both.type.count))
    first = indices(*range(both.type.count))
    low, high = (builder.shuffle_vector(clamp, clamp, first) for clamp in (clamp_low, clamp_high))
    both = minimum(builder, maximum(builder, both, low), high)
    if len(rows) == 1:
        return [builder.shuffle_vector(both, both, indices(*_PACKED))]
    both = builder.bitcast(both, SUMS)
    both = builder.shuffle_vector(both, both, indices(0, 4, 1, 5, 2, 6, 3, 7))
    both = builder.bitcast(both, BYTES)
    return [builder.shuffle_vector(both, both, indices(*range(i, i + COLUMNS))) for i in (0, COLUMNS)]


def lanes(builder, value, kind):
    """Return the low bits of an int64 in every lane of a vector of smaller ones."""
    return broadcast(builder, builder.trunc(value, kind.element), kind)


def _store_columns(builder, values, pointer, columns):
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


def store_rows(builder, rows, columns):
    """Store the first `columns` of 16 bytes of each row, a pair of values and pointer."""
    done = builder.append_basic_block("stored")
    for width, kind in ((COLUMNS, None), (COLUMNS // 2, I64)):
        fits = builder.icmp_signed("==", columns, constant(I64, width))
        with builder.if_then(fits, likely=True):
            for values, pointer in rows:
                whole = (
                    values if kind is None else builder.trunc(builder.bitcast(values, ir.IntType(128)), kind)
                )
                store(builder, whole, pointer, 1)
            builder.branch(done)
    for values, pointer in rows:
        _store_columns(builder, values, pointer, columns)
    builder.branch(done)
    builder.position_at_end(done)
