"""Sums and largest values down columns: pixels of a window, rows of a matrix.

The values lie flat. Column c of an area is every

    values[first + y * row_step + x * step + c]    0 <= y < rows, 0 <= x < count

and neighbouring columns are neighbours in memory. LANES of them stay in registers while an area is
walked; the IR is plain vector IR and names no processor. Nothing is checked: the caller knows the area.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import cgutils, device, intrinsic, ir, types

__all__ = ["column_maxima", "column_sums"]

LANES = 16

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _splat(builder, value, kind):
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, kind.count), None))


def _walk(builder, data, area, start, combine):
    """Return `start` (a vector) combined with as many values of every pixel of the area."""
    first, rows, row_step, count, step = area
    pixel = ir.VectorType(data.type.pointee, start.type.count)
    result = cgutils.alloca_once_value(builder, start)
    builder.store(start, result)
    with cgutils.for_range(builder, rows) as outer:
        row = builder.add(first, builder.mul(outer.index, row_step))
        with cgutils.for_range(builder, count) as inner:
            place = builder.add(row, builder.mul(inner.index, step))
            values = builder.load(builder.bitcast(builder.gep(data, [place]), pixel.as_pointer()))
            values.align = 1
            builder.store(combine(builder.load(result), values), result)
    return builder.load(result)


def _data(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


def _store(builder, value, data, place):
    target = builder.bitcast(builder.gep(data, [place]), value.type.as_pointer())
    builder.store(value, target).align = 1


@intrinsic
def _sum_block(typing_context, values, first, rows, row_step, count, step, sums, place):
    """Write LANES sums to int32 sums[place] and the following."""
    numbers = (types.int64,) * 5
    signature = types.void(values, *numbers, sums, types.int64)

    def codegen(context, builder, signature, args):
        wide = ir.VectorType(_I32, LANES)

        def combine(total, pixel):
            return builder.add(total, builder.sext(pixel, wide))

        source = _data(context, builder, signature.args[0], args[0])
        target = _data(context, builder, signature.args[6], args[6])
        zero = ir.Constant(wide, [0] * LANES)
        _store(builder, _walk(builder, source, args[1:6], zero, combine), target, args[7])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic(prefer_literal=True)
def _max_block(typing_context, values, first, rows, row_step, count, step, output, place, low, high, lanes):
    """Write the largest of each of `lanes` (a literal) columns, within [low, high], to output[place] on."""
    signature = types.void(values, *(types.int64,) * 5, output, *(types.int64,) * 3, lanes)

    def codegen(context, builder, signature, args):
        source = _data(context, builder, signature.args[0], args[0])
        target = _data(context, builder, signature.args[6], args[6])
        element = source.type.pointee
        kind = ir.VectorType(element, lanes.literal_value)
        low, high = (_splat(builder, builder.trunc(bound, element), kind) for bound in args[8:10])

        def combine(largest, pixel):
            return builder.select(builder.icmp_signed(">", pixel, largest), pixel, largest)

        largest = _walk(builder, source, args[1:6], low, combine)
        kept = builder.select(builder.icmp_signed("<", largest, high), largest, high)
        _store(builder, kept, target, args[7])
        return context.get_dummy_value()

    return signature, codegen


@device
def column_sums(values, first, rows, row_step, count, step, width, sums):
    """Write the sums of columns 0 to width - 1 to int32 `sums`; they must fit."""
    if width >= LANES:
        for block in range(0, width - LANES + 1, LANES):
            _sum_block(values, first + block, rows, row_step, count, step, sums, block)
        if width % LANES != 0:  # the last columns, some of them once more
            last = np.int64(width - LANES)
            _sum_block(values, first + last, rows, row_step, count, step, sums, last)
        return
    for c in range(width):
        total = np.int32(0)
        for y in range(rows):
            for x in range(count):
                total = np.int32(total + np.int32(values[np.uint64(first + y * row_step + x * step + c)]))
        sums[c] = total


@device
def column_maxima(values, first, rows, row_step, count, step, width, output, place, low, high):
    """Write the largest of each of `width` columns, kept within [low, high], to output[place] and on."""
    if width >= LANES:  # few long blocks: a small window takes longer to walk than to read
        c = np.int64(0)
        while width - c >= 64:
            _max_block(values, first + c, rows, row_step, count, step, output, place + c, low, high, 64)
            c += 64
        if width - c >= 32:
            _max_block(values, first + c, rows, row_step, count, step, output, place + c, low, high, 32)
            c += 32
        if width - c >= LANES:
            _max_block(values, first + c, rows, row_step, count, step, output, place + c, low, high, 16)
            c += LANES
        if c < width:  # the last columns, some of them once more
            c = np.int64(width - LANES)
            _max_block(values, first + c, rows, row_step, count, step, output, place + c, low, high, 16)
        return
    for c in range(width):
        largest = np.int64(low)
        for y in range(rows):
            for x in range(count):
                value = np.int64(values[np.uint64(first + y * row_step + x * step + c)])
                largest = max(largest, value)
        output[np.uint64(place + c)] = min(largest, np.int64(high))
