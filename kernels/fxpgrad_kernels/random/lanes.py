"""Philox4x32-10 on vector lanes: eight blocks at once, and table lookups in their shadow.

Each counter word sits in the low half of a 64-bit lane. A product needs only the low halves of its factors
(the masks below cost nothing: a 32 x 32 -> 64 bit vector multiply ignores the high halves), so that
whatever lands in the high halves is left there:

    lanes of a: block 0, 2, 1, 3, 4, 6, 5, 7     and so for b, c, d
    stored:     a0 b0 c0 d0 a1 b1 c1 d1 ...      the blocks in order, each word by word

The lanes' order of blocks makes the interleaving at the end stay within 128-bit halves. Eight blocks are
two AVX2 registers a word, enough to hide the latency of the multiplies. The IR below is plain vector IR
and names no processor; the stored words assume a little-endian one.
"""

from __future__ import annotations

from fxpgrad_kernels.jit import intrinsic, ir, types
from fxpgrad_kernels.random.distributions import KNEE

GROUP = 8  # blocks
GROUP_WORDS = 4 * GROUP
GROUP_UNIFORMS = 8 * GROUP  # 16 bits each

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_BLOCK_OF_LANE = (0, 2, 1, 3, 4, 6, 5, 7)

_I8, _I16, _I32, _I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_LANES = ir.VectorType(_I64, GROUP)
_WORDS = ir.VectorType(_I64, 2 * GROUP)
_UNIFORMS = ir.VectorType(_I16, GROUP_UNIFORMS)
_SIGNS = ir.VectorType(_I8, 32)
_COUNTERS = (types.int64,) * 6


def _lanes(value):
    return ir.Constant(_LANES, [value] * GROUP)


def _uniforms(value):
    return ir.Constant(_UNIFORMS, [value] * GROUP_UNIFORMS)


def _splat(builder, scalar):
    undefined = ir.Constant(_LANES, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, GROUP), [0] * GROUP))


def _philox(builder, block, counters, key, between_rounds):
    """Return the words of blocks `block` .. `block` + 7 in order, as one vector.

    Only the low halves of the int64 scalars count. `between_rounds(round)` may emit other work.
    """
    low, half = _lanes(0xFFFFFFFF), _lanes(32)
    a = builder.add(_splat(builder, block), ir.Constant(_LANES, list(_BLOCK_OF_LANE)))
    b, c, d = (_splat(builder, counter) for counter in counters)
    for number in range(_ROUNDS):
        keys = [
            _splat(builder, builder.add(word, ir.Constant(_I64, number * weyl)))
            for word, weyl in zip(key, _WEYL, strict=True)
        ]
        first = builder.mul(builder.and_(a, low), _lanes(_MULTIPLIERS[0]))
        second = builder.mul(builder.and_(c, low), _lanes(_MULTIPLIERS[1]))
        a = builder.xor(builder.xor(builder.lshr(second, half), b), keys[0])
        c = builder.xor(builder.xor(builder.lshr(first, half), d), keys[1])
        b, d = second, first
        between_rounds(number)
    front = builder.or_(builder.and_(a, low), builder.shl(b, half))
    back = builder.or_(builder.and_(c, low), builder.shl(d, half))
    order = [place for block in range(GROUP) for place in _places_of(block)]
    return builder.shuffle_vector(front, back, ir.Constant(ir.VectorType(_I32, 2 * GROUP), order))


def _places_of(block):
    lane = _BLOCK_OF_LANE.index(block)
    return lane, GROUP + lane


def _data(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


def _at(builder, pointer, offset, kind):
    """Return `pointer` + `offset` elements as a pointer to `kind`."""
    return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())


@intrinsic
def store_words(typing_context, words, offset, block, tensor, number, step, key_0, key_1):
    """Store the 32 words of blocks `block` .. `block` + 7 at ``words[offset:]`` (uint32); the rest int64.

    number: purpose * 2**24 + direction.
    """
    signature = types.void(words, types.int64, *_COUNTERS)

    def generate(context, builder, signature, arguments):
        words, offset, block, *counters, key_0, key_1 = arguments
        values = _philox(builder, block, counters, (key_0, key_1), lambda number: None)
        pointer = _data(context, builder, signature.args[0], words)
        builder.store(values, _at(builder, pointer, offset, _WORDS), align=4)
        return context.get_dummy_value()

    return signature, generate


def _table_places(builder, uniforms):
    """Return where `direction_table` holds each 16-bit uniform."""
    distance = builder.xor(uniforms, builder.ashr(uniforms, _uniforms(15)))
    coarse = builder.add(builder.lshr(distance, _uniforms(4)), _uniforms(KNEE - KNEE // 16))
    return builder.select(builder.icmp_signed("<", distance, coarse), distance, coarse)


def _copy_entries(builder, table, places, entries, first):
    """Copy the table's entries at four places: one store for four, since stores are what is scarce."""
    packed = builder.load(_at(builder, places, ir.Constant(_I64, first), _I64), align=2)
    gathered = None
    for j in range(4):
        shift = ir.Constant(_I64, 16 * j)
        place = builder.and_(builder.lshr(packed, shift), ir.Constant(_I64, 0xFFFF))
        entry = builder.shl(builder.zext(builder.load(builder.gep(table, [place])), _I64), shift)
        gathered = entry if gathered is None else builder.or_(gathered, entry)
    builder.store(gathered, _at(builder, entries, ir.Constant(_I64, first), _I64), align=2)


@intrinsic
def store_uniforms_and_look_up(
    typing_context,
    table,
    uniforms,
    entries,
    places,
    offset,
    slot,
    block,
    tensor,
    number,
    step,
    key_0,
    key_1,
):
    """Store the 64 uniforms of a group of blocks and their places, and look up the places of the last group.

    Two things at once because one is arithmetic on vectors and the other loads and stores of
    scalars: together they take little longer than one of them. All arrays int16:
    ``uniforms[offset : offset + 64]`` and ``places[slot : slot + 64]`` are written,
    ``entries[offset : offset + 64] = table[places[64 - slot : 128 - slot]]``; slot is 0 or 64.
    """
    signature = types.void(table, uniforms, entries, places, types.int64, types.int64, *_COUNTERS)

    def generate(context, builder, signature, arguments):
        kinds = signature.args[:4]
        table, uniforms, entries, places = (
            _data(context, builder, kind, array) for kind, array in zip(kinds, arguments[:4], strict=True)
        )
        offset, slot, block, *counters, key_0, key_1 = arguments[4:]
        last = builder.gep(places, [builder.sub(ir.Constant(_I64, GROUP_UNIFORMS), slot)])
        target = builder.gep(entries, [offset])
        quads = GROUP_UNIFORMS // 4

        def look_up(number):
            for quad in range(number * quads // _ROUNDS, (number + 1) * quads // _ROUNDS):
                _copy_entries(builder, table, last, target, 4 * quad)

        words = _philox(builder, block, counters, (key_0, key_1), look_up)
        values = builder.bitcast(words, _UNIFORMS)
        builder.store(values, _at(builder, uniforms, offset, _UNIFORMS), align=2)
        builder.store(_table_places(builder, values), _at(builder, places, slot, _UNIFORMS), align=2)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def expand_signs(typing_context, stream, first_byte, z, first):
    """Write ``z[first : first + 32]`` (int8): +32 or -32 by 32 bits from ``stream[first_byte]`` on.

    stream: uint8.
    """
    signature = types.void(stream, types.int64, z, types.int64)

    def generate(context, builder, signature, arguments):
        stream, first_byte, z, first = arguments
        source = _data(context, builder, signature.args[0], stream)
        octets = builder.load(_at(builder, source, first_byte, ir.VectorType(_I8, 4)), align=1)
        spread = ir.Constant(ir.VectorType(_I32, 32), [bit // 8 for bit in range(32)])
        repeated = builder.shuffle_vector(octets, ir.Constant(octets.type, ir.Undefined), spread)
        wanted = builder.and_(repeated, ir.Constant(_SIGNS, [1 << bit % 8 for bit in range(32)]))
        clear = builder.icmp_signed("==", wanted, ir.Constant(_SIGNS, [0] * 32))
        values = builder.select(clear, ir.Constant(_SIGNS, [-32] * 32), ir.Constant(_SIGNS, [32] * 32))
        target = _data(context, builder, signature.args[2], z)
        builder.store(values, _at(builder, target, first, _SIGNS), align=1)
        return context.get_dummy_value()

    return signature, generate
