"""Laws of the multiply-add tile, of its panels and of its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import any_profile, integers, requantization, zero_point
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.gemm import ends, plain
from fxpgrad_kernels.gemm.ends import COLUMNS, FIELDS, STORE_SUMS
from fxpgrad_kernels.gemm.gemm import BLOCK, SCRATCH, SPLIT, multiply_rows
from fxpgrad_kernels.gemm.pack import HIGH_BYTE, LOW_BYTE, WHOLE, pack_panel
from fxpgrad_kernels.gemm.prepare import NO_ROUNDING, prepare_channels, prepare_layer
from fxpgrad_kernels.gemm.tile import ROWS, multiply_tiles
from fxpgrad_kernels.jit import kernel, llvm_ir
from tests.kernels.drawn import every_profile, generators

Generator = np.random.Generator
Array = NDArray[Any]


@kernel
def tile_alone(
    rows, row_offset, num_rows, segment_offset, num_segments, pairs, first, last, panel, start, start_step,
    record, end, sums, output, output_step, columns, zero, low, high,
):  # fmt: skip
    """Call the intrinsic, which only compiled code can do."""
    multiply_tiles(
        rows, row_offset, num_rows, segment_offset, num_segments, pairs, first, last, panel, start,
        start_step, record, end, sums, output, output_step, columns, zero, low, high,
    )  # fmt: skip


@kernel
def plain_alone(
    rows, row_offset, num_rows, segment_offset, num_segments, pairs, first, last, panel, start, start_step,
    record, end, sums, output, output_step, columns, zero, low, high,
):  # fmt: skip
    """Call the twin."""
    plain.multiply_tiles(
        rows, row_offset, num_rows, segment_offset, num_segments, pairs, first, last, panel, start,
        start_step, record, end, sums, output, output_step, columns, zero, low, high,
    )  # fmt: skip


@kernel
def pack_alone(weights, first, count, num_segments, length, part, panel):
    """Call `pack_panel`."""
    size = num_segments * length
    flat = weights.ravel()[first * size : (first + count) * size]
    pack_panel(flat, count, num_segments, length, part, panel)


@kernel
def prepare_alone(weights, bias, multiplier, shift, zero, rounding, panel, record):
    """Call `prepare_channels`."""
    prepare_channels(weights.ravel(), bias, multiplier, shift, zero, rounding, False, panel, record)


@kernel
def accumulate_alone(
    weights, bias, num_segments, length, zero, mode, rows, row_offset, num_rows, segment_offset, panels,
    channels, scratch, output,
):  # fmt: skip
    """Prepare a layer and compute the accumulators of some rows with it."""
    none = np.int64(0)
    one = np.int64(1)
    prepare_layer(
        weights.ravel(), bias, bias, bias, one, num_segments, length, zero, np.int64(NO_ROUNDING), panels,
        channels,
    )  # fmt: skip
    multiply_rows(
        rows, row_offset, num_rows, segment_offset, num_segments, length, one, none, panels, channels, bias,
        bias, mode, none, none, none, none, scratch, scratch[:1].view(np.int8), output, bias.size,
    )  # fmt: skip


def runs(rng: Generator, num_rows: int, num_segments: int, length: int) -> tuple[Array, Array, Array]:
    """Return (rows, row_offset, segment_offset): runs that overlap, lie apart, in any order."""
    rows = integers(rng, (int(rng.integers(1, 60)) + 2 * length + num_segments,), "int8").astype(np.int16)
    row_offset = rng.integers(0, len(rows) - length, num_rows)
    room = len(rows) - length - int(row_offset.max())
    return rows, row_offset, rng.integers(0, room, num_segments)


def gathered(rows: Array, row_offset: Array, segment_offset: Array, length: int) -> Array:
    """Return what each row reads, int64 [rows, segments, length]."""
    index = row_offset[:, None, None] + segment_offset[None, :, None] + np.arange(length)
    return rows.astype(np.int64)[index]


def panel_size(num_segments: int, length: int) -> int:
    return num_segments * ((length + 1) // 2) * COLUMNS * 2


def row_count(rng: Generator) -> int:
    """Return a number of rows: whole tiles, lone rows and ragged ends."""
    return int(rng.choice([1, 2, 5, ROWS, ROWS + 1, ROWS + 2, 2 * ROWS, 3 * ROWS + 1]))


def drawn_tile(rng: Generator, dtype: str) -> dict[str, Any]:
    """Return arguments of the tile that ends with its sums stored."""
    num_rows, num_segments = row_count(rng), int(rng.integers(1, 5))
    pairs = int(rng.integers(1, 12))
    first, last = sorted(int(n) for n in rng.integers(0, pairs + 1, 2))
    rows, row_offset, segment_offset = runs(rng, num_rows, num_segments, 2 * pairs)
    return {
        **{"rows": rows, "row_offset": row_offset, "num_rows": num_rows},
        **{"segment_offset": segment_offset, "num_segments": num_segments, "pairs": pairs},
        **{"first": first, "last": last},
        "panel": integers(rng, (panel_size(num_segments, 2 * pairs),), dtype),
        "start": integers(rng, (num_rows * COLUMNS,), "int16").astype(np.int32),
        "start_step": int(rng.choice([0, COLUMNS])),
        "record": np.zeros(FIELDS * COLUMNS, np.int32),
        "end": STORE_SUMS,
        "sums": np.full(num_rows * COLUMNS, -99, np.int32),
        "output": np.full(num_rows * 40, 77, np.int8),
        **{"output_step": 40, "columns": int(rng.integers(1, COLUMNS + 1))},
        **{"zero": zero_point(rng), "low": -128, "high": 127},
    }


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(rng=generators)
def test_tile_is_a_product_of_matrices(dtype: str, rng: Generator) -> None:
    case = drawn_tile(rng, dtype)
    tile_alone(*case.values())
    pairs, segments = case["pairs"], case["num_segments"]
    x = gathered(case["rows"], case["row_offset"], case["segment_offset"], 2 * pairs)
    x = x.reshape(case["num_rows"], segments, pairs, 2)
    chosen = slice(case["first"], case["last"])
    panel = case["panel"].reshape(segments, pairs, COLUMNS, 2).astype(np.int64)
    expected = np.einsum("rspk,spck->rc", x[:, :, chosen], panel[:, chosen])
    start = case["start"].reshape(-1, COLUMNS)
    expected += start if case["start_step"] else start[0]
    np.testing.assert_array_equal(case["sums"].reshape(-1, COLUMNS), expected)
    assert (case["output"] == 77).all()


def test_tile_of_extremes_fills_int32_to_the_last_safe_pair() -> None:
    rng = np.random.default_rng(0)
    for pixel, weight in ((-128, -32768), (127, -32768), (-128, 32767)):
        case = drawn_tile(rng, "int16") | {"num_rows": ROWS, "num_segments": 1, "start_step": 0}
        case |= {"rows": np.full(510, pixel, np.int16), "panel": np.full(510 * COLUMNS, weight, np.int16)}
        case |= {"row_offset": np.zeros(ROWS, np.int64), "segment_offset": np.zeros(1, np.int64)}
        case |= {"pairs": 255, "first": 0, "last": 255, "start": np.zeros(COLUMNS, np.int32)}
        case["sums"] = np.zeros(ROWS * COLUMNS, np.int32)
        tile_alone(*case.values())
        np.testing.assert_array_equal(case["sums"], 510 * pixel * weight)
        assert abs(512 * pixel * weight) < 2**31 or (pixel, weight) == (-128, -32768)


def drawn_layer(rng: Generator, profile: Profile, dtype: str, columns: int, length: int) -> dict[str, Any]:
    """Return the constants of a panel of a layer."""
    weights = integers(rng, (columns, length), dtype)
    size = float(np.abs(weights.astype(np.int64)).sum(axis=1).max()) * 30
    return {
        "weights": weights,
        "bias": rng.integers(-(2**12), 2**12, columns).astype(np.int32),
        **requantization(rng, profile, columns, size),
        **{"zero": zero_point(rng), "rounding": int(profile.rounding)},
        "panel": np.zeros(0, dtype),
        "record": np.full(FIELDS * COLUMNS, 99, np.int32),
    }


@every_profile
@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(rng=generators)
def test_tile_equals_its_plain_twin_in_every_bit(profile: Profile, dtype: str, rng: Generator) -> None:
    case = drawn_tile(rng, dtype) | {"first": 0, "start_step": 0}
    case["last"] = case["pairs"]
    layer = drawn_layer(rng, profile, dtype, case["columns"], 2 * case["pairs"] * case["num_segments"])
    prepare_alone(*layer.values())
    pack_alone(
        layer["weights"], 0, case["columns"], case["num_segments"], 2 * case["pairs"], WHOLE, case["panel"]
    )
    case |= {
        "record": layer["record"],
        "start": layer["record"],
        "end": int(layer["record"][ends.NOTES * COLUMNS]),
    }
    case["low"], case["high"] = sorted(int(n) for n in rng.integers(-128, 128, 2))
    twin = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in case.items()}
    tile_alone(*case.values())
    plain_alone(*twin.values())
    for name in ("sums", "output"):
        np.testing.assert_array_equal(case[name], twin[name])


END_CASES = [(profile, shift) for profile in PROFILES.values() for shift in (-31, -23, -9, -1, 0, 3, None)]


@pytest.mark.parametrize(
    ("profile", "shift"), END_CASES, ids=lambda given: str(getattr(given, "name", given))
)
@given(rng=generators)
def test_every_end_is_requantize(profile: Profile, shift: int | None, rng: Generator) -> None:
    """A tile of no pairs that starts from sums of every size: only its end is left. None: unlike shifts."""
    case = drawn_tile(rng, "int8") | {"num_segments": 0, "first": 0, "last": 0, "columns": COLUMNS}
    layer = drawn_layer(rng, profile, "int8", COLUMNS, int(rng.choice([1, 9, 600])))
    lowest, highest = (-31, 0) if shift is None else (shift, shift)
    layer["shift"] = rng.integers(lowest, highest, COLUMNS, endpoint=True).astype(np.int32)
    prepare_alone(*layer.values())
    weights = layer["weights"].astype(np.int64)
    folded = layer["bias"] - layer["zero"] * weights.sum(axis=1)
    bound = 128 * np.abs(weights).sum(axis=1) + np.abs(folded)
    sums = np.rint(rng.uniform(-1, 1, (case["num_rows"], COLUMNS)) ** 3 * bound).astype(np.int64)
    ties = rng.random(sums.shape) < 0.3
    near = (2 * rng.integers(-300, 300, sums.shape) + 1) << np.maximum(-layer["shift"] - 1, 0)
    sums = np.where(ties & (np.abs(near) <= bound), near, sums)
    case |= {"start": sums.astype(np.int32).ravel(), "start_step": COLUMNS, "record": layer["record"]}
    case["end"] = int(layer["record"][ends.NOTES * COLUMNS])
    if case["end"] == STORE_SUMS:
        return
    tile_alone(*case.values())
    scaled = requantize_ref(sums, layer["multiplier"], layer["shift"], layer["rounding"]) + case["zero"]
    got = case["output"].reshape(-1, 40)
    np.testing.assert_array_equal(got[:, :COLUMNS], np.clip(scaled, -128, 127))
    assert (got[:, COLUMNS:] == 77).all()


@every_profile
def test_usual_layers_end_in_registers(profile: Profile) -> None:
    rng = np.random.default_rng(0)
    layer = drawn_layer(rng, profile, "int8", COLUMNS, 576)
    layer["shift"] = rng.integers(-14, -4, COLUMNS).astype(np.int32)
    prepare_alone(*layer.values())
    end, fits = layer["record"][ends.NOTES * COLUMNS :][:2]
    assert end != STORE_SUMS
    assert fits == 1


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(rng=generators)
def test_records_from_panels_equal_records_from_weights(dtype: str, rng: Generator) -> None:
    columns, length = int(rng.integers(1, COLUMNS + 1)), int(rng.choice([1, 2, 17, 64, 700]))
    layer = drawn_layer(rng, any_profile(rng), dtype, columns, length)
    prepare_alone(*layer.values())
    panel = np.full(panel_size(1, length), 77, dtype)
    pack_alone(layer["weights"], 0, columns, 1, length, WHOLE, panel)
    record = np.full(FIELDS * COLUMNS, 55, np.int32)
    prepare_alone(*(layer | {"panel": panel, "record": record}).values())
    np.testing.assert_array_equal(record, layer["record"])
    weights = layer["weights"].astype(np.int64)
    folded = layer["bias"] - layer["zero"] * weights.sum(axis=1)
    fields = record.reshape(FIELDS, COLUMNS)[:, :columns].astype(np.int64)
    np.testing.assert_array_equal((fields[ends.START_HIGH] << 32) | (fields[ends.START] & 0xFFFFFFFF), folded)
    bound = 128 * np.abs(weights).sum(axis=1) + np.abs(folded)
    assert record[ends.NOTES * COLUMNS + 1] == (bound.max() < 2**31)


@given(rng=generators)
def test_panel_holds_segment_pair_column_two(rng: Generator) -> None:
    num_segments, length, filters = (int(n) for n in rng.integers(1, (4, 40, 40)))
    weights = integers(rng, (filters, num_segments * length), str(rng.choice(["int8", "int16"])))
    first = int(rng.integers(0, filters))
    count = min(COLUMNS, filters - first)
    pairs = (length + 1) // 2
    for part in (WHOLE, HIGH_BYTE, LOW_BYTE):
        narrow = part != WHOLE and weights.dtype == np.int16
        panel = np.full(panel_size(num_segments, length), 77, np.int8 if narrow else weights.dtype)
        if part == WHOLE or narrow:
            pack_alone(weights, first, count, num_segments, length, part, panel)
        else:
            continue
        values = weights[first : first + count].astype(np.int64).reshape(count, num_segments, length)
        values = {WHOLE: values, HIGH_BYTE: values >> 8, LOW_BYTE: (values & 255) - 128}[part]
        expected = np.zeros((num_segments, 2 * pairs, COLUMNS), np.int64)
        expected[:, :length, :count] = values.transpose(1, 2, 0)
        expected = expected.reshape(num_segments, pairs, 2, COLUMNS).transpose(0, 1, 3, 2)
        np.testing.assert_array_equal(panel.reshape(num_segments, pairs, COLUMNS, 2), expected)


def test_halves_of_every_16_bit_weight_are_8_bits_and_make_it_whole() -> None:
    weights = np.arange(-(2**15), 2**15).astype(np.int16).reshape(1, -1)
    halves = []
    for part in (HIGH_BYTE, LOW_BYTE):
        panel = np.zeros(panel_size(1, weights.size), np.int16)
        pack_alone(weights, 0, 1, 1, weights.size, part, panel)
        halves.append(panel.reshape(-1, COLUMNS, 2)[:, 0].ravel().astype(np.int64))
    high, low = halves
    np.testing.assert_array_equal(256 * high + low + 128, weights.ravel())
    for half in halves:
        assert half.min() == -128
        assert half.max() == 127


def exact_and_computed(
    rng: Generator, mode: int, dtype: str, depth: int, num_segments: int
) -> tuple[Array, Array]:
    """Return (accumulators that the driver stored, exact ones saturated) of a random product."""
    filters, num_rows = int(rng.integers(1, 40)), row_count(rng)
    weights = integers(rng, (filters, num_segments * depth), dtype)
    bias, zero = rng.integers(-(2**20), 2**20, filters).astype(np.int32), zero_point(rng)
    rows, row_offset, segment_offset = runs(rng, num_rows, num_segments, depth + depth % 2)
    panels = -(-filters // COLUMNS)
    size = (2 if mode == SPLIT else 1) * panels * panel_size(num_segments, depth)
    output = np.full((num_rows, filters), 9, np.int32)
    accumulate_alone(
        weights, bias, num_segments, depth, zero, mode, rows, row_offset, num_rows, segment_offset,
        np.full(size, 55, np.int8 if mode == SPLIT else dtype),
        np.full(panels * FIELDS * COLUMNS, 9, np.int32), np.full(SCRATCH, 9, np.int64), output.reshape(-1),
    )  # fmt: skip
    x = gathered(rows, row_offset, segment_offset, depth).reshape(num_rows, -1) - zero
    exact = x @ weights.astype(np.int64).T + bias
    return output, np.clip(exact, -(2**31), 2**31 - 1)


@pytest.mark.parametrize("mode", [32, 64, SPLIT])
@given(rng=generators)
def test_accumulators_are_exact(mode: int, rng: Generator) -> None:
    dtype = "int8" if mode != SPLIT and rng.random() < 0.5 else "int16"
    computed, exact = exact_and_computed(rng, mode, dtype, int(rng.integers(1, 12)), int(rng.integers(1, 5)))
    np.testing.assert_array_equal(computed, exact)


@pytest.mark.parametrize("mode", [64, SPLIT])
@pytest.mark.parametrize("depth", [509, 510, 511, 512, 1021, 1500])
@pytest.mark.parametrize("num_segments", [1, 3])
def test_accumulators_are_exact_across_int32_blocks(mode: int, depth: int, num_segments: int) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        computed, exact = exact_and_computed(rng, mode, "int16", depth, num_segments)
        np.testing.assert_array_equal(computed, exact)


def test_a_block_of_rows_is_whole_tiles() -> None:
    assert BLOCK % ROWS == 0


def test_tile_compiles_to_vector_integers_only() -> None:
    text = llvm_ir(tile_alone, *drawn_tile(np.random.default_rng(0), "int16").values())
    assert "<8 x i32>" in text
    assert "double" not in text
    assert " fmul " not in text
