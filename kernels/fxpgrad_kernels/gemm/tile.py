"""The multiply-add tile: ROWS x COLUMNS int32 sums of int16 pair products, held in registers.

    rows (int16, read through offsets)          panel (int16)
    row_offset[0] -> a0 a1 | a2 a3 | ...        pair 0: w00 w01  w10 w11  ...  (COLUMNS x 2)
    row_offset[1] -> a0 a1 | a2 a3 | ...        pair 1: w02 w03  w12 w13  ...
         ...   (ROWS of them)                        ...

One step takes a pair (two neighbouring inputs) of each row, broadcasts it, multiplies it with the
panel's COLUMNS pairs and adds both products to the sums: the form that LLVM turns into one
multiply-add instruction (vpmaddwd, vpdpwssd, smlal ...). The IR below is plain vector IR and names
no processor. A row is not contiguous: it is `num_segments` runs of pairs, run s starting at
``row_offset[r] + segment_offset[s]``, so that a convolution needs no im2col.
"""

from __future__ import annotations

from fxpgrad_kernels.jit import cgutils, intrinsic, ir, types

ROWS = 6
COLUMNS = 16
_LANES = 8
_VECTORS = COLUMNS // _LANES

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_V32 = ir.VectorType(_I32, _LANES)
_PAIRS16 = ir.VectorType(_I16, 2 * _LANES)
_PAIRS32 = ir.VectorType(_I32, 2 * _LANES)
_ZERO = ir.Constant(_V32, [0] * _LANES)
_ALL_FIRST = ir.Constant(_V32, [0] * _LANES)
_EVEN = ir.Constant(_V32, list(range(0, 2 * _LANES, 2)))
_ODD = ir.Constant(_V32, list(range(1, 2 * _LANES, 2)))


def _pair_products(builder, a, w):
    """Return the int32 sums a[2i]*w[2i] + a[2i+1]*w[2i+1] of two vectors of int16 pairs."""
    product = builder.mul(builder.sext(a, _PAIRS32), builder.sext(w, _PAIRS32))
    undefined = ir.Constant(_PAIRS32, ir.Undefined)
    even = builder.shuffle_vector(product, undefined, _EVEN)
    odd = builder.shuffle_vector(product, undefined, _ODD)
    return builder.add(even, odd)


def _load(builder, pointer, kind, align):
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def _broadcast_pair(builder, pointer):
    pair = _load(builder, pointer, _I32, 2)
    undefined = ir.Constant(_V32, ir.Undefined)
    first = builder.insert_element(undefined, pair, ir.Constant(_I32, 0))
    return builder.bitcast(builder.shuffle_vector(first, undefined, _ALL_FIRST), _PAIRS16)


@intrinsic
def madd_tile(
    typing_context,
    rows,
    row_offset,
    segment_offset,
    num_segments,
    pairs_per_segment,
    first_pair,
    last_pair,
    panel,
    accumulator,
):
    """Write ROWS x COLUMNS sums over pairs [first_pair, last_pair) of every segment.

    rows: int16, flat; row_offset: int64 [ROWS] and segment_offset: int64 [num_segments], in
    elements of `rows`; panel: int16 [num_segments][pairs_per_segment][COLUMNS][2], flat;
    accumulator: int32 [ROWS * COLUMNS], overwritten. The sums must fit int32.
    """
    signature = types.void(
        rows,
        row_offset,
        segment_offset,
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        panel,
        accumulator,
    )

    def codegen(context, builder, signature, args):
        def data(index):
            return context.make_array(signature.args[index])(context, builder, args[index]).data

        rows_at, offsets_at, segments_at, panel_at, out_at = (data(i) for i in (0, 1, 2, 7, 8))
        num_segments, pairs_per_segment, first_pair, last_pair = args[3:7]

        def const(value):
            return ir.Constant(_I64, value)

        starts = [
            builder.gep(rows_at, [builder.load(builder.gep(offsets_at, [const(r)]))]) for r in range(ROWS)
        ]
        sums = [[cgutils.alloca_once_value(builder, _ZERO) for _ in range(_VECTORS)] for _ in range(ROWS)]
        for row in sums:
            for cell in row:
                builder.store(_ZERO, cell)
        count = builder.sub(last_pair, first_pair)
        with cgutils.for_range(builder, num_segments) as segments:
            shift = builder.load(builder.gep(segments_at, [segments.index]))
            segment_starts = [builder.gep(start, [shift]) for start in starts]
            panel_pair = builder.mul(segments.index, pairs_per_segment)
            with cgutils.for_range(builder, count) as pairs:
                pair = builder.add(first_pair, pairs.index)
                element = builder.mul(pair, const(2))
                weights_start = builder.mul(builder.add(panel_pair, pair), const(2 * COLUMNS))
                weights = [
                    _load(
                        builder,
                        builder.gep(panel_at, [builder.add(weights_start, const(2 * _LANES * v))]),
                        _PAIRS16,
                        2,
                    )
                    for v in range(_VECTORS)
                ]
                for r in range(ROWS):
                    broadcast = _broadcast_pair(builder, builder.gep(segment_starts[r], [element]))
                    for v in range(_VECTORS):
                        products = _pair_products(builder, broadcast, weights[v])
                        builder.store(builder.add(builder.load(sums[r][v]), products), sums[r][v])
        for r in range(ROWS):
            for v in range(_VECTORS):
                target = builder.gep(out_at, [const(r * COLUMNS + v * _LANES)])
                store = builder.store(builder.load(sums[r][v]), builder.bitcast(target, _V32.as_pointer()))
                store.align = 4
        return context.get_dummy_value()

    return signature, codegen
