"""Directed cases are legal, and are what their names say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad.conformance.calls import kernel_outputs, reference_outputs
from fxpgrad.conformance.directed import DirectedDraws, directed_cases
from fxpgrad_kernels.arithmetic.profiles import LIMITS, PROFILES, Rounding
from fxpgrad_kernels.registry import kernel_named, kernels
from tests.conformance.test_strategies import check_ranges


def drawn(name: str, seed: int = 0, profile: str | None = None) -> dict[str, Any]:
    rng = np.random.default_rng([seed, *name.encode()])
    wanted = None if profile is None else PROFILES[profile]
    return {found.name: found.case for found in directed_cases(kernel_named(name), rng, wanted)}


@pytest.mark.parametrize("name", kernels())
def test_directed_cases_are_legal_and_the_kernel_equals_the_reference(name: str) -> None:
    spec = kernel_named(name)
    found = drawn(name)
    assert {"smallest", "lowest", "highest", "ends"} <= set(found)
    for key, case in found.items():
        check_ranges(name, case)
        if "rounding" in case and "shift" in case:
            limits = LIMITS[Rounding(case["rounding"])]
            assert limits.shift_low <= np.min(case["shift"]), key
            assert np.max(case["shift"]) <= limits.shift_high, key
        outputs = kernel_outputs(spec, case)
        for output, values in reference_outputs(spec, case).items():
            np.testing.assert_array_equal(outputs[output], values, f"{key} {output}")


def test_a_convolution_has_every_kind_and_each_is_what_it_says() -> None:
    spec, found = kernel_named("conv2d_a8w8"), drawn("conv2d_a8w8", profile="tflite_double")
    assert list(found) == [
        *("smallest", "lowest", "highest", "ends", "inputs_lowest", "inputs_highest"),
        *("zero_points_lowest", "zero_points_highest", "one_value", "relu", "ties", "saturated"),
    ]
    smallest = found["smallest"]
    assert smallest["weights"].shape == smallest["input"].shape == (1, 1, 1, 1)
    assert smallest["shapes"]["output"] == (1, 1, 1, 1)
    assert (found["lowest"]["weights"] == -128).all()
    assert (found["highest"]["weights"] == 127).all()
    assert set(np.unique(found["ends"]["input"])) == {-128, 127}
    assert (found["inputs_lowest"]["input"] == -128).all()
    assert found["zero_points_highest"]["input_zero_point"] == 127
    assert found["zero_points_lowest"]["output_zero_point"] == -128
    assert found["relu"]["clamp_low"] == found["relu"]["output_zero_point"]
    one = kernel_outputs(spec, found["one_value"])["output"]
    assert (one == found["one_value"]["clamp_low"]).all()
    case = found["saturated"]
    both = set(np.unique(kernel_outputs(spec, case)["output"]).tolist())
    assert {case["clamp_low"], case["clamp_high"]} <= both
    other = kernel_outputs(spec, {**found["ties"], "rounding": int(Rounding.SINGLE)})["output"]
    assert (other != kernel_outputs(spec, found["ties"])["output"]).any()
    assert {case["rounding"] for case in found.values()} == {int(Rounding.DOUBLE_AWAY)}


@pytest.mark.parametrize("name", ["add_a8", "mul_a8", "mean_a8", "conv2d_a8w8", "resize_bilinear_a8"])
@pytest.mark.parametrize("seed", range(3))
def test_kernels_that_round_have_ties_whatever_the_seed(name: str, seed: int) -> None:
    assert "ties" in drawn(name, seed)


def test_equal_seeds_give_equal_cases() -> None:
    for first, second in zip(drawn("mul_a8").values(), drawn("mul_a8").values(), strict=True):
        for key, value in first.items():
            np.testing.assert_array_equal(value, second[key])


def test_draws_take_the_least_sizes_and_the_ends_of_values() -> None:
    rng = np.random.default_rng(0)
    least = DirectedDraws(rng, least=True)
    assert least.integers(3, 9) == 3
    assert least.integers((1, 2), (9, 9)).tolist() == [1, 2]
    assert least.integers(1, 5, 2).tolist() == [1, 1]
    assert least.choice([7, 8], 2).tolist() == [7, 7]
    assert DirectedDraws(rng, values="lowest").integers(-5, 5, 3).tolist() == [-5, -5, -5]
    assert DirectedDraws(rng, values="highest").choice([0, 4, 3], 2).tolist() == [4, 4]
    assert set(DirectedDraws(rng, values="ends").integers(-5, 5, 99).tolist()) == {-5, 4}
    assert DirectedDraws(rng).random() > 0.99
