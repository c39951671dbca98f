"""Weights into panels: 16 output channels side by side, in the order in which the tile reads them."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.gemm.ends import COLUMNS
from fxpgrad_kernels.gemm.vectors import (
    I16,
    I64,
    LANES,
    PAIRS,
    SUMS,
    at,
    broadcast,
    constant,
    indices,
    load,
    pair_products,
    store,
)
from fxpgrad_kernels.jit import cgutils, device, intrinsic, ir, types

# How a panel is made from the weights.
WHOLE = 0  # w
HIGH_BYTE = 1  # w >> 8
LOW_BYTE = 2  # (w & 255) - 128, so that w = 256 * high + low + 128

_REGISTER = 128  # bits of one transposed row


def _transpose(builder, rows):
    """Return the transpose of n vectors of n lanes: log2(n) rounds of interleaving halves."""
    size = len(rows)
    low = indices(*[lane // 2 + lane % 2 * size for lane in range(size)])
    high = indices(*[lane // 2 + lane % 2 * size + size // 2 for lane in range(size)])
    for _ in range(size.bit_length() - 1):
        pairs = [(rows[i], rows[i + size // 2]) for i in range(size // 2)]
        rows = [builder.shuffle_vector(a, b, mask) for a, b in pairs for mask in (low, high)]
    return rows


@intrinsic
def _interleave_columns(typing_context, weights, row_length, num_columns, count, panel):
    """Write `panel` [pairs][COLUMNS][2] from `num_columns` rows, each `row_length` after the last, and zeros.

    count: pairs of a row to move, a multiple of 8 (int8) or 4 (int16), the pairs of one 128-bit load.
    """
    signature = types.void(weights, types.int64, types.int64, types.int64, panel)

    def codegen(context, builder, signature, args):
        source, target = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 4)
        )
        pair = ir.IntType(2 * source.type.pointee.width)
        size = _REGISTER // pair.width
        kind = ir.VectorType(pair, size)
        zeros = constant(kind, 0)
        last = builder.sub(args[2], constant(I64, 1))
        blocks = builder.sdiv(args[3], constant(I64, size))
        with cgutils.for_range(builder, blocks) as block:
            inner = builder.mul(block.index, constant(I64, 2 * size))
            outer = builder.mul(inner, constant(I64, COLUMNS))
            for column in range(0, COLUMNS, size):
                rows = []
                for c in range(column, column + size):
                    number = constant(I64, c)
                    exists = builder.icmp_signed("<=", number, last)
                    near = builder.select(exists, number, last)  # a row that may be read
                    place = builder.add(inner, builder.mul(args[1], near))
                    row = load(builder, at(builder, source, place), kind, 1)
                    rows.append(builder.select(exists, row, zeros))
                for p, values in enumerate(_transpose(builder, rows)):
                    place = builder.add(outer, constant(I64, (p * COLUMNS + column) * 2))
                    store(builder, values, at(builder, target, place), 1)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def sum_columns(typing_context, panel, totals, magnitudes):
    """Write the sum and the sum of magnitudes of each column's weights (int32 [COLUMNS]).

    panel: fewer than 2**15 pairs of each column. Magnitudes are products with the weights' signs.
    """
    signature = types.void(panel, totals, magnitudes)

    def codegen(context, builder, signature, args):
        arrays = [context.make_array(signature.args[i])(context, builder, args[i]) for i in range(3)]
        weights = arrays[0].data.type.pointee
        cells = [
            [cgutils.alloca_once_value(builder, constant(SUMS, 0)) for _ in range(COLUMNS // LANES)]
            for _ in range(2)
        ]
        pairs = builder.sdiv(arrays[0].nitems, constant(I64, 2 * COLUMNS))
        # a 1 that LLVM cannot see: it would make the products something slower than multiply-adds
        hidden = builder.add(builder.lshr(arrays[0].nitems, constant(I64, 62)), constant(I64, 1))
        ones = broadcast(builder, builder.trunc(hidden, I16), PAIRS)
        with cgutils.for_range(builder, pairs) as loop:
            for v in range(COLUMNS // LANES):
                place = builder.add(
                    builder.mul(loop.index, constant(I64, 2 * COLUMNS)), constant(I64, 2 * LANES * v)
                )
                pointer = at(builder, arrays[0].data, place)
                values = load(builder, pointer, ir.VectorType(weights, 2 * LANES), 1)
                values = values if values.type == PAIRS else builder.sext(values, PAIRS)
                signs = builder.or_(builder.ashr(values, constant(PAIRS, 15)), ones)
                for factors, row in zip((ones, signs), cells, strict=True):
                    added = builder.add(builder.load(row[v]), pair_products(builder, values, factors))
                    builder.store(added, row[v])
        for target, row in zip(arrays[1:], cells, strict=True):
            for v, cell in enumerate(row):
                store(builder, builder.load(cell), at(builder, target.data, v * LANES), 4)
        return context.get_dummy_value()

    return signature, codegen


@device
def _part(value, part):
    """Return a weight, or its high or low byte as a signed one."""
    if part == HIGH_BYTE:
        return np.int16(np.int32(value) >> np.int32(8))
    if part == LOW_BYTE:
        return np.int16((np.int32(value) & np.int32(255)) - np.int32(128))
    return np.int16(value)


@device
def _pack_pairs(run, first_pair, part, column, panel):
    """Copy the pairs of one run from `first_pair` on into one column of its segment's panel."""
    whole = run.size >> np.int64(1)
    for pair in range(first_pair, whole):
        place = panel[(pair * COLUMNS + column) * 2 : (pair * COLUMNS + column) * 2 + 2]
        place[0] = _part(run[2 * pair], part)
        place[1] = _part(run[2 * pair + 1], part)
    if run.size & 1:
        place = panel[(whole * COLUMNS + column) * 2 : (whole * COLUMNS + column) * 2 + 2]
        place[0] = _part(run[2 * whole], part)
        place[1] = np.int16(0)


@device
def pack_panel(weights, num_columns, num_segments, segment_length, part, panel):
    """Copy up to COLUMNS channels of flat `weights` [columns * num_segments * segment_length] into `panel`.

    Panel layout: [segment][pair][column][2]. Odd segments and missing columns are filled with 0.
    """
    pairs = (segment_length + np.int64(1)) >> np.int64(1)
    length = num_segments * segment_length
    step = np.int64(8) if weights.itemsize == 1 else np.int64(4)
    moved = (segment_length >> np.int64(1)) & -step if part == WHOLE else np.int64(0)
    if num_columns < COLUMNS and 2 * moved < segment_length:
        for i in range(panel.size):
            panel[i] = 0
    for segment in range(num_segments):
        target = panel[segment * pairs * 2 * COLUMNS : (segment + 1) * pairs * 2 * COLUMNS]
        first = segment * segment_length
        if moved > 0:
            _interleave_columns(weights[first:], length, num_columns, moved, target)
        if 2 * moved == segment_length:
            continue
        for column in range(num_columns):
            run = weights[first + column * length : first + column * length + segment_length]
            _pack_pairs(run, moved, part, column, target)
