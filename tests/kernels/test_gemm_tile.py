"""Laws of the multiply-add tile, of its panels and of finished tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad_kernels.gemm.gemm import (
    HIGH_BYTE,
    LOW_BYTE,
    SPLIT,
    WHOLE,
    compute_tile,
    pack_panel,
    prepare_panel,
)
from fxpgrad_kernels.gemm.tile import COLUMNS, ROWS, madd_tile
from fxpgrad_kernels.jit import kernel, llvm_ir
from tests.kernels.legal_numbers import generators, integers, zero_point

Generator = np.random.Generator
Array = NDArray[Any]


@kernel
def tile_alone(rows, row_offset, segment_offset, num_segments, pairs, first, last, panel, tile):
    """Call the intrinsic, which only compiled code can do."""
    madd_tile(rows, row_offset, segment_offset, num_segments, pairs, first, last, panel, tile)


@kernel
def pack_alone(weights, first, count, num_segments, length, part, panel):
    """Call `pack_panel`."""
    pack_panel(weights.ravel(), first, count, num_segments, length, part, panel)


@kernel
def whole_tile(
    weights, bias, first, count, num_segments, length, zero, mode, rows, row_offset, segment_offset, panel,
    folded, tile, wide,
):  # fmt: skip
    """Pack a panel and compute one tile with it."""
    prepare_panel(weights.ravel(), bias, first, count, num_segments, length, zero, mode, panel, folded)
    compute_tile(rows, row_offset, segment_offset, num_segments, length, panel, folded, mode, tile, wide)


def runs(rng: Generator, num_segments: int, length: int) -> tuple[Array, Array, Array]:
    """Return (rows, row_offset, segment_offset): runs that overlap, lie apart, in any order."""
    rows = integers(rng, (int(rng.integers(1, 60)) + 2 * length + num_segments,), "int8").astype(np.int16)
    row_offset = rng.integers(0, len(rows) - length, ROWS)
    room = len(rows) - length - int(row_offset.max())
    return rows, row_offset, rng.integers(0, room, num_segments)


def gathered(rows: Array, row_offset: Array, segment_offset: Array, length: int) -> Array:
    """Return what each row reads, int64 [ROWS, segments, length]."""
    index = row_offset[:, None, None] + segment_offset[None, :, None] + np.arange(length)
    return rows.astype(np.int64)[index]


def panel_size(num_segments: int, length: int) -> int:
    return num_segments * ((length + 1) // 2) * COLUMNS * 2


@given(rng=generators)
def test_tile_is_a_product_of_matrices(rng: Generator) -> None:
    num_segments, pairs = int(rng.integers(1, 5)), int(rng.integers(1, 9))
    first, last = sorted(int(n) for n in rng.integers(0, pairs + 1, 2))
    rows, row_offset, segment_offset = runs(rng, num_segments, 2 * pairs)
    panel = integers(rng, (num_segments, pairs, COLUMNS, 2), "int16")
    tile = np.full(ROWS * COLUMNS, -99, np.int32)
    tile_alone(rows, row_offset, segment_offset, num_segments, pairs, first, last, panel.ravel(), tile)
    x = gathered(rows, row_offset, segment_offset, 2 * pairs).reshape(ROWS, num_segments, pairs, 2)
    chosen = slice(first, last)
    expected = np.einsum("rspk,spck->rc", x[:, :, chosen], panel[:, chosen].astype(np.int64))
    np.testing.assert_array_equal(tile.reshape(ROWS, COLUMNS), expected)


def test_tile_of_extremes_fills_int32_to_the_last_safe_pair() -> None:
    for pixel, weight in ((-128, -32768), (127, -32768), (-128, 32767)):
        rows, panel = np.full(510, pixel, np.int16), np.full(510 * COLUMNS, weight, np.int16)
        tile, zeros = np.zeros(ROWS * COLUMNS, np.int32), np.zeros(ROWS, np.int64)
        tile_alone(rows, zeros, zeros[:1], 1, 255, 0, 255, panel, tile)
        np.testing.assert_array_equal(tile, 510 * pixel * weight)
        assert abs(512 * pixel * weight) < 2**31 or (pixel, weight) == (-128, -32768)


@given(rng=generators)
def test_panel_holds_segment_pair_column_two(rng: Generator) -> None:
    num_segments, length, filters = (int(n) for n in rng.integers(1, (4, 8, 40)))
    weights = integers(rng, (filters, num_segments * length), str(rng.choice(["int8", "int16"])))
    first = int(rng.integers(0, filters))
    count = min(COLUMNS, filters - first)
    pairs = (length + 1) // 2
    for part in (WHOLE, HIGH_BYTE, LOW_BYTE):
        panel = np.full(panel_size(num_segments, length), 77, np.int16)
        pack_alone(weights, first, count, num_segments, length, part, panel)
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


def finished_tile(
    rng: Generator, mode: int, dtype: str, depth: int, num_segments: int
) -> tuple[Array, Array]:
    """Return (tile that the kernel finished, exact accumulators) of a random product."""
    filters = int(rng.integers(1, 40))
    weights = integers(rng, (filters, num_segments * depth), dtype)
    bias = rng.integers(-(2**20), 2**20, filters).astype(np.int32)
    first, zero = int(rng.integers(0, filters)), zero_point(rng)
    count = min(COLUMNS, filters - first)
    rows, row_offset, segment_offset = runs(rng, num_segments, depth + depth % 2)
    panel = np.full((2 if mode == SPLIT else 1) * panel_size(num_segments, depth), 55, np.int16)
    folded, wide = np.full(COLUMNS, 9, np.int64), np.full(ROWS * COLUMNS, 9, np.int64)
    whole_tile(
        weights, bias, first, count, num_segments, depth, zero, mode, rows, row_offset, segment_offset, panel,
        folded, np.full(ROWS * COLUMNS, 9, np.int32), wide,
    )  # fmt: skip
    x = gathered(rows, row_offset, segment_offset, depth).reshape(ROWS, -1) - zero
    exact = x @ weights[first : first + count].astype(np.int64).T + bias[first : first + count]
    return wide.reshape(ROWS, COLUMNS)[:, :count], exact


@pytest.mark.parametrize("mode", [32, 64, SPLIT])
@given(rng=generators)
def test_finished_tile_holds_the_exact_accumulators(mode: int, rng: Generator) -> None:
    dtype = "int8" if mode == 32 and rng.random() < 0.5 else "int16"
    wide, exact = finished_tile(rng, mode, dtype, int(rng.integers(1, 12)), int(rng.integers(1, 5)))
    np.testing.assert_array_equal(wide, exact)


@pytest.mark.parametrize("mode", [64, SPLIT])
@pytest.mark.parametrize("depth", [509, 510, 511, 512, 1021, 1500])
@pytest.mark.parametrize("num_segments", [1, 3])
def test_finished_tile_is_exact_across_int32_blocks(mode: int, depth: int, num_segments: int) -> None:
    for seed in range(6):
        wide, exact = finished_tile(np.random.default_rng(seed), mode, "int16", depth, num_segments)
        np.testing.assert_array_equal(wide, exact)


def test_tile_compiles_to_vector_integers_only() -> None:
    ones = np.zeros(1, np.int64)
    arguments = (np.zeros(1, np.int16), ones, ones, 0, 0, 0, 0, np.zeros(1, np.int16), np.zeros(1, np.int32))
    text = llvm_ir(tile_alone, *arguments)
    assert "<8 x i32>" in text
    assert "double" not in text
    assert " fmul " not in text
