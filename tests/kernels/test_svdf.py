"""Laws of the singular value decomposition filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.numbers import any_profile, integers
from fxpgrad.conformance.cases.svdf import svdf_case
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.svdf.svdf import SPECS
from tests.kernels.drawn import every_profile, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
RUN = {name: by_kernel(spec) for name, spec in BY_NAME.items()}
every_name = pytest.mark.parametrize("name", BY_NAME)
Generator = np.random.Generator


@every_name
@every_profile
@given(rng=generators)
def test_svdf_equals_its_reference(name: str, profile: Profile, rng: Generator) -> None:
    check_equals_reference(BY_NAME[name], RUN[name], svdf_case(BY_NAME[name], rng, profile))


@every_name
@given(rng=generators)
def test_a_step_drops_the_oldest_feature_of_each_filter(name: str, rng: Generator) -> None:
    case = svdf_case(BY_NAME[name], rng, any_profile(rng))
    shape = (len(case["input"]), *case["time_weights"].shape)
    _, state = RUN[name](case)
    np.testing.assert_array_equal(state.reshape(shape)[..., :-1], case["state"].reshape(shape)[..., 1:])


@every_name
@given(rng=generators)
def test_after_as_many_steps_as_it_remembers_the_first_state_is_forgotten(name: str, rng: Generator) -> None:
    case = svdf_case(BY_NAME[name], rng, any_profile(rng))
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
    case = svdf_case(BY_NAME[name], rng, any_profile(rng))
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
    assert is_caught(mutant, spec, lambda rng: svdf_case(BY_NAME["svdf_a8"], rng, any_profile(rng)))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case = svdf_case(BY_NAME["svdf_a8"], rng, any_profile(rng))
        check_equals_reference(BY_NAME["svdf_a8"], changed("svdf_a8"), case)
