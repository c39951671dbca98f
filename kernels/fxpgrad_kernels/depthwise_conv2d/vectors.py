"""The vector steps of the depthwise convolution, in plain vector IR that names no processor.

Two neighbouring rows of the image are held as pairs of int16, so that one multiply-add instruction
(vpmaddwd, smull + addp, ...) takes a tap of both rows: mul <16 x i32> of sign-extended operands, then
the even and the odd products added.
"""

from __future__ import annotations

from fxpgrad_kernels.depthwise_conv2d.layout import BLOCK, COLUMNS, GROUP, PIXELS
from fxpgrad_kernels.jit import cgutils, intrinsic, ir, types

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_SUMS = ir.VectorType(_I32, GROUP)
_PAIRS16 = ir.VectorType(_I16, 2 * GROUP)
_PAIRS32 = ir.VectorType(_I32, 2 * GROUP)
_BYTES = ir.VectorType(_I8, 16)
_EVEN = ir.Constant(_SUMS, list(range(0, 2 * GROUP, 2)))
_ODD = ir.Constant(_SUMS, list(range(1, 2 * GROUP, 2)))


def _data(context, builder, kind, value):
    return context.make_array(kind)(context, builder, value).data


def _int(value):
    return ir.Constant(_I64, value)


def _load(builder, pointer, kind, align):
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def _store(builder, value, pointer, align):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = align


def _broadcast(builder, scalar, kind):
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, kind.count), None))


def _pair_products(builder, x, w):
    """Return the int32 sums x[2i]*w[2i] + x[2i+1]*w[2i+1] of two vectors of int16 pairs."""
    product = builder.mul(builder.sext(x, _PAIRS32), builder.sext(w, _PAIRS32))
    undefined = ir.Constant(_PAIRS32, ir.Undefined)
    even = builder.shuffle_vector(product, undefined, _EVEN)
    odd = builder.shuffle_vector(product, undefined, _ODD)
    return builder.add(even, odd)


@intrinsic
def lanes_to_boundary(typing_context, lines):
    """Return how many elements of int32 `lines` lie before its first 32-byte boundary."""
    signature = types.int64(lines)

    def codegen(context, builder, signature, args):
        address = builder.ptrtoint(_data(context, builder, signature.args[0], args[0]), _I64)
        return builder.and_(builder.lshr(builder.neg(address), _int(2)), _int(7))

    return signature, codegen


@intrinsic
def clear_run(typing_context, lines, at, count):
    """Write zeros to lines[at : at + count], int32."""
    signature = types.void(lines, types.int64, types.int64)

    def codegen(context, builder, signature, args):
        target = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        cgutils.memset(builder, target, builder.shl(args[2], _int(2)), 0)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pair_weights(typing_context, weights, first, second, first_mask, second_mask, filters, to):
    """Write filters[to + i] = (weights[first + i], weights[second + i]) as int16, for 8 weights.

    weights: int8 or int16; a mask of 0 instead of -1 puts 0 in the place of a weight. Scalars int64.
    """
    signature = types.void(weights, *(types.int64,) * 4, filters, types.int64)

    def codegen(context, builder, signature, args):
        source = _data(context, builder, signature.args[0], args[0])
        target = builder.gep(_data(context, builder, signature.args[5], args[5]), [args[6]])
        kind = ir.VectorType(source.type.pointee, GROUP)
        align = kind.element.width // 8
        halves = []
        for at, mask in ((args[1], args[3]), (args[2], args[4])):
            eight = builder.sext(_load(builder, builder.gep(source, [at]), kind, align), _SUMS)
            halves.append(builder.and_(eight, _broadcast(builder, builder.trunc(mask, _I32), _SUMS)))
        low = builder.and_(halves[0], ir.Constant(_SUMS, [0xFFFF] * GROUP))
        high = builder.shl(halves[1], ir.Constant(_SUMS, [16] * GROUP))
        _store(builder, builder.or_(low, high), target, 4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def pair_run(
    typing_context, image, first, second, count, zero_point, first_mask, second_mask, lines, to
):  # fmt: skip
    """Write `count` pairs: lines[to + i] = (image[first + i] - zero, image[second + i] - zero) as int16.

    A mask of 0 instead of -1 puts 0 in the place of the centred value. count: at least 16; the last
    vector overlaps the one before. All scalars int64.
    """
    signature = types.void(image, *(types.int64,) * 6, lines, types.int64)

    def codegen(context, builder, signature, args):
        pixels = _data(context, builder, signature.args[0], args[0])
        lines = _data(context, builder, signature.args[7], args[7])
        _, first, second, count, zero_point, first_mask, second_mask, _, to = args
        zero = _broadcast(builder, builder.trunc(zero_point, _I16), _PAIRS16)
        low = builder.and_(builder.trunc(first_mask, _I32), ir.Constant(_I32, 0xFFFF))
        mask = builder.or_(low, builder.shl(builder.trunc(second_mask, _I32), ir.Constant(_I32, 16)))
        mask = builder.bitcast(_broadcast(builder, mask, _SUMS), _PAIRS16)
        last = builder.sub(count, _int(16))
        vectors = builder.ashr(builder.add(count, _int(15)), _int(4))
        with cgutils.for_range(builder, vectors) as loop:
            at = builder.shl(loop.index, _int(4))
            at = builder.select(builder.icmp_signed("<", at, last), at, last)
            upper = _load(builder, builder.gep(pixels, [builder.add(first, at)]), _BYTES, 1)
            lower = _load(builder, builder.gep(pixels, [builder.add(second, at)]), _BYTES, 1)
            target = builder.gep(lines, [builder.add(to, at)])
            for half in range(2):
                order = [x for i in range(GROUP) for x in (half * GROUP + i, half * GROUP + i + 16)]
                pairs = builder.shuffle_vector(upper, lower, ir.Constant(_PAIRS32, order))
                pairs = builder.and_(builder.sub(builder.sext(pairs, _PAIRS16), zero), mask)
                _store(builder, pairs, builder.gep(target, [_int(half * GROUP)]), 4)
        return context.get_dummy_value()

    return signature, codegen


def _add_block(builder, starts, column, stride, weights, totals):
    """Add a block of taps to neighbouring pixels, `stride` columns apart, in `totals`.

    A vector of pairs is loaded once for all the pixels whose windows hold it.
    """
    for pair in range(2):
        taps = [
            _load(builder, builder.gep(weights[pair], [_int(k * GROUP)]), _PAIRS16, 4) for k in range(COLUMNS)
        ]
        for x in range((len(totals) - 1) * stride + COLUMNS):
            pairs = _load(builder, builder.gep(starts[pair], [builder.mul(column, _int(x))]), _PAIRS16, 4)
            for p, total in enumerate(totals):
                if 0 <= x - p * stride < COLUMNS:
                    products = _pair_products(builder, pairs, taps[x - p * stride])
                    totals[p] = builder.add(total, products)


def _sum_row(context, builder, signature, args, pixels, stride):
    """Emit the loops over groups of channels and tiles of `pixels` pixels; see `sum_row`."""
    lines, channels, filters = (_data(context, builder, signature.args[i], args[i]) for i in range(3))
    starts_at, column_at, column, step, width, groups, tiles, first, taps_at, taps_step, sums_at = args[3:]
    begins = builder.icmp_signed("!=", first, _int(0))
    before_width = builder.select(begins, _int(0), width)
    with cgutils.for_range(builder, groups) as outer:
        lane = builder.mul(outer.index, _int(GROUP))
        taps = builder.gep(filters, [builder.add(taps_at, builder.mul(outer.index, taps_step))])
        weights = [taps, builder.gep(taps, [_int(BLOCK // 2)])]
        sums = builder.gep(lines, [builder.add(sums_at, lane)])
        before = builder.select(begins, builder.gep(channels, [lane]), sums)
        inputs = builder.gep(lines, [builder.add(column_at, lane)])
        with cgutils.for_range(builder, tiles) as inner:
            pixel = builder.mul(inner.index, _int(pixels))
            source = builder.gep(inputs, [builder.mul(pixel, step)])
            # Weights and starts are read at every tile: kept over the loop they would not fit registers,
            # and LLVM sees a multiply-add only where the weights are widened beside it.
            starts = []
            for pair in range(2):
                start = builder.load(builder.gep(lines, [builder.add(starts_at, _int(pair))]))
                starts.append(builder.gep(source, [builder.sext(start, _I64)]))
            own = [builder.add(pixel, _int(p)) for p in range(pixels)]
            totals = [
                _load(builder, builder.gep(before, [builder.mul(p, before_width)]), _SUMS, 4) for p in own
            ]
            _add_block(builder, starts, column, stride, weights, totals)
            for p in range(pixels):
                _store(builder, totals[p], builder.gep(sums, [builder.mul(own[p], width)]), 4)
    return context.get_dummy_value()


@intrinsic
def sum_row(
    typing_context, lines, channels, filters, starts_at, column_at, column, step, width, groups, tiles, first,
    taps_at, taps_step, sums_at,
):  # fmt: skip
    """Write the sums of `groups` * 8 channels of `tiles` pixels over one block of taps.

    lines: int32, holds the pairs, the sums and, at `starts_at` and the place after, where the two rows
    of pairs start; channels: int32, the biases; filters: int32, from `taps_at` a block for each group,
    `taps_step` apart; column_at: lanes from a row's start to the first column of the block; column and
    step: lanes to the next column of taps and to the next output pixel; width: lanes from one pixel of
    sums, at `sums_at`, to the next. The sums begin with the biases where `first` is not 0, else with what
    they hold. All scalars int64.
    """
    signature = types.void(lines, channels, filters, *(types.int64,) * 11)

    def codegen(context, builder, signature, args):
        return _sum_row(context, builder, signature, args, 1, 1)

    return signature, codegen


@intrinsic
def sum_row_stride_1(
    typing_context, lines, channels, filters, starts_at, column_at, column, step, width, groups, tiles, first,
    taps_at, taps_step, sums_at,
):  # fmt: skip
    """Do `sum_row` for `tiles` * PIXELS pixels where `step` is `column`."""
    signature = types.void(lines, channels, filters, *(types.int64,) * 11)

    def codegen(context, builder, signature, args):
        return _sum_row(context, builder, signature, args, PIXELS, 1)

    return signature, codegen


@intrinsic
def sum_row_stride_2(
    typing_context, lines, channels, filters, starts_at, column_at, column, step, width, groups, tiles, first,
    taps_at, taps_step, sums_at,
):  # fmt: skip
    """Do `sum_row` for `tiles` * PIXELS pixels where `step` is 2 * `column`."""
    signature = types.void(lines, channels, filters, *(types.int64,) * 11)

    def codegen(context, builder, signature, args):
        return _sum_row(context, builder, signature, args, PIXELS, 2)

    return signature, codegen
