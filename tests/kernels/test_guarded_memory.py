"""No kernel reads or writes outside its arrays: each runs with a page behind, then before, that faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.guarded_memory import SIDES, Side, guarded
from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.registry import kernel_named, kernels
from tests.guarded_memory import Crash, Sandbox, needs_guards
from tests.kernels.guarded_call import (
    check_any_values,
    check_guarded,
    check_kernel,
    check_parts,
    check_records,
)

pytestmark = needs_guards

# Preparations that may be done in parts, as a trainer does them.
IN_PARTS = [name for name, spec in kernels().items() if spec.preparation and spec.preparation.part]
WITH_RECORDS = [name for name, spec in kernels().items() if spec.preparation and spec.preparation.records]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def check(sandbox: Sandbox, name: str, seeds: int) -> None:
    """Run cases of one kernel; where it dies, find out which arguments it left."""
    try:
        sandbox.call(check_kernel, name, seeds)
    except Crash as crash:
        seed, side, told = crash.last
        left = []
        for argument in kernel_named(name).arguments:
            if argument.role != "parameter":
                try:
                    sandbox.call(check_guarded, name, seed, side, argument.name)
                except Crash:
                    left.append(argument.name)
        pytest.fail(f"{name} leaves {left or 'its arrays'} at their {side} (seed {seed}): {told}")


@pytest.mark.parametrize("name", kernels())
def test_a_kernel_keeps_to_its_arrays(name: str, sandbox: Sandbox) -> None:
    check(sandbox, name, 24)


@pytest.mark.deep
@pytest.mark.parametrize("name", kernels())
def test_a_kernel_keeps_to_its_arrays_in_many_cases(name: str, sandbox: Sandbox) -> None:
    check(sandbox, name, 2000)


@pytest.mark.parametrize("name", kernels())
def test_no_value_leads_a_kernel_out_of_its_arrays(name: str, sandbox: Sandbox) -> None:
    sandbox.call(check_any_values, name, 8)


@pytest.mark.parametrize("name", IN_PARTS)
def test_constants_prepared_in_parts_keep_to_their_arrays(name: str, sandbox: Sandbox) -> None:
    sandbox.call(check_parts, name, 12)


def test_every_kernel_that_prepares_weights_has_records() -> None:
    prepared = [name for name, spec in kernels().items() if spec.preparation]
    weighted = [name for name in prepared if "weights" in [a.name for a in kernel_named(name).arguments]]
    assert weighted == WITH_RECORDS


@pytest.mark.parametrize("name", WITH_RECORDS)
def test_a_record_beside_shared_weights_is_that_of_the_whole(name: str, sandbox: Sandbox) -> None:
    sandbox.call(check_records, name, 24)


@pytest.mark.parametrize("name", ["add_a8", "conv2d_a8w8", "update_w16"])
def test_a_case_is_the_same_each_time_it_is_drawn(name: str) -> None:
    first, second = (legal_case(name, np.random.default_rng(7)) for _ in range(2))
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


@kernel
def sum_of(values, first, count):
    """Add up as many values as the caller says, from where it says."""
    total = np.int64(0)
    for i in range(first, first + count):
        total += np.int64(values[np.uint64(i)])
    return total


def sum_of_five(note: Any, first: int, count: int, side: Side) -> int:
    note((first, count))
    return int(sum_of(guarded(np.arange(5, dtype=np.int16), side), first, count))


@pytest.mark.parametrize("side", SIDES)
def test_within_its_bounds_a_guarded_array_is_an_array(side: Side, sandbox: Sandbox) -> None:
    assert sandbox.call(sum_of_five, 0, 5, side) == 10
    for shape in ((0,), (3, 0), (1,), (7, 5), (4096,), (4097,)):
        values = np.random.default_rng(1).integers(-99, 99, shape)
        copy = guarded(values, side)
        np.testing.assert_array_equal(copy, values)
        assert copy.flags.c_contiguous
        assert copy.flags.writeable


@pytest.mark.parametrize(("side", "first"), [("end", 1), ("start", -1)])
def test_one_element_outside_is_a_crash_that_says_where(side: Side, first: int, sandbox: Sandbox) -> None:
    with pytest.raises(Crash, match=rf"SIGSEGV in \({first}, 5\)"):
        sandbox.call(sum_of_five, first, 5, side)
    assert sandbox.call(sum_of_five, 0, 5, side) == 10


# Arrays of which a kernel needs the last element, whatever the case.
NEEDED = {
    "add_outer_products": "before_bias",
    "conv2d_a8w8": "scratch",
    "update_w8": "counts",
}


@pytest.mark.parametrize(("name", "argument"), NEEDED.items())
def test_an_array_that_is_one_element_short_is_a_crash(name: str, argument: str, sandbox: Sandbox) -> None:
    with pytest.raises(Crash, match="SIGSEGV"):
        sandbox.call(check_guarded, name, 0, "end", argument, 1)


def wrong(note: Any) -> None:
    note("a comparison")
    np.testing.assert_array_equal([1], [2])


def test_a_wrong_result_is_an_error_not_a_crash(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match=r"(?s)not equal.*a comparison"):
        sandbox.call(wrong)
