"""Laws of the update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.weights import LIMITS, update_case
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.random.philox import draw_directions
from fxpgrad_kernels.random.random_ref import direction_ref, rounding_bits_ref
from fxpgrad_kernels.training.perturb_ref import round_half_away_ref
from fxpgrad_kernels.training.update import BLOCK, RoundingRule, update
from fxpgrad_kernels.training.update_ref import rounded_step_ref, update_ref
from tests.kernels.drawn import generators

EVERY_DTYPE = pytest.mark.parametrize("dtype", LIMITS)
Result = tuple[NDArray[Any], NDArray[np.int64]]
Implementation = Callable[[Case], Result]


def by_kernel(case: Case) -> Result:
    noise = np.random.default_rng(0)
    weights = case["weights"].copy()
    constants = [case[name].copy() for name in ("signs", "multiplier", "shift")]
    block = noise.integers(-128, 128, (1, case["workspace"])).astype(np.int8)
    counts = np.array([77, 88])
    update(
        weights,
        *constants,
        direction_table(case["distribution"]),
        block,
        counts,
        *(case[name] for name in ("seed", "step", "tensor", "rounding_rule", "distribution")),
    )
    for name, value in zip(("signs", "multiplier", "shift"), constants, strict=True):
        np.testing.assert_array_equal(value, case[name], f"{name} was written")
    return weights, counts


def by_definition(case: Case) -> Result:
    names = ("weights", "signs", "multiplier", "shift")
    parameters = ("seed", "step", "tensor", "rounding_rule", "distribution")
    return update_ref(*(case[n] for n in names), np.zeros(1, np.int16), *(case[n] for n in parameters))


def check_update(implementation: Implementation, case: Case) -> None:
    expected, expected_counts = by_definition(case)
    weights, counts = implementation(case)
    np.testing.assert_array_equal(weights, expected, str({k: v for k, v in case.items() if np.ndim(v) == 0}))
    np.testing.assert_array_equal(counts, expected_counts)


def plain_case(count: int, **changed: Any) -> Case:
    """Return a case on zero int16 weights: one Rademacher direction, g = +-32."""
    case: Case = {
        "weights": np.zeros(count, np.int16),
        "signs": np.ones(1, np.int32),
        "multiplier": np.full(1, 2**30, np.int32),
        "shift": np.full(1, -10, np.int32),
        "seed": 5,
        "step": 1,
        "tensor": 2,
        "rounding_rule": int(RoundingRule.STOCHASTIC),
        "distribution": int(Distribution.RADEMACHER),
        "workspace": BLOCK,
    }
    return case | changed


def direction_of(case: Case) -> NDArray[np.int64]:
    z = np.zeros(case["weights"].size, np.int8)
    table, code = direction_table(case["distribution"]), case["distribution"]
    draw_directions(table, z, case["seed"], case["step"], 0, case["tensor"], 0, code)
    return z.astype(np.int64)


@EVERY_DTYPE
@given(rng=generators)
def test_update_equals_definition(dtype, rng):
    check_update(by_kernel, update_case(rng, dtype))


@EVERY_DTYPE
@pytest.mark.parametrize("rule", list(RoundingRule))
@pytest.mark.parametrize("distribution", list(Distribution))
def test_update_equals_definition_on_a_long_tensor(dtype, rule, distribution):
    rng = np.random.default_rng([rule, distribution])
    case = update_case(rng, dtype) | {"rounding_rule": int(rule), "distribution": int(distribution)}
    case |= {"weights": rng.integers(-100, 101, 5 * 67).astype(dtype), "workspace": BLOCK}
    case |= {"multiplier": rng.integers(2**30, 2**31, 5).astype(np.int32)}
    case |= {"shift": np.array([-62, -33, -7, -5, 0], np.int32), "signs": np.array([1, 0, -1], np.int32)}
    check_update(by_kernel, case)


@pytest.mark.parametrize("rule", list(RoundingRule))
@pytest.mark.parametrize("shift", range(-62, 31))
def test_every_legal_shift(rule, shift):
    case = plain_case(24, shift=np.full(1, shift, np.int32), rounding_rule=int(rule))
    case |= {"multiplier": np.full(1, 2**31 - 1, np.int32), "distribution": 0, "signs": np.ones(3, np.int32)}
    check_update(by_kernel, case)


@pytest.mark.parametrize("rule", list(RoundingRule))
@pytest.mark.parametrize("shift", range(-62, 31))
def test_every_legal_shift_of_one_direction_of_signs(rule, shift):
    """Where every |g| is 32 the kernel works two steps out for a channel and only chooses."""
    case = plain_case(90, shift=np.full(3, shift, np.int32), rounding_rule=int(rule))
    case |= {"multiplier": np.array([2**30, 1_500_000_001, 2**31 - 1], np.int32)}
    case |= {"weights": np.resize(np.array([0, -32767, 32767, 5], np.int16), 90)}
    case |= {"signs": np.array([-1 if shift % 2 else 1], np.int32)}
    check_update(by_kernel, case)


@EVERY_DTYPE
@pytest.mark.parametrize("rule", list(RoundingRule))
def test_one_direction_of_signs_on_a_long_tensor(dtype, rule):
    rng = np.random.default_rng(rule)
    case = plain_case(5 * 643, rounding_rule=int(rule), signs=np.array([0, 1], np.int32))
    case |= {"weights": rng.integers(-100, 101, 5 * 643).astype(dtype)}
    case |= {"multiplier": rng.integers(2**30, 2**31, 5).astype(np.int32)}
    check_update(by_kernel, case | {"shift": np.array([-62, -9, -5, -4, -3], np.int32)})


def test_sixty_four_directions_of_the_largest_multiplier_do_not_overflow():
    case = plain_case(300, signs=np.ones(64, np.int32), weights=np.zeros(300, np.int32))
    case |= {"multiplier": np.full(1, 2**31 - 1, np.int32), "shift": np.full(1, 30, np.int32)}
    check_update(by_kernel, case)


@EVERY_DTYPE
@given(rng=generators)
def test_workspace_length_does_not_matter(dtype, rng):
    case = update_case(rng, dtype)
    expected = by_kernel(case)
    for length in (832, 1000, 1280, BLOCK):
        actual = by_kernel(case | {"workspace": length})
        np.testing.assert_array_equal(actual[0], expected[0])
        np.testing.assert_array_equal(actual[1], expected[1])


@EVERY_DTYPE
@given(rng=generators)
def test_no_sign_moves_nothing(dtype, rng):
    case = update_case(rng, dtype)
    case["signs"] = np.zeros_like(case["signs"])
    weights, counts = by_kernel(case)
    np.testing.assert_array_equal(weights, case["weights"])
    np.testing.assert_array_equal(counts, [0, 0])


@given(rng=generators)
def test_update_goes_against_the_gradient(rng):
    """No rule but FLOOR ever moves a weight along +g."""
    case = update_case(rng, "int16")
    case |= {"signs": np.ones(1, np.int32), "rounding_rule": int(rng.integers(2))}
    moved = by_kernel(case)[0].astype(np.int64) - case["weights"]
    assert (np.sign(moved) * np.sign(direction_of(case)) <= 0).all()


def test_nearest_goes_dead_for_a_tiny_rate_and_says_so():
    case = plain_case(1000, rounding_rule=int(RoundingRule.NEAREST), shift=np.full(1, -20, np.int32))
    weights, counts = by_kernel(case)
    assert not weights.any()
    np.testing.assert_array_equal(counts, [0, 0])


@pytest.mark.parametrize(
    ("shift", "multiplier"), [(-6, 2**30), (-9, 1_500_000_000), (-13, 2**30), (-16, 2**31 - 1)]
)
def test_stochastic_rounding_is_unbiased(shift, multiplier):
    """The mean step is g * multiplier * 2**(shift - 31), within five standard errors."""
    count = 1 << 20
    constants = {"multiplier": np.full(1, multiplier, np.int32), "shift": np.full(1, shift, np.int32)}
    case = plain_case(count, **constants)
    along = -by_kernel(case)[0].astype(np.int64) * np.sign(direction_of(case))
    rate = 32 * multiplier * 2.0 ** (shift - 31)
    fraction = rate % 1
    assert set(np.unique(along)) <= {int(rate), int(rate) + 1}
    assert abs(along.mean() - rate) <= 5 * np.sqrt(fraction * (1 - fraction) / count)


def test_flooring_drifts_by_half_a_step():
    case = plain_case(1 << 16, rounding_rule=int(RoundingRule.FLOOR))
    assert abs(by_kernel(case)[0].mean() - 0.5) < 0.02


def test_rounding_bits_are_independent_of_the_direction():
    case = plain_case(1 << 18, shift=np.full(1, -5, np.int32), multiplier=np.full(1, 2**30, np.int32))
    moved = by_kernel(case)[0] != 0
    positive = direction_of(case) > 0
    assert abs(moved[positive].mean() - moved[~positive].mean()) < 5 / np.sqrt(1 << 18)
    assert abs(np.corrcoef(moved[1:], moved[:-1])[0, 1]) < 5 / np.sqrt(1 << 18)


# --- planted faults: (value, right, rule, bits) -> step


def nearest_ties_up(value, right, rule, bits):
    return (value + (1 << right >> 1)) >> right if rule == 0 else rounded_step_ref(value, right, rule, bits)


def shift_taken_modulo_64(value, right, rule, bits):
    return rounded_step_ref(value, right % 64 or 64, rule, bits)


def floor_towards_zero(value, right, rule, bits):
    if rule == 2:
        return (abs(value) >> right) * (1 if value >= 0 else -1)
    return rounded_step_ref(value, right, rule, bits)


def stochastic_of_the_signed_value(value, right, rule, bits):
    if rule == 1:
        return ((value << 32 >> right) + bits) >> 32
    return rounded_step_ref(value, right, rule, bits)


def sixteen_random_bits(value, right, rule, bits):
    return rounded_step_ref(value, right, rule, bits >> 16 << 16)


def one_bit_too_far(value, right, rule, bits):
    return rounded_step_ref(value, right + 1, rule, bits)


STEP_FAULTS = (
    nearest_ties_up,
    shift_taken_modulo_64,
    floor_towards_zero,
    stochastic_of_the_signed_value,
    one_bit_too_far,
)


def faulty(
    step: Callable[[int, int, int, int], int] = rounded_step_ref,
    *,
    direction: str = "",
    limit: int = 0,
    up: bool = False,
) -> Implementation:
    def run(case: Case) -> Result:
        weights, signs = case["weights"].copy(), [int(sign) for sign in case["signs"]]
        low, high = LIMITS[weights.dtype.name]
        numbers = list(range(len(signs)))
        if direction == "active only":
            numbers = [sum(sign != 0 for sign in signs[:i]) for i in numbers]
        name = (case["seed"], case["step"])
        for i, old in enumerate(int(w) for w in weights):
            channel = i // (weights.size // case["shift"].size)
            drawn = [direction_ref(*name, d, case["tensor"], i, case["distribution"]) for d in numbers]
            value = sum(s * z for s, z in zip(signs, drawn, strict=True)) * int(case["multiplier"][channel])
            bits = rounding_bits_ref(*name, case["tensor"], i)
            moved = step(value, 31 - int(case["shift"][channel]), case["rounding_rule"], bits)
            weights[i] = max(low - limit, min(high, old + moved if up else old - moved))
        return weights, by_definition(case)[1]

    return run


def is_caught(implementation: Implementation) -> bool:
    for seed in range(300):
        try:
            check_update(implementation, update_case(np.random.default_rng(seed), "int16"))
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("fault", STEP_FAULTS, ids=lambda fault: fault.__name__)
def test_comparison_catches_a_planted_fault(fault):
    assert is_caught(faulty(fault))


def test_comparison_catches_other_faults():
    assert is_caught(faulty(direction="active only"))
    assert is_caught(faulty(limit=1))
    assert is_caught(faulty(up=True))
    assert is_caught(lambda case: (by_definition(case)[0], np.zeros(2, np.int64)))
    assert not is_caught(faulty())


def test_few_random_bits_would_starve_a_tiny_rate():
    """Why 32 bits: below 2**-16 of a step, 16 bits never move a weight."""
    value, right, all_ones = 2**10, 30, 2**32 - 1
    assert sixteen_random_bits(value, right, 1, all_ones) == 0
    assert rounded_step_ref(value, right, 1, all_ones) == 1
    assert round_half_away_ref(value, 1 << right) == 0
