"""The vector loop of a linear sum: BLOCK outputs (a * slope_a + b * slope_b + offset) / 2**n a step.

Slopes and offset are split at bit 15, so that two multiply-adds of int16 pairs (one vpmaddwd or smlal
each) make the 39 bits of the exact value out of int32 lanes. The IR below is plain vector IR and names
no processor. See `contract.md` and `linear_sum.py`.
"""

from __future__ import annotations

from fxpgrad_kernels.jit import cgutils, intrinsic, ir, types

BLOCK = 32
HALF_BITS = 15

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_ROW = 16  # values that are widened together
_LANES = 8
_V8, _V16 = ir.VectorType(_I8, _ROW), ir.VectorType(_I16, _ROW)
_PAIRS32, _V32 = ir.VectorType(_I32, 2 * _LANES), ir.VectorType(_I32, _LANES)
_WHOLE16, _WHOLE8 = ir.VectorType(_I16, BLOCK), ir.VectorType(_I8, BLOCK)

# Pairs (a, b) within each half of a vector, as processors interleave; `_IN_ORDER` undoes it.
_FIRST = [0, 1, 2, 3, 8, 9, 10, 11]
_SECOND = [4, 5, 6, 7, 12, 13, 14, 15]
_IN_ORDER = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]


def _mask(indices):
    return ir.Constant(ir.VectorType(_I32, len(indices)), list(indices))


def _splat(builder, value, kind):
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, _mask([0] * kind.count))


def _limit(builder, value, low, high):
    raised = builder.select(builder.icmp_signed(">", value, low), value, low)
    return builder.select(builder.icmp_signed("<", raised, high), raised, high)


def _narrow(builder, value, kind):
    """Saturate to a narrower type: a pack instruction, where there is one."""
    limit = 1 << (kind.element.width - 1)
    low, high = (ir.Constant(value.type, [bound] * value.type.count) for bound in (-limit, limit - 1))
    return builder.trunc(_limit(builder, value, low, high), kind)


def _pair_products(builder, pairs, factors):
    """Return the int32 sums pairs[2i]*factors[2i] + pairs[2i+1]*factors[2i+1]."""
    product = builder.mul(builder.sext(pairs, _PAIRS32), builder.sext(factors, _PAIRS32))
    undefined = ir.Constant(_PAIRS32, ir.Undefined)
    even = builder.shuffle_vector(product, undefined, _mask(range(0, _ROW, 2)))
    odd = builder.shuffle_vector(product, undefined, _mask(range(1, _ROW, 2)))
    return builder.add(even, odd)


def _sixteen(builder, a, b, line):
    """Return 16 outputs as int16 for 16 int8 values of a and of b."""
    high_slopes, low_slopes, high_offset, low_offset, shift = line
    wide_a, wide_b = builder.sext(a, _V16), builder.sext(b, _V16)
    parts = []
    for chosen in (_FIRST, _SECOND):
        indices = [index for i in chosen for index in (i, i + _ROW)]
        pairs = builder.shuffle_vector(wide_a, wide_b, _mask(indices))
        high = builder.add(_pair_products(builder, pairs, high_slopes), high_offset)
        low = builder.add(_pair_products(builder, pairs, low_slopes), low_offset)
        carry = builder.ashr(low, ir.Constant(_V32, [HALF_BITS] * _LANES))
        parts.append(builder.ashr(builder.add(high, carry), shift))
    both = builder.shuffle_vector(*parts, _mask(_IN_ORDER))
    return _narrow(builder, both, _V16)


@intrinsic
def linear_blocks(typing_context, input_a, input_b, line, output, blocks, clamp_low, clamp_high):
    """Write the first `blocks` * BLOCK outputs.

    input_a, input_b, output: int8, at least that long; line: int32 [8] as `linear_sum.find_line` makes
    it; clamp_low, clamp_high: int64 within int8.
    """
    signature = types.void(input_a, input_b, line, output, types.int64, types.int64, types.int64)

    def codegen(context, builder, signature, args):
        a_at, b_at, line_at, out_at = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in range(4)
        )
        blocks, low, high = args[4:]
        numbers = [builder.load(builder.gep(line_at, [ir.Constant(_I64, i)])) for i in range(8)]

        def slopes(a, b):
            """Return the pair (a, b) in every lane."""
            low_half = builder.and_(a, ir.Constant(_I32, 0xFFFF))
            pair = builder.or_(low_half, builder.shl(b, ir.Constant(_I32, 16)))
            return builder.bitcast(_splat(builder, pair, _V32), _V16)

        constants = (
            slopes(numbers[1], numbers[3]),
            slopes(numbers[2], numbers[4]),
            *(_splat(builder, numbers[i], _V32) for i in (5, 6, 7)),
        )
        low = _splat(builder, builder.trunc(low, _I8), _WHOLE8)
        high = _splat(builder, builder.trunc(high, _I8), _WHOLE8)

        def load(pointer, start):
            value = builder.load(builder.bitcast(builder.gep(pointer, [start]), _V8.as_pointer()))
            value.align = 1
            return value

        with cgutils.for_range(builder, blocks) as loop:
            start = builder.mul(loop.index, ir.Constant(_I64, BLOCK))
            middle = builder.add(start, ir.Constant(_I64, _ROW))
            halves = [
                _sixteen(builder, load(a_at, place), load(b_at, place), constants)
                for place in (start, middle)
            ]
            whole = builder.shuffle_vector(*halves, _mask(range(BLOCK)))
            value = _limit(builder, _narrow(builder, whole, _WHOLE8), low, high)
            target = builder.bitcast(builder.gep(out_at, [start]), _WHOLE8.as_pointer())
            builder.store(value, target).align = 1
        return context.get_dummy_value()

    return signature, codegen
