"""Laws of the line that stands for a sum of two scaled int8 values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import clamp_bounds, zero_point
from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.elementwise.elementwise import SPECS
from fxpgrad_kernels.elementwise.linear_blocks import BLOCK
from tests.kernels.drawn import generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference

ADD, SUB = SPECS[0], SPECS[1]
FORMULAS = (Rounding.DOUBLE_AWAY, Rounding.DOUBLE_UP, Rounding.SINGLE, Rounding.TOSA_DOUBLE)


def pairs(scale_a: float, scale_b: float, scale: float) -> dict[str, NDArray[np.int32]]:
    """Return the three pairs of an addition with 20 fraction bits."""
    twice = 2 * max(scale_a, scale_b)
    multiplier, shift = derive_multiplier([scale_a / twice, scale_b / twice, twice / (2**20 * scale)])
    return {"multiplier": multiplier.astype(np.int32), "shift": shift.astype(np.int32)}


def real_case(rng: np.random.Generator, size: int) -> dict[str, Any]:
    """Return an addition of real scales, within a factor of 32 of one another."""
    scale_a, scale_b, scale = 2.0 ** rng.uniform(-5, 0, 3)
    return {
        "input_a": rng.integers(-128, 128, size).astype(np.int8),
        "input_b": rng.integers(-128, 128, size).astype(np.int8),
        **pairs(scale_a, scale_b, scale),
        "input_a_zero_point": zero_point(rng),
        "input_b_zero_point": zero_point(rng),
        "output_zero_point": zero_point(rng),
        "left_shift": 20,
        **clamp_bounds(rng),
        "rounding": int(rng.choice([int(formula) for formula in FORMULAS])),
        "output_shape": (size,),
    }


def every_pair(case: Case) -> Case:
    values = np.arange(-128, 128).astype(np.int8)
    both = {"input_a": np.repeat(values, 256), "input_b": np.tile(values, 256)}
    return {**case, **both, "output_shape": (65536,)}


def line_of(spec: Any, case: Case) -> NDArray[np.int32]:
    names = [a.name for a in spec.of_role("parameter")]
    prepared = spec.prepare({key: case[key] for key in ("multiplier", "shift")}, {n: case[n] for n in names})
    return np.asarray(prepared["line"])


@pytest.mark.parametrize("spec", [ADD, SUB], ids=["add", "sub"])
def test_scales_of_real_layers_have_a_line(spec: Any) -> None:
    found = [bool(line_of(spec, real_case(np.random.default_rng(seed), 1))[0]) for seed in range(200)]
    assert sum(found) >= 198


@pytest.mark.parametrize("spec", [ADD, SUB], ids=["add", "sub"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_line_gives_the_bits_for_every_pair_of_values(spec: Any, seed: int) -> None:
    case = every_pair(real_case(np.random.default_rng(seed), 1))
    assert line_of(spec, case)[0] == 1
    check_equals_reference(spec, by_kernel(spec), case)


@given(rng=generators)
def test_sums_of_every_length_equal_the_reference(rng: np.random.Generator) -> None:
    size = int(rng.choice([1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7]))
    for spec in (ADD, SUB):
        check_equals_reference(spec, by_kernel(spec), real_case(rng, size))


def test_halves_that_go_away_from_zero_have_a_line() -> None:
    """A slope that is a trace steeper takes them out on both sides."""
    case = real_case(np.random.default_rng(3), 1) | {"rounding": 0, "clamp_low": -128, "clamp_high": 127}
    zeros = dict.fromkeys(("input_a_zero_point", "input_b_zero_point", "output_zero_point"), 0)
    ties = every_pair({**case, **zeros, **pairs(0.5, 0.5, 1.0)})
    assert line_of(ADD, ties)[0] == 1
    check_equals_reference(ADD, by_kernel(ADD), ties)


def test_what_no_line_gives_is_requantized_sum_by_sum() -> None:
    """Halves that go to the even side, and operands that saturate."""
    case = real_case(np.random.default_rng(3), 1) | {"clamp_low": -128, "clamp_high": 127}
    zeros = dict.fromkeys(("input_a_zero_point", "input_b_zero_point", "output_zero_point"), 0)
    even = {**case, **zeros, **pairs(0.5, 0.5, 1.0), "rounding": int(Rounding.FLOAT32_EVEN)}
    saturated = {**case, **zeros, "multiplier": np.full(3, 2**31 - 1, np.int32), "rounding": 0}
    saturated["shift"] = np.array([6, 6, -24], np.int32)
    for refused in (even, saturated):
        assert line_of(ADD, refused)[0] == 0
        check_equals_reference(ADD, by_kernel(ADD), every_pair(refused))


@pytest.mark.parametrize("entry", range(1, 8))
def test_every_number_of_a_line_matters(entry: int) -> None:
    case = every_pair(real_case(np.random.default_rng(5), 1) | {"clamp_low": -128, "clamp_high": 127})
    names = [a.name for a in ADD.of_role("parameter")]
    prepared = ADD.prepare({k: case[k] for k in ("multiplier", "shift")}, {n: case[n] for n in names})
    result, other = np.zeros(65536, np.int8), np.zeros(65536, np.int8)
    for output, change in ((result, 0), (other, 1 if entry == 7 else 2**13)):
        prepared["line"][entry] += change
        values = {**case, **prepared, "output": output}
        ADD.function(*(values[argument.name] for argument in ADD.arguments))
    assert (result != other).any()
