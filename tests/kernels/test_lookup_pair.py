"""Laws of the lookup by two values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.lookup import lookup_pair_case
from fxpgrad_kernels.lookup_pair.lookup_pair import SPECS
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

(LOOKUP_PAIR,) = SPECS
draw = draw_of(LOOKUP_PAIR, lookup_pair_case)
VALUES = np.arange(-128, 128)
EVERY_A, EVERY_B = (grid.ravel().astype(np.int8) for grid in np.meshgrid(VALUES, VALUES, indexing="ij"))


def every_pair(table: NDArray[np.int8]) -> dict[str, Any]:
    return {"input_a": EVERY_A, "input_b": EVERY_B, "table": table, "output_shape": EVERY_A.shape}


@given(rng=generators)
def test_lookup_pair_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(LOOKUP_PAIR, by_kernel(LOOKUP_PAIR), draw(rng))


def test_every_pair_in_order_is_the_table() -> None:
    table = np.random.default_rng(0).integers(-128, 128, 65536).astype(np.int8)
    np.testing.assert_array_equal(by_kernel(LOOKUP_PAIR)(every_pair(table)), table)


def test_a_table_of_sums_adds() -> None:
    total = EVERY_A.astype(int) + EVERY_B
    table = np.clip(total, -128, 127).astype(np.int8)
    swapped = {**every_pair(table), "input_a": EVERY_B, "input_b": EVERY_A}
    np.testing.assert_array_equal(by_kernel(LOOKUP_PAIR)(swapped), table)


def looked_up(case: Case, index: NDArray[np.int64]) -> NDArray[np.int8]:
    entries: NDArray[np.int8] = case["table"][index & 65535]
    return entries


def places(case: Case, name: str) -> NDArray[np.int64]:
    value: NDArray[np.int64] = case[name].astype(np.int64) + 128
    return value


MUTANTS = {
    "operands swapped": lambda c: looked_up(c, places(c, "input_b") * 256 + places(c, "input_a")),
    "bytes as unsigned": lambda c: looked_up(
        c, c["input_a"].view(np.uint8).astype(np.int64) * 256 + c["input_b"].view(np.uint8)
    ),
    "rows of 255": lambda c: looked_up(c, places(c, "input_a") * 255 + places(c, "input_b")),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, LOOKUP_PAIR, draw)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    assert not is_caught(
        lambda c: looked_up(c, places(c, "input_a") * 256 + places(c, "input_b")), LOOKUP_PAIR, draw
    )
