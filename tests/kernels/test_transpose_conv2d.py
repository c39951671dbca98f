"""Laws of the transposed convolution of int8 activations; test_layers_16x8.py has the int16 one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad.conformance.cases.transpose_conv2d import transpose_case
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from fxpgrad_kernels.transpose_conv2d.transpose_conv2d import SPECS
from fxpgrad_kernels.transpose_conv2d.transpose_conv2d_ref import transpose_conv2d_accumulators_ref
from tests.kernels.drawn import every_profile, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS if "a8" in spec.name}
RUN = {name: by_kernel(spec) for name, spec in BY_NAME.items()}
Generator = np.random.Generator


def any_case(rng: Generator, profile: Profile | None = None) -> tuple[str, dict[str, Any]]:
    name = str(rng.choice(list(BY_NAME)))
    return name, transpose_case(rng, profile or any_profile(rng), "int16" if name.endswith("w16") else "int8")


@every_profile
@given(rng=generators)
def test_transpose_conv2d_equals_its_reference(profile: Profile, rng: Generator) -> None:
    name, case = any_case(rng, profile)
    check_equals_reference(BY_NAME[name], RUN[name], case)


@given(rng=generators)
def test_int8_weights_widened_to_int16_change_nothing(rng: Generator) -> None:
    case = transpose_case(rng, any_profile(rng), "int8")
    wide = RUN["transpose_conv2d_a8w16"]({**case, "weights": case["weights"].astype(np.int16)})
    np.testing.assert_array_equal(wide, RUN["transpose_conv2d_a8w8"](case))


@given(rng=generators)
def test_a_cut_is_a_view_of_the_full_output(rng: Generator) -> None:
    name, case = any_case(rng)
    batch, height, width, outputs = case["output_shape"]
    top, left = case["pad_top"], case["pad_left"]
    size = (height + top, width + left)
    uncut = {"pad_top": 0, "pad_left": 0, "output_size": size, "output_shape": (batch, *size, outputs)}
    np.testing.assert_array_equal(RUN[name](case), RUN[name]({**case, **uncut})[:, top:, left:])


@given(rng=generators)
def test_outputs_that_nothing_reaches_hold_the_bias(rng: Generator) -> None:
    name, case = any_case(rng)
    case["stride_h"] = case["weights"].shape[1] + 1  # a row stays free between two input rows
    case["pad_top"] = 0
    free = RUN[name](case)[:, case["stride_h"] - 1 :: case["stride_h"]]
    expected = finish(case, case["bias"].astype(np.int64))
    np.testing.assert_array_equal(free, np.broadcast_to(expected, free.shape))


def accumulators(case: Case, **changes: Any) -> NDArray[np.int64]:
    case = {**case, **changes}
    return transpose_conv2d_accumulators_ref(
        case["input"],
        case["weights"],
        case["bias"],
        case["output_size"],
        (case["stride_h"], case["stride_w"]),
        (case["pad_top"], case["pad_left"]),
        case["input_zero_point"],
    )


def finish(case: Case, accumulator: NDArray[np.int64]) -> NDArray[np.int8]:
    value = requantize_ref(accumulator, case["multiplier"], case["shift"], case["rounding"])
    return np.clip(value + case["output_zero_point"], case["clamp_low"], case["clamp_high"]).astype(np.int8)


MUTANTS: dict[str, Callable[[Case], NDArray[np.int8]]] = {
    "zero point dropped": lambda case: finish(case, accumulators(case, input_zero_point=0)),
    "bias ignored": lambda case: finish(case, accumulators(case, bias=0 * case["bias"])),
    "cut one off": lambda case: finish(case, accumulators(case, pad_top=case["pad_top"] + 1)),
    "filters flipped": lambda case: finish(case, accumulators(case, weights=case["weights"][:, :, ::-1])),
    "strides swapped": lambda case: finish(case, accumulators(case, stride_w=case["stride_h"])),
    "no channels' own multipliers": lambda case: finish(
        {**case, "multiplier": np.roll(case["multiplier"], 1)}, accumulators(case)
    ),
    "clamped before the zero point": lambda case: (
        finish({**case, "output_zero_point": 0}, accumulators(case)).astype(np.int64)
        + case["output_zero_point"]
    ).astype(np.int8),
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(mutant: Callable[[Case], NDArray[np.int8]]) -> None:
    spec = BY_NAME["transpose_conv2d_a8w8"]
    assert is_caught(mutant, spec, lambda rng: transpose_case(rng, any_profile(rng), "int8"))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for seed in range(20):
        name, case = any_case(np.random.default_rng(seed))
        check_equals_reference(BY_NAME[name], lambda c: finish(c, accumulators(c)), case)
