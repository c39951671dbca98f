"""Laws of the dense layer: int8 outputs, and the accumulators themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.conv2d import accumulator_bounds
from fxpgrad.conformance.cases.fully_connected import dense_case
from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.fully_connected.fully_connected import SPECS
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import every_profile, generators, profiles
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME: dict[str, KernelSpec] = {spec.name: spec for spec in SPECS}
RUN = {name: by_kernel(spec) for name, spec in BY_NAME.items()}
NAMES = tuple(name for name in BY_NAME if "accumulate" not in name)
DTYPES = {name: "int16" if "w16" in name else "int8" for name in BY_NAME}
every_name = pytest.mark.parametrize("name", NAMES)
Generator = np.random.Generator


def any_case(rng: Generator, profile: Profile | None = None) -> tuple[str, dict[str, Any]]:
    """Return the name of a kernel and a legal case for it."""
    name = NAMES[rng.integers(len(NAMES))]
    return name, dense_case(rng, profile or any_profile(rng), DTYPES[name])


def accumulators_of(name: str, case: Case) -> NDArray[np.int32]:
    """Run the kernel that gives the accumulators for the weights of `name`."""
    kernel = "fully_connected_accumulate_a8w16" if "w16" in name else "fully_connected_accumulate_a8w8"
    result: Any = RUN[kernel](case)
    return result


@every_profile
@given(rng=generators)
def test_fully_connected_equals_its_reference(profile: Profile, rng: Generator) -> None:
    name, case = any_case(rng, profile)
    check_equals_reference(BY_NAME[name], RUN[name], case)


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - set(NAMES)))
@given(rng=generators)
def test_accumulators_equal_their_reference(name: str, rng: Generator) -> None:
    case = dense_case(rng, any_profile(rng), DTYPES[name])
    check_equals_reference(BY_NAME[name], RUN[name], case)


@every_name
@pytest.mark.parametrize("batch", [24, 25, 96, 97, 99, 200])
@pytest.mark.parametrize("depth", [1, 8, 33])
def test_many_rows_equal_the_reference(name: str, batch: int, depth: int) -> None:
    """More rows than are widened at a time, with every number of rows left over."""
    rng = np.random.default_rng([batch, depth])
    case = dense_case(rng, any_profile(rng), DTYPES[name])
    units = int(rng.choice([1, 16, 21]))
    case |= {
        "input": integers(rng, (batch, depth), "int8"),
        "weights": integers(rng, (units, depth), DTYPES[name]),
        "output_shape": (batch, units),
        "accumulator_bits": 64,
        **{key: np.resize(case[key], units) for key in ("bias", "multiplier", "shift")},
    }
    check_equals_reference(BY_NAME[name], RUN[name], case)


@given(rng=generators, profile=profiles)
def test_split_form_is_bit_equal(rng: Generator, profile: Profile) -> None:
    case = dense_case(rng, profile, "int16")
    whole = RUN["fully_connected_a8w16"](case)
    np.testing.assert_array_equal(RUN["fully_connected_a8w16_split"](case), whole)


@given(rng=generators)
def test_int64_blocks_equal_int32_where_both_are_safe(rng: Generator) -> None:
    name, case = any_case(rng)
    if accumulator_bounds(case).max() < 2**31:
        narrow, wide = (RUN[name]({**case, "accumulator_bits": bits}) for bits in (32, 64))
        np.testing.assert_array_equal(wide, narrow)


@given(rng=generators)
def test_requantized_accumulators_are_the_output(rng: Generator) -> None:
    name, case = any_case(rng)
    if accumulator_bounds(case).max() < 2**31:
        expected = finish(case, accumulators_of(name, case).astype(np.int64))
        np.testing.assert_array_equal(RUN[name](case), expected)


@given(rng=generators)
def test_batch_rows_are_independent(rng: Generator) -> None:
    name, case = any_case(rng)
    order = rng.integers(0, len(case["input"]), int(rng.integers(1, 15)))
    chosen = {"input": case["input"][order], "output_shape": (len(order), case["output_shape"][1])}
    np.testing.assert_array_equal(RUN[name]({**case, **chosen}), RUN[name](case)[order])


@given(rng=generators)
def test_units_are_independent(rng: Generator) -> None:
    name, case = any_case(rng)
    order = rng.permutation(len(case["bias"]))
    moved = {key: case[key][order] for key in ("weights", "bias", "multiplier", "shift")}
    np.testing.assert_array_equal(RUN[name]({**case, **moved}), RUN[name](case)[:, order])


@given(rng=generators)
def test_order_of_the_inputs_does_not_matter(rng: Generator) -> None:
    name, case = any_case(rng)
    order = rng.permutation(case["input"].shape[1])
    moved = {"input": case["input"][:, order], "weights": case["weights"][:, order]}
    np.testing.assert_array_equal(RUN[name]({**case, **moved}), RUN[name](case))


@given(rng=generators)
def test_moving_inputs_and_zero_point_together_changes_nothing(rng: Generator) -> None:
    name, case = any_case(rng)
    low, high = int(case["input"].min()), int(case["input"].max())
    case["accumulator_bits"] = 64
    highest = min(127 - high, 127 - case["input_zero_point"])
    lowest = max(-128 - low, -128 - case["input_zero_point"])
    step = int(rng.integers(lowest, highest + 1))
    shifted = (case["input"].astype(np.int64) + step).astype(np.int8)
    moved = {"input": shifted, "input_zero_point": case["input_zero_point"] + step}
    np.testing.assert_array_equal(RUN[name]({**case, **moved}), RUN[name](case))


@given(rng=generators, profile=profiles)
def test_int8_weights_widened_to_int16_change_nothing(rng: Generator, profile: Profile) -> None:
    case = dense_case(rng, profile, "int8")
    wide = RUN["fully_connected_a8w16"]({**case, "weights": case["weights"].astype(np.int16)})
    np.testing.assert_array_equal(wide, RUN["fully_connected_a8w8"](case))


def extreme_case(depth: int, profile: Profile, weight: int, pixel: int, bits: int) -> dict[str, Any]:
    """Return one unit of equal weights on equal inputs: the largest sum that `depth` allows."""
    return {
        "input": np.full((1, depth), pixel, np.int8),
        "weights": np.full((1, depth), weight, np.int16),
        "bias": np.zeros(1, np.int32),
        "multiplier": np.array([2**30], np.int32),
        "shift": np.array([-30], np.int32),  # the real multiplier is 2**-31
        **{"input_zero_point": 0, "output_zero_point": 0, "clamp_low": -128, "clamp_high": 127},
        **{"rounding": int(profile.rounding), "accumulator_bits": bits, "output_shape": (1, 1)},
    }


@every_profile
@pytest.mark.parametrize("name", ["fully_connected_a8w16", "fully_connected_a8w16_split"])
@pytest.mark.parametrize(("weight", "pixel"), [(-(2**15), -128), (-(2**15), 127), (2**15 - 1, -128)])
def test_sums_beyond_int32_saturate_but_for_the_wide_profile(
    profile: Profile, name: str, weight: int, pixel: int
) -> None:
    case = extreme_case(1500, profile, weight, pixel, 64)
    exact = 1500 * weight * pixel
    assert abs(exact) > 2**32
    seen = exact if profile.exact_bits == 48 else max(-(2**31), min(2**31 - 1, exact))
    expected = requantize_ref(seen, 2**30, -30, int(profile.rounding))
    assert RUN[name](case) == expected
    assert accumulators_of(name, case) == max(-(2**31), min(2**31 - 1, exact))


@every_name
@pytest.mark.parametrize("depth", [509, 510, 511, 512, 513, 1020, 1021, 1022])
def test_extreme_products_are_exact_across_int32_blocks(name: str, depth: int) -> None:
    """All products are -128 * the lowest weight; sum and bias cancel to 77."""
    weight = int(np.iinfo(DTYPES[name]).min)
    case = extreme_case(depth, PROFILES["tflite_single"], weight, -128, 64)
    case |= {"weights": case["weights"].astype(DTYPES[name]), "shift": np.array([1], np.int32)}
    exact, limit = 128 * -weight * depth, 2**31 - 1
    case["input"][0, 0] = 127
    exact += 255 * weight
    if exact <= limit:
        case["bias"] = np.array([77 - exact], np.int32)
        assert RUN[name](case) == 77
        assert accumulators_of(name, case) == 77
    else:
        assert RUN[name](case) == 127
        assert accumulators_of(name, case) == limit


def finish(case: Case, accumulator: NDArray[np.int64]) -> NDArray[np.int8]:
    value = requantize_ref(accumulator, case["multiplier"], case["shift"], case["rounding"])
    return np.clip(value + case["output_zero_point"], case["clamp_low"], case["clamp_high"]).astype(np.int8)


def sums(case: Case, zero: int | None = None) -> NDArray[np.int64]:
    offset = case["input_zero_point"] if zero is None else zero
    products = (case["input"].astype(np.int64) - offset) @ case["weights"].astype(np.int64).T
    return products + case["bias"].astype(np.int64)


def finished_before_the_zero_point(case: Case) -> NDArray[np.int8]:
    value = requantize_ref(sums(case), case["multiplier"], case["shift"], case["rounding"])
    clipped = np.clip(value, case["clamp_low"], case["clamp_high"]) + case["output_zero_point"]
    return np.clip(clipped, -128, 127).astype(np.int8)


def wraps_to_int8(case: Case) -> NDArray[np.int8]:
    value = requantize_ref(sums(case), case["multiplier"], case["shift"], case["rounding"])
    return (value + case["output_zero_point"]).astype(np.int8)


def split_without_row_sums(case: Case) -> NDArray[np.int8]:
    """Forgets the 128 of w = 256 * high + low + 128."""
    rows = case["input"].astype(np.int64).sum(axis=1, keepdims=True)
    return finish(case, sums(case) - 128 * rows)


MUTANTS: dict[str, Callable[[Case], NDArray[np.int8]]] = {
    "zero point dropped": lambda case: finish(case, sums(case, 0)),
    "bias ignored": lambda case: finish(case, sums({**case, "bias": 0 * case["bias"]})),
    "next unit's multiplier": lambda case: finish(
        {**case, "multiplier": np.roll(case["multiplier"], 1)}, sums(case)
    ),
    "wraps to int8": wraps_to_int8,
    "accumulator wraps at 32 bits": lambda case: finish(case, sums(case).astype(np.int32).astype(np.int64)),
    "accumulator saturated under every profile": lambda case: finish(
        case, np.clip(sums(case), -(2**31), 2**31 - 1)
    ),
    "rounding swapped": lambda case: finish(
        {**case, "rounding": {0: 1, 1: 0, 2: 0}.get(case["rounding"], 2)}, sums(case)
    ),
    "last input left out": lambda case: finish(
        case, sums({**case, "weights": case["weights"][:, :-1], "input": case["input"][:, :-1]})
    ),
    "clamped before the zero point": finished_before_the_zero_point,
    "row sums left out of the split form": split_without_row_sums,
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(mutant: Callable[[Case], NDArray[np.int8]]) -> None:
    def draw(rng: Generator) -> dict[str, Any]:
        """Now and then return a sum far beyond int32 under the one profile that sees it."""
        if rng.random() < 0.05:
            return extreme_case(1500, PROFILES["tflite_16x8"], -(2**15), -128, 64)
        return dense_case(rng, any_profile(rng), "int16")

    assert is_caught(mutant, BY_NAME["fully_connected_a8w16"], draw)


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        name, case = any_case(np.random.default_rng(seed))
        np.testing.assert_array_equal(finish(case, sums(case)), reference_of(BY_NAME[name], case))
