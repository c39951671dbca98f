"""Laws of the operators that only move values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad_kernels.shape.shape import SPECS
from tests.kernels.legal_numbers import generators, integers, zero_point
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS}
PAD, COPY, RESHAPE = BY_NAME["pad_a8"], BY_NAME["copy_block_a8"], BY_NAME["reshape_a8"]


def pad_case(rng: np.random.Generator) -> dict[str, Any]:
    b, h, w, c = (int(n) for n in rng.integers(1, (3, 5, 5, 4)))
    top, bottom, left, right = (int(n) for n in rng.integers(0, 4, 4))
    return {
        "input": integers(rng, (b, h, w, c), "int8"),
        "pad_top": top,
        "pad_bottom": bottom,
        "pad_left": left,
        "pad_right": right,
        "input_zero_point": zero_point(rng),
        "output_shape": (b, top + h + bottom, left + w + right, c),
    }


@given(rng=generators)
def test_pad_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(PAD, by_kernel(PAD), pad_case(rng))


@given(rng=generators)
def test_cutting_the_padding_off_gives_the_input_back(rng: np.random.Generator) -> None:
    case = pad_case(rng)
    h, w = case["input"].shape[1:3]
    top, left = case["pad_top"], case["pad_left"]
    padded = by_kernel(PAD)(case)
    np.testing.assert_array_equal(padded[:, top : top + h, left : left + w], case["input"])
    outside = np.ones(padded.shape[1:3], bool)
    outside[top : top + h, left : left + w] = False
    assert (padded[:, outside] == case["input_zero_point"]).all()


@given(rng=generators)
def test_padding_twice_is_padding_once(rng: np.random.Generator) -> None:
    case = pad_case(rng)
    once = by_kernel(PAD)(case)
    b, h, w, c = once.shape
    sides = ("pad_top", "pad_bottom", "pad_left", "pad_right")
    twice = by_kernel(PAD)(
        {**case, "input": once, **dict.fromkeys(sides, 2), "output_shape": (b, h + 4, w + 4, c)}
    )
    whole = {**case, **{side: case[side] + 2 for side in sides}, "output_shape": (b, h + 4, w + 4, c)}
    np.testing.assert_array_equal(by_kernel(PAD)(whole), twice)


def pads_with_zero(case: Case) -> NDArray[np.int8]:
    result: NDArray[np.int8] = PAD.reference(
        case["input"], case["pad_top"], case["pad_bottom"], case["pad_left"], case["pad_right"], 0
    )
    return result


def swaps_top_and_bottom(case: Case) -> NDArray[np.int8]:
    result: NDArray[np.int8] = PAD.reference(
        case["input"],
        case["pad_bottom"],
        case["pad_top"],
        case["pad_left"],
        case["pad_right"],
        case["input_zero_point"],
    )
    return result


@pytest.mark.parametrize("mutant", [pads_with_zero, swaps_top_and_bottom])
def test_the_pad_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, PAD, pad_case)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@given(rng=generators)
def test_concatenation_is_one_copy_a_tensor(axis: int, rng: np.random.Generator) -> None:
    shape = [int(n) for n in rng.integers(1, 5, 4)]
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        shape[axis] = int(rng.integers(1, 5))
        parts.append(integers(rng, shape, "int8"))
    expected = np.concatenate(parts, axis=axis)
    rows = int(np.prod(shape[:axis]))
    output = integers(rng, expected.shape, "int8").reshape(rows, -1)
    column = 0
    for part in parts:
        block = np.ascontiguousarray(part).reshape(rows, -1)
        before = output.copy()
        COPY.function(block, output, column)
        np.testing.assert_array_equal(output, COPY.reference(block, column, before=before))
        column += block.shape[1]
    np.testing.assert_array_equal(output.reshape(expected.shape), expected)


def test_copy_keeps_the_other_columns() -> None:
    output = np.arange(12, dtype=np.int8).reshape(3, 4)
    COPY.function(np.full((3, 2), -128, np.int8), output, 1)
    np.testing.assert_array_equal(output, [[0, -128, -128, 3], [4, -128, -128, 7], [8, -128, -128, 11]])


@given(rng=generators)
def test_reshape_keeps_values_and_order(rng: np.random.Generator) -> None:
    x = integers(rng, (int(rng.integers(1, 60)),), "int8")
    check_equals_reference(RESHAPE, by_kernel(RESHAPE), {"input": x, "output_shape": x.shape})
