"""Arrays between fences and between pages that fault."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from fxpgrad.conformance.guarded_memory import SIDES, Fenced, Side
from tests.guarded_memory import needs_guards

SHAPES = ((3,), (2, 3), (), (0, 4), (1, 1000))


@pytest.mark.parametrize("side", [None, *(pytest.param(side, marks=needs_guards) for side in SIDES)])
@pytest.mark.parametrize("alignment", [1, 8, 64, 256])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_a_fenced_array_holds_its_values_where_it_must(
    side: Side | None, alignment: int, shape, dtype
) -> None:
    values = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    fenced = Fenced(values, alignment, side)
    np.testing.assert_array_equal(fenced.array, values)
    assert fenced.array.dtype == dtype
    assert values.size == 0 or fenced.array.ctypes.data % alignment == 0
    assert fenced.broken == ""


@pytest.mark.parametrize(
    ("side", "offset", "where"),
    [
        (None, -1, "before its start"),
        (None, 5, "behind its end"),
        (None, 250, "behind its end"),
        pytest.param("end", -3, "before its start", marks=needs_guards),
        pytest.param("start", 5, "behind its end", marks=needs_guards),
    ],
)
def test_a_byte_written_beside_an_array_is_noticed(side: Side | None, offset: int, where: str) -> None:
    fenced = Fenced(np.zeros(5, np.int8), 1, side)
    ctypes.memset(fenced.array.ctypes.data + offset, 0, 1)
    assert fenced.broken == where


@needs_guards
def test_padding_for_alignment_is_part_of_the_fence() -> None:
    fenced = Fenced(np.zeros(5, np.int8), 16, "end")
    ctypes.memset(fenced.array.ctypes.data + 15, 0, 1)
    assert fenced.broken == "behind its end"


def test_both_sides_are_known() -> None:
    assert SIDES == ("end", "start")
