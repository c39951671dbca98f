"""A failing case becomes as small as its fault allows, and stays legal."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.examine import Finding
from fxpgrad.conformance.legality import accumulator_bounds, expected_if_legal
from fxpgrad.conformance.minimize import Check, Minimizer
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec


def check_where(spec: KernelSpec, fails) -> Check:
    def check(case: Case) -> Finding | None:
        legal = expected_if_legal(spec, case) is not None
        return Finding("values", "", case) if legal and fails(case) else None

    return check


def smallest(name: str, fails, seeds: int = 200) -> Case:
    """Return what the first drawn case that fails becomes."""
    spec = kernel_named(name)
    check = check_where(spec, fails)
    for seed in range(seeds):
        found = check(legal_case(name, np.random.default_rng(seed)))
        if found is not None:
            return Minimizer(spec, found, check, 60.0).run().case
    raise AssertionError("no case fails")


def test_a_convolution_with_a_large_weight_becomes_one_tap():
    case = smallest("conv2d_a8w8", lambda case: case["groups"] == 1 and (case["weights"] > 90).any())
    assert case["weights"].shape == (1, 1, 1, 1)
    assert case["weights"].item() == 91
    assert case["input"].shape == (1, 1, 1, 1)
    assert case["shapes"]["output"] == (1, *case["output_size"], 1)
    assert case["bias"].tolist() == [0]
    assert (case["stride_h"], case["pad_top"], case["input_zero_point"]) == (1, 0, 0)
    assert (case["clamp_low"], case["clamp_high"]) == (-128, 127)


def test_an_array_keeps_the_length_that_the_fault_needs():
    case = smallest("add_a8", lambda case: len(case["input_a"]) >= 7)
    assert case["input_a"].tolist() == case["input_b"].tolist() == [0] * 7
    assert case["shapes"]["output"] == (7,)
    assert case["multiplier"].tolist() == [2**30] * 3


def test_layouts_that_parameters_describe_stay():
    case = smallest("softmax_a8", lambda case: (case["input"] > 3).any())
    assert len(case["input"]) % case["depth"] == 0
    assert np.count_nonzero(case["input"]) == 1


@pytest.mark.parametrize("name", ["conv2d_a8w8", "depthwise_conv2d_a8w8", "gather_a8", "average_pool2d_a8"])
def test_whatever_is_tried_stays_legal(name):
    spec = kernel_named(name)
    case = smallest(name, lambda case: True)
    assert expected_if_legal(spec, case) is not None


def test_another_kind_of_finding_is_not_taken_for_the_same():
    spec = kernel_named("add_a8")

    def check(case: Case) -> Finding | None:
        return Finding("values" if len(case["input_a"]) > 2 else "crash", "", case)

    start = Finding("values", "", next(c for c in cases_of(spec) if len(c["input_a"]) > 4))
    assert len(Minimizer(spec, start, check, 10.0).run().case["input_a"]) == 3


def cases_of(spec: KernelSpec):
    rng = np.random.default_rng(0)
    while True:
        yield legal_case(spec.name, rng)


def test_bounds_of_accumulators_are_those_of_the_contract():
    weights = np.array([[1, -2], [3, 4]], np.int8)
    case = {"weights": weights, "bias": np.array([10, -5], np.int32), "input_zero_point": 2}
    assert accumulator_bounds(case).tolist() == [128 * 3 + 12, 128 * 7 + 19]
    depthwise = {**case, "weights": weights.T.reshape(1, 2, 1, 2)}
    assert accumulator_bounds(depthwise).tolist() == accumulator_bounds(case).tolist()


def test_illegal_cases_are_known():
    spec = kernel_named("conv2d_a8w8")
    case = next(c for c in cases_of(spec) if c["accumulator_bits"] == 32)
    assert expected_if_legal(spec, case) is not None
    assert expected_if_legal(spec, {**case, "stride_h": 0}) is None
    assert expected_if_legal(spec, {**case, "clamp_low": 5, "clamp_high": 4}) is None
    assert expected_if_legal(spec, {**case, "bias": np.full_like(case["bias"], 2**31 - 1)}) is None


@pytest.mark.parametrize("name", ["align_channels", "scale_multipliers"])
def test_multipliers_of_kernels_that_need_normalized_ones_stay_so(name):
    spec = kernel_named(name)
    case = next(c for c in cases_of(spec) if len(c["multiplier"]))
    for least, legal in ((0, True), (1, False), (2**30 - 1, False), (2**30, True), (2**31 - 1, True)):
        changed = {**case, "multiplier": np.full_like(case["multiplier"], least)}
        assert (expected_if_legal(spec, changed) is not None) == legal
    shrunk = smallest(name, lambda case: (case["multiplier"] == 0).any())["multiplier"]
    assert set(shrunk.tolist()) <= {0, 2**30}
