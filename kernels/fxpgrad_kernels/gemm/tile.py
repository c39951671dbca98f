"""The multiply-add tile: rows x COLUMNS int32 sums of int16 pair products, held in registers.

    rows (int16, read through offsets)          panel (int8 or int16)
    row_offset[0] -> a0 a1 | a2 a3 | ...        pair 0: w00 w01  w10 w11  ...  (COLUMNS x 2)
    row_offset[1] -> a0 a1 | a2 a3 | ...        pair 1: w02 w03  w12 w13  ...
         ...   (ROWS of them)                        ...

One step takes a pair (two neighbouring inputs) of each row, broadcasts it, multiplies it with the
panel's COLUMNS pairs and adds both products to the sums: the form that LLVM turns into one
multiply-add instruction (vpmaddwd, vpdpwssd, smlal ...). The IR is plain vector IR and names
no processor. A row is not contiguous: it is `num_segments` runs of pairs, run s starting at
``row_offset[r] + segment_offset[s]``, so that a convolution needs no im2col. The finished sums are
requantized and stored as int8 before they leave the registers (`ends.py`).
"""

from __future__ import annotations

from fxpgrad_kernels.gemm.ends import (
    BYTES,
    COLUMNS,
    FIELDS,
    ROUND_AWAY_TWICE,
    ROUND_FLOAT,
    ROUND_ONCE,
    ROUND_UP_TWICE,
    START,
    WORDS,
    high_constants,
    lanes,
    narrow,
    round_float,
    round_high,
    round_once,
    round_twice,
    store_rows,
)
from fxpgrad_kernels.gemm.vectors import (
    I8,
    I16,
    I32,
    I64,
    LANES,
    PAIRS,
    SUMS,
    at,
    broadcast_pair,
    constant,
    inner_loop,
    load,
    pair_products,
    store,
)
from fxpgrad_kernels.jit import cgutils, intrinsic, ir, types

ROWS = 6
PANELS = 4
_VECTORS = COLUMNS // LANES
_ROUND_HIGH = -1  # in place of one of the ends of `ends.py`
_POINTERS = {
    "rows": I16.as_pointer(),
    "row_offset": I64.as_pointer(),
    "segment_offset": I64.as_pointer(),
    "start": I32.as_pointer(),
    "record": I32.as_pointer(),
    "sums": I32.as_pointer(),
    "output": I8.as_pointer(),
}
_ARRAYS = {"panel", *_POINTERS}
_NAMES = (
    "rows", "row_offset", "num_rows", "segment_offset", "num_segments", "pairs_per_segment", "first_pair",
    "last_pair", "panel", "start", "start_step", "record", "end", "sums", "output", "output_step", "columns",
    "zero_point", "clamp_low", "clamp_high",
)  # fmt: skip


def _panel_pairs(builder, panel, element):
    """Return the panel's vectors of pairs from `element` on, as int16."""
    vectors = []
    weights = panel.type.pointee
    for v in range(_VECTORS):
        pointer = at(builder, panel, builder.add(element, constant(I64, 2 * LANES * v)))
        value = load(builder, pointer, ir.VectorType(weights, 2 * LANES), 1)
        vectors.append(value if value.type == PAIRS else builder.sext(value, PAIRS))
    return vectors


def _accumulate(builder, a, starts, panels, sums, unroll):
    """Emit the loops over segments and pairs; `starts` point at the rows, `sums` are stack cells.

    The cells of a row: those of the first panel, then those of the next.
    """
    count = builder.sub(a["last_pair"], a["first_pair"])

    def step(pair, segment_starts, panel_pair):
        element = builder.mul(pair, constant(I64, 2))
        panel_element = builder.mul(builder.add(panel_pair, pair), constant(I64, 2 * COLUMNS))
        vectors = [vector for panel in panels for vector in _panel_pairs(builder, panel, panel_element)]
        for row, cells in zip(segment_starts, sums, strict=True):
            inputs = broadcast_pair(builder, at(builder, row, element))
            for cell, vector in zip(cells, vectors, strict=True):
                products = pair_products(builder, inputs, vector)
                builder.store(builder.add(builder.load(cell), products), cell)

    with cgutils.for_range(builder, a["num_segments"]) as segments:
        shift = builder.load(at(builder, a["segment_offset"], segments.index))
        segment_starts = [at(builder, start, shift) for start in starts]
        panel_pair = builder.mul(segments.index, a["pairs_per_segment"])
        whole = builder.and_(count, constant(I64, -unroll))
        if unroll > 1:
            with inner_loop(builder, builder.sdiv(whole, constant(I64, unroll))) as pairs:
                base = builder.add(a["first_pair"], builder.mul(pairs.index, constant(I64, unroll)))
                for u in range(unroll):
                    step(builder.add(base, constant(I64, u)), segment_starts, panel_pair)
            with cgutils.for_range(builder, builder.sub(count, whole)) as pairs:
                base = builder.add(a["first_pair"], whole)
                step(builder.add(base, pairs.index), segment_starts, panel_pair)
        else:
            with inner_loop(builder, count) as pairs:
                step(builder.add(a["first_pair"], pairs.index), segment_starts, panel_pair)


def _store_bytes(builder, a, sums, outputs):
    """Add the zero point, clamp and store the requantized tile; only its last panel may be ragged."""
    zero_point = lanes(builder, a["zero_point"], WORDS)
    bounds = [lanes(builder, a[name], BYTES) for name in ("clamp_low", "clamp_high")]
    tiles = [
        (
            [builder.load(cell) for cell in cells[first : first + _VECTORS]],
            at(builder, pointer, first * LANES),
        )
        for cells, pointer in zip(sums, outputs, strict=True)
        for first in range(0, len(cells), _VECTORS)
    ]
    values = []
    for first in range(0, len(tiles), 2):
        rows = [vectors for vectors, _ in tiles[first : first + 2]]
        values += narrow(builder, rows, zero_point, *bounds)
    across = len(tiles) // len(sums)
    pairs = list(zip(values, [pointer for _, pointer in tiles], strict=True))
    last = pairs[across - 1 :: across]
    for value, pointer in pairs:
        if (value, pointer) not in last:
            store(builder, value, pointer, 1)
    store_rows(builder, last, a["columns"])


def _finish(builder, a, sums, records, targets, outputs, high=None):
    """Emit the switch over the ends; `targets` is None where the sums themselves are never wanted.

    high: the constants of `round_high`, if the one panel's end has been looked at.
    """
    done = builder.append_basic_block("done")
    narrowing = builder.append_basic_block("narrow")
    storing = builder.append_basic_block("sums")
    ends = {ROUND_ONCE: round_once, ROUND_FLOAT: round_float}
    if high is None:
        ends[ROUND_UP_TWICE] = lambda *given: round_twice(*given, away=False)
        ends[ROUND_AWAY_TWICE] = lambda *given: round_twice(*given, away=True)
    else:
        ends[_ROUND_HIGH] = lambda builder, record, vector, sums: round_high(
            builder, record, vector, high, sums
        )
    switch = builder.switch(a["end"], storing)
    for code, emit in ends.items():
        block = builder.append_basic_block(f"end.{code}")
        switch.add_case(constant(I64, code), block)
        builder.position_at_end(block)
        for column in range(len(records) * _VECTORS):
            cells = [row[column] for row in sums]
            record, vector = records[column // _VECTORS], column % _VECTORS
            results = emit(builder, record, vector, [builder.load(cell) for cell in cells])
            for cell, result in zip(cells, results, strict=True):
                builder.store(result, cell)
        builder.branch(narrowing)
    builder.position_at_end(storing)
    for cells, target in zip(sums, targets or [], strict=False):
        for v, cell in enumerate(cells):
            store(builder, builder.load(cell), at(builder, target, v * LANES), 4)
    builder.branch(done)
    builder.position_at_end(narrowing)
    _store_bytes(builder, a, sums, outputs)
    builder.branch(done)
    builder.position_at_end(done)


def _emit_tiles(builder, a, height, first_row, unroll, high):
    """Emit the loop over tiles of `height` rows from `first_row` on."""
    sums = [[cgutils.alloca_once(builder, SUMS) for _ in range(_VECTORS)] for _ in range(height)]
    last = builder.sub(a["num_rows"], constant(I64, 1))
    room = builder.sub(builder.add(last, constant(I64, height)), first_row)
    with cgutils.for_range(builder, builder.sdiv(room, constant(I64, height))) as tile:
        first = builder.add(first_row, builder.mul(tile.index, constant(I64, height)))
        numbers = [builder.add(first, constant(I64, r)) for r in range(height)]
        # past the end the last row repeats: the same sums, stored at the same place
        numbers = [builder.select(builder.icmp_signed("<", n, last), n, last) for n in numbers]
        starts = [at(builder, a["rows"], builder.load(at(builder, a["row_offset"], n))) for n in numbers]
        for number, cells in zip(numbers, sums, strict=True):
            begin = at(builder, a["start"], builder.mul(number, a["start_step"]))
            for v, cell in enumerate(cells):
                builder.store(load(builder, at(builder, begin, v * LANES), SUMS, 4), cell)
        _accumulate(builder, a, starts, [a["panel"]], sums, unroll)
        targets = [at(builder, a["sums"], builder.mul(n, constant(I64, COLUMNS))) for n in numbers]
        outputs = [at(builder, a["output"], builder.mul(n, a["output_step"])) for n in numbers]
        _finish(builder, a, sums, [a["record"]], targets, outputs, high)


def tile_function(module, weights):
    """Return the function for panels of `weights`, one in a module however often it is called."""
    kinds = [_POINTERS.get(name, I64) for name in _NAMES]
    kinds[_NAMES.index("panel")] = weights.as_pointer()
    name = f"fxpgrad.gemm.multiply_tiles.{weights}"
    function = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    if function.is_declaration:
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        a = dict(zip(_NAMES, function.args, strict=True))
        # up to half a tile of rows, or a lone one, does not fill a whole tile with repeats
        rest = builder.srem(a["num_rows"], constant(I64, ROWS))
        zero = constant(I64, 0)
        short = builder.select(builder.icmp_signed("<=", rest, constant(I64, ROWS // 2)), rest, zero)
        lone = builder.select(builder.icmp_signed("==", rest, constant(I64, 1)), rest, zero)
        whole = builder.sub(a["num_rows"], short)
        paired = builder.sub(a["num_rows"], lone)
        possible, high = high_constants(builder, a["record"], a["end"])
        a["end"] = builder.select(possible, constant(I64, _ROUND_HIGH), a["end"])
        _emit_tiles(builder, {**a, "num_rows": whole}, ROWS, zero, 1, high)
        _emit_tiles(builder, {**a, "num_rows": paired}, ROWS // 2, whole, 1, high)
        _emit_tiles(builder, a, 1, paired, 4, high)
        builder.ret_void()
    return function


def row_function(module, weights):
    """Return the function that multiplies one row with PANELS panels at a time, one in a module.

    A lone row waits for its own sums at the end of every panel; side by side the panels fill that time,
    and share the row's pairs. The arguments are those of `tile_function`, but `start_step` leads from one
    panel to the next (in elements); the sums start from the records and end as the first record says.
    """
    kinds = [_POINTERS.get(name, I64) for name in _NAMES]
    kinds[_NAMES.index("panel")] = weights.as_pointer()
    name = f"fxpgrad.gemm.multiply_row.{weights}"
    function = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    if function.is_declaration:
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        a = dict(zip(_NAMES, function.args, strict=True))
        sums = [[cgutils.alloca_once(builder, SUMS) for _ in range(PANELS * _VECTORS)]]
        panels = [
            at(builder, a["panel"], builder.mul(a["start_step"], constant(I64, p))) for p in range(PANELS)
        ]
        records = [at(builder, a["record"], p * FIELDS * COLUMNS) for p in range(PANELS)]
        for column, cell in enumerate(sums[0]):
            place = at(builder, records[column // _VECTORS], START * COLUMNS + column % _VECTORS * LANES)
            builder.store(load(builder, place, SUMS, 4), cell)
        start = at(builder, a["rows"], builder.load(a["row_offset"]))
        _accumulate(builder, a, [start], panels, sums, 1)
        _finish(builder, a, sums, records, None, [a["output"]])
        builder.ret_void()
    return function


@intrinsic
def multiply_tiles(
    typing_context, rows, row_offset, num_rows, segment_offset, num_segments, pairs_per_segment, first_pair,
    last_pair, panel, start, start_step, record, end, sums, output, output_step, columns, zero_point,
    clamp_low, clamp_high,
):  # fmt: skip
    """Multiply `num_rows` rows with one panel and finish the sums as `end` says: see `contract.md`."""
    given = (
        rows, row_offset, num_rows, segment_offset, num_segments, pairs_per_segment, first_pair, last_pair,
        panel, start, start_step, record, end, sums, output, output_step, columns, zero_point, clamp_low,
        clamp_high,
    )  # fmt: skip
    kinds = [kind if name in _ARRAYS else types.int64 for name, kind in zip(_NAMES, given, strict=True)]

    def codegen(context, builder, signature, args):
        passed = [
            context.make_array(kind)(context, builder, value).data if name in _ARRAYS else value
            for name, kind, value in zip(_NAMES, signature.args, args, strict=True)
        ]
        weights = passed[_NAMES.index("panel")].type.pointee
        builder.call(tile_function(builder.module, weights), passed)
        return context.get_dummy_value()

    return types.void(*kinds), codegen
