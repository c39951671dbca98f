"""Laws of the perturbation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.weights import LIMITS, perturb_case
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.random.philox import draw_directions
from fxpgrad_kernels.random.random_ref import direction_ref
from fxpgrad_kernels.training.perturb import BLOCK, Form, perturb, perturb_pair
from fxpgrad_kernels.training.perturb_ref import perturb_ref, perturb_with_count_ref, round_half_away_ref
from tests.kernels.drawn import generators

EVERY_DTYPE = pytest.mark.parametrize("dtype", LIMITS)
Result = tuple[NDArray[Any], int]
Implementation = Callable[[Case], Result]


def stream_of(case: Case) -> tuple[int, ...]:
    return tuple(case[name] for name in ("seed", "step", "direction", "tensor"))


def by_kernel(case: Case) -> Result:
    weights, epsilon = case["weights"].copy(), case["epsilon"].copy()
    noise = np.random.default_rng(0)
    block = noise.integers(-128, 128, case["workspace"]).astype(np.int8)
    output = noise.integers(-9, 9, weights.shape).astype(weights.dtype)
    count = perturb(
        weights,
        epsilon,
        direction_table(case["distribution"]),
        block,
        output,
        *stream_of(case),
        case["sign"],
        case["form"],
        case["distribution"],
        case["first_index"],
    )
    np.testing.assert_array_equal(weights, case["weights"], "the weights were written")
    np.testing.assert_array_equal(epsilon, case["epsilon"], "epsilon was written")
    return output, count


def by_definition(case: Case) -> Result:
    return perturb_with_count_ref(
        case["weights"],
        case["epsilon"],
        *stream_of(case),
        case["sign"],
        case["form"],
        case["distribution"],
        case["first_index"],
    )


def check_perturb(implementation: Implementation, case: Case) -> None:
    expected, expected_count = by_definition(case)
    output, count = implementation(case)
    np.testing.assert_array_equal(output, expected, str({k: v for k, v in case.items() if np.ndim(v) == 0}))
    assert count == expected_count


def z_of(case: Case) -> NDArray[np.int64]:
    z = np.zeros(case["weights"].size, np.int8)
    table = direction_table(case["distribution"])
    draw_directions(table, z, *stream_of(case), case["first_index"], case["distribution"])
    return z.astype(np.int64)


@EVERY_DTYPE
@given(rng=generators)
def test_perturb_equals_definition(dtype, rng):
    check_perturb(by_kernel, perturb_case(rng, dtype))


@EVERY_DTYPE
@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("distribution", list(Distribution))
def test_perturb_equals_definition_on_a_long_tensor(dtype, form, distribution):
    """Several workspaces long, channels that straddle them."""
    rng = np.random.default_rng([form, distribution])
    case = perturb_case(rng, dtype) | {"form": int(form), "distribution": int(distribution), "workspace": 704}
    case["weights"] = rng.integers(-100, 101, 5 * 117).astype(dtype)
    case["epsilon"] = np.array([1, 16, 33, 0, 999], np.int32)
    check_perturb(by_kernel, case)


@EVERY_DTYPE
@given(rng=generators)
def test_exact_pair_is_antithetic_where_nothing_saturates(dtype, rng):
    case = perturb_case(rng, dtype) | {"form": int(Form.EXACT)}
    weight = case["weights"].astype(np.int64)
    low, high = LIMITS[dtype]
    plus, minus = (by_kernel(case | {"sign": sign})[0].astype(np.int64) for sign in (1, -1))
    inside = (plus > low) & (plus < high) & (minus > low) & (minus < high)
    np.testing.assert_array_equal((plus - weight)[inside], (weight - minus)[inside])
    assert (plus >= low).all()
    assert (minus >= low).all()


@EVERY_DTYPE
@given(rng=generators)
def test_exact_perturbation_replays_the_drawn_direction(dtype, rng):
    case = perturb_case(rng, dtype) | {"form": int(Form.EXACT), "sign": 1}
    case["weights"] = np.zeros_like(case["weights"])
    epsilon = np.repeat(np.minimum(case["epsilon"], 30), case["weights"].size // case["epsilon"].size)
    case["epsilon"] = np.minimum(case["epsilon"], 30)
    steps = [round_half_away_ref(int(e) * int(z), 32) for e, z in zip(epsilon, z_of(case), strict=True)]
    np.testing.assert_array_equal(by_kernel(case)[0], steps)


@EVERY_DTYPE
@given(rng=generators)
def test_rademacher_moves_by_epsilon_exactly(dtype, rng):
    case = perturb_case(rng, dtype) | {"form": 0, "sign": 1, "distribution": int(Distribution.RADEMACHER)}
    case["weights"] = np.zeros_like(case["weights"])
    case["epsilon"] = np.minimum(case["epsilon"], 127)
    moved = np.abs(by_kernel(case)[0].astype(np.int64))
    np.testing.assert_array_equal(moved, np.repeat(case["epsilon"], moved.size // case["epsilon"].size))


def pair_by_kernel(case: Case) -> tuple[NDArray[Any], NDArray[Any], int]:
    noise = np.random.default_rng(0)
    block = noise.integers(-128, 128, case["workspace"]).astype(np.int8)
    plus, minus = noise.integers(-9, 9, (2, case["weights"].size)).astype(case["weights"].dtype)
    table, codes = (
        direction_table(case["distribution"]),
        tuple(case[name] for name in ("form", "distribution", "first_index")),
    )
    weights, epsilon = case["weights"].copy(), case["epsilon"].copy()
    count = perturb_pair(weights, epsilon, table, block, plus, minus, *stream_of(case), *codes)
    np.testing.assert_array_equal(weights, case["weights"], "the weights were written")
    np.testing.assert_array_equal(epsilon, case["epsilon"], "epsilon was written")
    return plus, minus, count


def check_pair(case: Case) -> None:
    plus, minus, count = pair_by_kernel(case)
    above, below = (by_kernel(case | {"sign": sign}) for sign in (1, -1))
    np.testing.assert_array_equal(plus, above[0])
    np.testing.assert_array_equal(minus, below[0])
    assert count == above[1] + below[1]


@EVERY_DTYPE
@given(rng=generators)
def test_pair_equals_two_perturbations(dtype, rng):
    check_pair(perturb_case(rng, dtype))


@EVERY_DTYPE
@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("distribution", list(Distribution))
def test_pair_equals_two_perturbations_on_a_long_tensor(dtype, form, distribution):
    """Several full workspaces; epsilons on both sides of what 16 bits hold; weights that saturate."""
    rng = np.random.default_rng([form, distribution])
    low, high = LIMITS[dtype]
    case = perturb_case(rng, dtype) | {
        "form": int(form),
        "distribution": int(distribution),
        "workspace": BLOCK,
    }
    case["weights"] = rng.integers(low, high + 1, 7 * 643).astype(dtype)
    case["epsilon"] = np.array([1, 16, 333, 0, 8191, 8192, 2**24], np.int32)
    check_pair(case)
    check_perturb(by_kernel, case)


@given(rng=generators)
def test_a_tensor_in_parts_is_perturbed_as_a_whole(rng):
    case = perturb_case(rng, "int16") | {"first_index": 0, "workspace": BLOCK}
    per_channel = 8 * int(rng.integers(1, 40))
    case["epsilon"] = np.array([3, 700, 9000], np.int32)
    case["weights"] = rng.integers(-32767, 32768, 3 * per_channel).astype(np.int16)
    whole, count = by_kernel(case)
    parts = [
        by_kernel(
            case
            | {
                "weights": case["weights"][c * per_channel : (c + 1) * per_channel],
                "epsilon": case["epsilon"][c : c + 1],
                "first_index": c * per_channel,
            }
        )
        for c in range(3)
    ]
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), whole)
    assert sum(clipped for _, clipped in parts) == count


@EVERY_DTYPE
@given(rng=generators)
def test_zero_epsilon_or_zero_sign_moves_nothing(dtype, rng):
    case = perturb_case(rng, dtype) | {"form": int(Form.EXACT)}
    still = np.zeros_like(case["epsilon"])
    for changed in ({"epsilon": still}, {"sign": 0}):
        output, count = by_kernel(case | changed)
        np.testing.assert_array_equal(output, case["weights"])
        assert count == 0


@EVERY_DTYPE
@given(rng=generators)
def test_workspace_length_does_not_matter(dtype, rng):
    case = perturb_case(rng, dtype)
    expected = by_kernel(case)
    for length in (704, 1000, 1344, BLOCK):
        output, count = by_kernel(case | {"workspace": length})
        np.testing.assert_array_equal(output, expected[0])
        assert count == expected[1]


def test_paper_form_shrinks_every_weight_and_floors():
    """one_q * dz = 0.992: what the published constants do to w at epsilon = 0."""
    weights = np.array([-32767, -1, 0, 1, 32767], np.int16)
    case = {"weights": weights, "epsilon": np.zeros(1, np.int32), "workspace": 704, "sign": 1, "form": 1}
    case |= {"seed": 1, "step": 0, "direction": 0, "tensor": 0, "distribution": 2, "first_index": 0}
    np.testing.assert_array_equal(by_kernel(case)[0], [-32510, -1, 0, 0, 32509])


def test_paper_multiplier_stands_for_dz():
    assert round(2**20 * 3.5 / 127) == 28898
    assert round(127 / 3.5) == 36


def test_reference_of_the_specs_is_the_definition():
    case = perturb_case(np.random.default_rng(3), "int16")
    arguments = (case["sign"], case["form"], case["distribution"], case["first_index"])
    actual = perturb_ref(
        case["weights"], case["epsilon"], np.zeros(1, np.int16), *stream_of(case), *arguments
    )
    np.testing.assert_array_equal(actual, by_definition(case)[0])


# --- planted faults: (weight, epsilon, z, sign, form, low, high) -> perturbed weight

Fault = Callable[[int, int, int, int, int, int, int], int]


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def paper(w: int, e: int, z: int, sign: int) -> int:
    return (w * 36 + sign * e * z) * 28898 >> 20


def ties_up(w, e, z, sign, form, low, high):
    return clamp(w + ((sign * e * z + 16) >> 5) if form == 0 else paper(w, e, z, sign), low, high)


def floored(w, e, z, sign, form, low, high):
    return clamp(w + sign * (e * z >> 5) if form == 0 else paper(w, e, z, sign), low, high)


def wrapped(w, e, z, sign, form, low, high):
    value = w + sign * round_half_away_ref(e * z, 32) if form == 0 else paper(w, e, z, sign)
    bits = (high + 1).bit_length() - 1
    return (value + 2**bits) % 2 ** (bits + 1) - 2**bits


def asymmetric_limit(w, e, z, sign, form, low, high):
    value = w + sign * round_half_away_ref(e * z, 32) if form == 0 else paper(w, e, z, sign)
    return clamp(value, -high - 1, high)


def sign_dropped(w, e, z, sign, form, low, high):
    value = w + round_half_away_ref(e * z, 32) if form == 0 else paper(w, e, z, 1)
    return clamp(value, low, high)


def paper_rounded(w, e, z, sign, form, low, high):
    value = w + sign * round_half_away_ref(e * z, 32)
    return clamp(value if form == 0 else ((w * 36 + sign * e * z) * 28898 + 2**19) >> 20, low, high)


def paper_one_dropped(w, e, z, sign, form, low, high):
    value = w + sign * round_half_away_ref(e * z, 32)
    return clamp(value if form == 0 else w + (sign * e * z * 28898 >> 20), low, high)


FAULTS = (ties_up, floored, wrapped, asymmetric_limit, sign_dropped, paper_rounded, paper_one_dropped)


def faulty(fault: Fault | None, channel_fault: bool = False, index_fault: int = 0) -> Implementation:
    def run(case: Case) -> Result:
        weights, epsilon = case["weights"], case["epsilon"]
        low, high = LIMITS[weights.dtype.name]
        per_channel = weights.size // epsilon.size
        values = []
        for i, w in enumerate(weights.tolist()):
            e = int(epsilon[i % epsilon.size if channel_fault else i // per_channel])
            z = direction_ref(*stream_of(case), case["first_index"] + i + index_fault, case["distribution"])
            exact = w + case["sign"] * round_half_away_ref(e * z, 32)
            right = clamp(exact if case["form"] == 0 else paper(w, e, z, case["sign"]), low, high)
            values.append(fault(w, e, z, case["sign"], case["form"], low, high) if fault else right)
        return np.array(values).astype(weights.dtype), by_definition(case)[1]

    return run


def is_caught(implementation: Implementation) -> bool:
    for seed in range(300):
        try:
            check_perturb(implementation, perturb_case(np.random.default_rng(seed), "int16"))
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_comparison_catches_a_planted_fault(fault):
    assert is_caught(faulty(fault))


def test_comparison_catches_a_wrong_channel_index_or_count():
    assert is_caught(faulty(None, channel_fault=True))
    assert is_caught(faulty(None, index_fault=1))
    assert is_caught(lambda case: (by_definition(case)[0], 0))
    assert not is_caught(faulty(None))
