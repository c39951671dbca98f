"""Laws of layers whose sums are kept in 8 to 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.conformance.cases.narrow_accumulator import narrow_case
from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.narrow_accumulator.narrow_accumulator import SPECS
from fxpgrad_kernels.narrow_accumulator.narrow_accumulator_ref import accumulate
from fxpgrad_kernels.registry import kernel_named
from tests.kernels.drawn import generators, profiles
from tests.kernels.spec_call import Case, by_kernel

BY_NAME = {spec.name: spec for spec in SPECS}
every_name = pytest.mark.parametrize("name", BY_NAME)
Generator = np.random.Generator
Result = tuple[NDArray[np.int8], NDArray[np.int64]]


def with_statistics(name: str, case: Case) -> Result:
    """Run a kernel; return its output and the statistics [O, 4] that it leaves in its workspace."""
    spec = BY_NAME[name]
    shapes = {key: case[key].shape for key in ("input", "weights", "bias")} | {"output": case["output_shape"]}
    sizes = spec.workspace(shapes, case) if spec.workspace else {}
    arguments: list[Any] = []
    for argument in spec.arguments:
        if argument.role == "workspace":
            arguments.append(np.full(sizes[argument.name], 77, argument.dtype))
        elif argument.role == "output":
            arguments.append(np.full(case["output_shape"], 77, np.int8))
        else:
            arguments.append(case[argument.name])
    spec.function(*arguments)
    named = {argument.name: value for argument, value in zip(spec.arguments, arguments, strict=True)}
    return named["output"], named["statistics"].reshape(-1, 4)


def by_definition(name: str, case: Case) -> Result:
    """Return what the reference says."""
    spec = BY_NAME[name]
    statistics = np.zeros(4 * len(case["bias"]), np.int64)
    names = [a.name for a in spec.arguments if a.role in ("input", "constant", "parameter")]
    extra = {"output_size": case["output_size"]} if "output_size" in case else {}
    output = spec.reference(*[case[key] for key in names], statistics=statistics, **extra)
    return output, statistics.reshape(-1, 4)


def check(run: Callable[[str, Case], Result], name: str, case: Case) -> None:
    """Compare outputs and statistics with the definition."""
    for actual, expected in zip(run(name, case), by_definition(name, case), strict=True):
        np.testing.assert_array_equal(actual, expected)


@every_name
@given(rng=generators, profile=profiles)
def test_narrow_accumulator_equals_its_reference(name: str, profile: Profile, rng: Generator) -> None:
    check(with_statistics, name, narrow_case(name, rng, profile))


def plain(name: str, case: Case) -> NDArray[Any]:
    """Run the layer with an accumulator that holds everything."""
    spec = kernel_named(name.replace("_narrow", ""))
    return by_kernel(spec)({**case, "accumulator_bits": 64})


@every_name
@given(rng=generators)
def test_without_overflow_it_is_the_layer_itself(name: str, rng: Generator) -> None:
    case = narrow_case(name, rng, any_profile(rng))
    case["weights"] = case["weights"] >> (8 if name.endswith("w16") else 1)
    case |= {"accumulator_bits": 32, "bias": case["bias"] >> 4}
    output, statistics = with_statistics(name, case)
    assert not statistics[:, :3].any()
    np.testing.assert_array_equal(output, plain(name, case))


@given(rng=generators)
def test_wrapped_partial_sums_do_no_harm_to_the_sum_modulo_its_width(rng: Generator) -> None:
    name = "fully_connected_narrow_a8w16"
    case = narrow_case(name, rng, any_profile(rng)) | {"saturate": 0}
    exact = (case["input"].astype(np.int64) - case["input_zero_point"]) @ case["weights"].astype(np.int64).T
    half = 2 ** (case["accumulator_bits"] - 1)
    kept = (exact + case["bias"] + half) % (2 * half) - half
    value = requantize_ref(kept, case["multiplier"], case["shift"], case["rounding"])
    value = np.clip(value + case["output_zero_point"], case["clamp_low"], case["clamp_high"])
    np.testing.assert_array_equal(with_statistics(name, case)[0], value)


@every_name
@given(rng=generators, saturate=st.booleans())
def test_a_wider_accumulator_than_the_largest_sum_changes_nothing(
    name: str, rng: Generator, saturate: bool
) -> None:
    case = narrow_case(name, rng, any_profile(rng))
    case |= {"accumulator_bits": 32, "bias": case["bias"] >> 8, "saturate": int(saturate)}
    output, statistics = with_statistics(name, case)
    needed = max(8, int(statistics[:, 3].max()).bit_length() + 1)
    if needed < 32:
        narrow, counted = with_statistics(name, {**case, "accumulator_bits": needed})
        np.testing.assert_array_equal(narrow, output)
        np.testing.assert_array_equal(counted, statistics)


def test_an_accumulator_of_8_bits_by_hand() -> None:
    terms = (100, 100, -30, -100, 500)
    wrapping, clipping = accumulate(terms, 8, False), accumulate(terms, 8, True)
    assert (wrapping.value, wrapping.overflows, wrapping.largest) == (58, 3, 570)
    assert (clipping.value, clipping.overflows, clipping.largest) == (127, 2, 497)


def reordered(name: str, case: Case) -> Result:
    """Adds the products in the opposite order."""
    flat = case["weights"].ndim == 2
    weights = case["weights"][:, ::-1] if flat else case["weights"]
    inputs = case["input"][:, ::-1] if flat else case["input"]
    return by_definition(name, {**case, "weights": weights, "input": inputs})


def raw_products(name: str, case: Case) -> Result:
    """Multiplies raw inputs and folds the zero point into the bias, as a device with int32 would."""
    folded = case["bias"].astype(np.int64) - case["input_zero_point"] * case["weights"].astype(np.int64).sum(
        1
    )
    return by_definition(name, {**case, "bias": folded.clip(-(2**31), 2**31 - 1), "input_zero_point": 0})


def bits_off(name: str, case: Case) -> Result:
    return by_definition(name, {**case, "accumulator_bits": case["accumulator_bits"] - 1})


def other_overflow(name: str, case: Case) -> Result:
    return by_definition(name, {**case, "saturate": 1 - case["saturate"]})


def only_the_end(name: str, case: Case) -> Result:
    """Brings only the final sum into the range."""
    _, statistics = by_definition(name, case)
    exact = (case["input"].astype(np.int64) - case["input_zero_point"]) @ case["weights"].astype(np.int64).T
    half = 2 ** (case["accumulator_bits"] - 1)
    kept = np.clip(exact + case["bias"], -half, half - 1)
    dense = {**case, "bias": 0 * case["bias"], "accumulator_bits": 32}
    outputs = [
        by_definition(
            name,
            {**dense, "input": case["input"][b : b + 1], "bias": kept[b], "weights": 0 * case["weights"]},
        )
        for b in range(len(kept))
    ]
    return np.concatenate([output for output, _ in outputs]), statistics


MUTANTS = {
    "products in another order": reordered,
    "zero point folded into the bias": raw_products,
    "one bit less": bits_off,
    "wraps for saturates": other_overflow,
    "only the final sum is narrowed": only_the_end,
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(mutant: Callable[[str, Case], Result]) -> None:
    name = "fully_connected_narrow_a8w8"
    for seed in range(300):
        rng = np.random.default_rng(seed)
        case = narrow_case(name, rng, any_profile(rng))
        if case["accumulator_bits"] == 8:
            continue
        try:
            check(mutant, name, case)
        except AssertionError:
            return
    pytest.fail("not caught")


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for name in BY_NAME:
        for seed in range(5):
            rng = np.random.default_rng(seed)
            check(by_definition, name, narrow_case(name, rng, any_profile(rng)))
