"""Laws of the singular value decomposition filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.svdf.svdf import SPECS
from tests.kernels.legal_numbers import (
    any_profile,
    clamp_bounds,
    every_profile,
    generators,
    integers,
    requantization,
    zero_point,
)
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
RUN = {name: by_kernel(spec) for name, spec in BY_NAME.items()}
every_name = pytest.mark.parametrize("name", BY_NAME)
Generator = np.random.Generator


def legal_case(name: str, rng: Generator, profile: Profile) -> dict[str, Any]:
    """Return legal arguments; the sums over the memory may pass the ends of int32."""
    dtype = "int8" if name.endswith("s8") else "int16"
    batch, depth, rank, units, steps = (int(n) for n in rng.integers(1, (4, 9, 4, 4, 7)))
    filters, wide = units * rank, dtype == "int16"
    feature = requantization(rng, profile, 1, 2.0**13, 2.0 ** (13 if wide else 6))
    time = requantization(rng, profile, 1, 2.0 ** (28 if wide else 12))
    return {
        "input": integers(rng, (batch, depth), "int8"),
        "feature_weights": integers(rng, (filters, depth), "int8"),
        "time_weights": integers(rng, (filters, steps), dtype),
        "bias": rng.integers(-(2**31), 2**31, units).astype(np.int32) >> int(rng.integers(0, 31)),
        **{key: np.concatenate([feature[key], time[key]]) for key in feature},
        "state": integers(rng, (batch, filters * steps), dtype),
        "rank": rank,
        "input_zero_point": zero_point(rng),
        "state_zero_point": 0 if wide and rng.random() < 0.8 else zero_point(rng),
        "output_zero_point": zero_point(rng),
        **clamp_bounds(rng),
        "rounding": int(profile.rounding),
        "output_shape": (batch, units),
    }


@every_name
@every_profile
@given(rng=generators)
def test_svdf_equals_its_reference(name: str, profile: Profile, rng: Generator) -> None:
    check_equals_reference(BY_NAME[name], RUN[name], legal_case(name, rng, profile))


@every_name
@given(rng=generators)
def test_a_step_drops_the_oldest_feature_of_each_filter(name: str, rng: Generator) -> None:
    case = legal_case(name, rng, any_profile(rng))
    shape = (len(case["input"]), *case["time_weights"].shape)
    _, state = RUN[name](case)
    np.testing.assert_array_equal(state.reshape(shape)[..., :-1], case["state"].reshape(shape)[..., 1:])


@every_name
@given(rng=generators)
def test_after_as_many_steps_as_it_remembers_the_first_state_is_forgotten(name: str, rng: Generator) -> None:
    case = legal_case(name, rng, any_profile(rng))
    states = [case["state"], integers(rng, case["state"].shape, str(case["state"].dtype))]
    for _ in range(case["time_weights"].shape[1]):
        case["input"] = integers(rng, case["input"].shape, "int8")
        both = [RUN[name]({**case, "state": state}) for state in states]
        states = [state for _, state in both]
    np.testing.assert_array_equal(both[0][0], both[1][0])
    np.testing.assert_array_equal(states[0], states[1])


@every_name
@given(rng=generators)
def test_batch_rows_have_states_of_their_own(name: str, rng: Generator) -> None:
    case = legal_case(name, rng, any_profile(rng))
    output, state = RUN[name](case)
    for b in range(len(output)):
        one = {"input": case["input"][b : b + 1], "state": case["state"][b : b + 1]}
        alone = RUN[name]({**case, **one, "output_shape": (1, output.shape[1])})
        np.testing.assert_array_equal(alone[0], output[b : b + 1])
        np.testing.assert_array_equal(alone[1], state[b : b + 1])


def changed(name: str, **changes: Callable[[Case], Any]) -> Callable[[Case], Any]:
    def run(case: Case) -> Any:
        other = {key: change(case) for key, change in changes.items()}
        return reference_of(BY_NAME[name], {**case, **other})

    return run


def reversed_memory(case: Case) -> Any:
    return case["time_weights"][:, ::-1]


MUTANTS: dict[str, Callable[[Case], Any]] = {
    "input zero point dropped": changed("svdf_a8", input_zero_point=lambda case: 0),
    "bias ignored": changed("svdf_a8", bias=lambda case: 0 * case["bias"]),
    "memory read backwards": changed("svdf_a8", time_weights=reversed_memory),
    "one pair for both products": changed("svdf_a8", multiplier=lambda case: case["multiplier"][[0, 0]]),
    "rounding swapped": changed("svdf_a8", rounding=lambda case: 0 if case["rounding"] else 2),
    "state not moved on": lambda case: (reference_of(BY_NAME["svdf_a8"], case)[0], case["state"]),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(mutant: Callable[[Case], Any]) -> None:
    spec = BY_NAME["svdf_a8"]
    assert is_caught(mutant, spec, lambda rng: legal_case("svdf_a8", rng, any_profile(rng)))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case = legal_case("svdf_a8", rng, any_profile(rng))
        check_equals_reference(BY_NAME["svdf_a8"], changed("svdf_a8"), case)
