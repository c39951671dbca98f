"""Traces end where the definition ends, for every element."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.trace import is_traced, steps_at, trace
from fxpgrad_kernels.registry import kernel_named, kernels

TRACED = [name for name, spec in kernels().items() if is_traced(spec)]


def test_the_kernels_that_users_write_first_are_traced():
    layers = ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d")
    others = ("add", "mul", "max_pool2d", "average_pool2d")
    assert {f"{name}_a8w8" for name in layers} | {f"{name}_a8" for name in others} <= set(TRACED)
    assert {"requantize_a32", "requantize_a48"} <= set(TRACED)


@pytest.mark.parametrize("name", TRACED)
def test_a_trace_ends_in_what_the_definition_says(name):
    spec, rng = kernel_named(name), np.random.default_rng(7)
    for _ in range(15):
        case = legal_case(name, rng)
        expected = expected_of(spec, case)["output"]
        for flat in rng.integers(0, expected.size, 10):
            index = tuple(int(i) for i in np.unravel_index(flat, expected.shape))
            assert trace(spec, case, index)[-1].value == expected[index], (case, index)


def test_other_kernels_have_no_trace():
    spec = kernel_named("softmax_a8")
    assert not is_traced(spec)
    assert trace(spec, legal_case("softmax_a8", np.random.default_rng(0)), (0,)) == []


def test_only_the_first_output_is_traced():
    spec = kernel_named("conv2d_a8w8")
    case = legal_case("conv2d_a8w8", np.random.default_rng(0))
    assert steps_at(spec, case, "output", (0, 0, 0, 0))
    assert steps_at(spec, case, "", ()) == []
