"""The loop over a group's panels, in IR: with few rows the way from panel to panel costs as much as the work.

`multiply_panels` runs the panels that finish in registers and stops at the first that does not: its
caller takes that one by way of exact sums and goes on behind it.
"""

from __future__ import annotations

from fxpgrad_kernels.gemm.ends import COLUMNS, NOTES, STORE_SUMS
from fxpgrad_kernels.gemm.prepare import RECORD
from fxpgrad_kernels.gemm.tile import PANELS, row_function, tile_function
from fxpgrad_kernels.gemm.vectors import I64, at, constant
from fxpgrad_kernels.jit import cgutils, intrinsic, ir, types

_BOOL = ir.IntType(1)


def _emit_loop(builder, a):
    """Emit the loop; return the number of the first panel that was not run."""
    weights = a["panels"].type.pointee
    size = builder.mul(builder.mul(a["num_segments"], a["pairs"]), constant(I64, 2 * COLUMNS))
    number = cgutils.alloca_once_value(builder, a["first"])
    lone = builder.icmp_signed("==", a["num_rows"], constant(I64, 1))
    look, one, many, stop = (builder.append_basic_block(name) for name in ("look", "one", "many", "stop"))
    builder.branch(look)
    builder.position_at_end(look)
    first = builder.load(number)
    with builder.if_then(builder.icmp_signed(">=", first, a["num_panels"])):
        builder.branch(stop)
    end = _end_of(builder, a, first)
    with builder.if_then(builder.icmp_signed("==", end, constant(I64, STORE_SUMS))):
        builder.branch(stop)
    room = builder.sub(a["num_panels"], first)
    with builder.if_then(builder.and_(lone, builder.icmp_signed(">=", room, constant(I64, PANELS)))):
        alike = constant(_BOOL, 1)
        for p in range(1, PANELS):
            other = _end_of(builder, a, builder.add(first, constant(I64, p)))
            alike = builder.and_(alike, builder.icmp_signed("==", other, end))
        builder.cbranch(alike, many, one)
    builder.branch(one)
    for block, function, panels in (
        (one, tile_function(builder.module, weights), 1),
        (many, row_function(builder.module, weights), PANELS),
    ):
        builder.position_at_end(block)
        _call(builder, a, function, first, end, size, panels)
        builder.store(builder.add(first, constant(I64, panels)), number)
        builder.branch(look)
    builder.position_at_end(stop)
    return builder.load(number)


def _end_of(builder, a, number):
    """Return how a panel ends, STORE_SUMS if its sums need not fit int32."""
    notes = at(builder, a["channels"], builder.mul(number, constant(I64, RECORD)))
    end, narrow = (builder.sext(builder.load(at(builder, notes, NOTES * COLUMNS + i)), I64) for i in (0, 1))
    is_32 = builder.icmp_signed("==", a["mode"], constant(I64, 32))
    is_64 = builder.icmp_signed("==", a["mode"], constant(I64, 64))
    fits = builder.or_(is_32, builder.and_(is_64, builder.icmp_signed("==", narrow, constant(I64, 1))))
    return builder.select(fits, end, constant(I64, STORE_SUMS))


def _call(builder, a, function, first, end, size, panels):
    """Call the tile for the panels from `first` on; `columns` is the width of the last of them."""
    column = builder.mul(first, constant(I64, COLUMNS))
    rest = builder.sub(builder.sub(a["width"], column), constant(I64, (panels - 1) * COLUMNS))
    whole = constant(I64, COLUMNS)
    columns = builder.select(builder.icmp_signed("<", rest, whole), rest, whole)
    record = at(builder, a["channels"], builder.mul(first, constant(I64, RECORD)))
    zero = constant(I64, 0)
    builder.call(
        function,
        [
            a["rows"], a["row_offset"], a["num_rows"], a["segment_offset"], a["num_segments"], a["pairs"],
            zero, a["pairs"], at(builder, a["panels"], builder.mul(first, size)), record,
            zero if panels == 1 else size, record, end, a["sums"], at(builder, a["output"], column),
            a["output_step"], columns, a["zero_point"], a["clamp_low"], a["clamp_high"],
        ],
    )  # fmt: skip


_ARRAYS = ("rows", "row_offset", "segment_offset", "panels", "channels", "sums", "output")
_NAMES = (
    "rows", "row_offset", "num_rows", "segment_offset", "num_segments", "pairs", "panels", "channels",
    "first", "num_panels", "width", "mode", "sums", "output", "output_step", "zero_point", "clamp_low",
    "clamp_high",
)  # fmt: skip


@intrinsic
def multiply_panels(
    typing_context, rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first,
    num_panels, width, mode, sums, output, output_step, zero_point, clamp_low, clamp_high,
):  # fmt: skip
    """Multiply rows with the panels from `first` on and store bytes, as long as panels end in registers.

    panels, channels: those of one group, of `width` channels; output: where its first channel lies. Return
    the number of the first panel that was not run, `num_panels` if all were.
    """
    given = (
        rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first, num_panels,
        width, mode, sums, output, output_step, zero_point, clamp_low, clamp_high,
    )  # fmt: skip
    kinds = [kind if name in _ARRAYS else types.int64 for name, kind in zip(_NAMES, given, strict=True)]

    def codegen(context, builder, signature, args):
        passed = {
            name: context.make_array(kind)(context, builder, value).data if name in _ARRAYS else value
            for name, kind, value in zip(_NAMES, signature.args, args, strict=True)
        }
        return _emit_loop(builder, passed)

    return types.int64(*kinds), codegen
