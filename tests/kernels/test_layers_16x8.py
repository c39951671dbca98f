"""Layers of int16 activations and int8 weights, plain, depthwise, dense and transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.layers_16x8 import layer_16x8_case
from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.registry import kernel_named
from tests.kernels.drawn import every_profile, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

NAMES = ("conv2d_a16w8", "depthwise_conv2d_a16w8", "fully_connected_a16w8", "transpose_conv2d_a16w8")
RUN = {name: by_kernel(kernel_named(name)) for name in NAMES}
Generator = np.random.Generator
every_name = pytest.mark.parametrize("name", NAMES)


@every_name
@every_profile
@given(rng=generators)
def test_layer_16x8_equals_its_reference(name: str, profile: Profile, rng: Generator) -> None:
    check_equals_reference(kernel_named(name), RUN[name], layer_16x8_case(name, rng, profile))


@every_name
@given(rng=generators)
def test_batch_rows_are_independent(name: str, rng: Generator) -> None:
    case = layer_16x8_case(name, rng, any_profile(rng))
    order = rng.integers(0, len(case["input"]), 3)
    chosen = {"input": case["input"][order], "output_shape": (3, *case["output_shape"][1:])}
    np.testing.assert_array_equal(RUN[name]({**case, **chosen}), RUN[name](case)[order])


@given(rng=generators)
def test_conv1x1_equals_fully_connected_per_pixel(rng: Generator) -> None:
    dense = layer_16x8_case("fully_connected_a16w8", rng, any_profile(rng))
    dense |= {"input_zero_point": 0, "output_zero_point": 0}
    image = {
        **dense,
        "input": dense["input"][:, None, None, :],
        "weights": dense["weights"][:, None, None, :],
        **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w", "groups"), 1),
        **{"pad_top": 0, "pad_left": 0},
        "output_shape": (dense["output_shape"][0], 1, 1, dense["output_shape"][1]),
    }
    expected = RUN["fully_connected_a16w8"](dense)
    np.testing.assert_array_equal(RUN["conv2d_a16w8"](image).reshape(expected.shape), expected)


@given(rng=generators)
def test_depthwise_equals_a_convolution_with_one_group_for_each_channel(rng: Generator) -> None:
    case = layer_16x8_case("depthwise_conv2d_a16w8", rng, any_profile(rng))
    filters = case["weights"][0].transpose(2, 0, 1)[..., None]
    grouped = {**case, "weights": filters, "groups": case["input"].shape[3]}
    np.testing.assert_array_equal(RUN["conv2d_a16w8"](grouped), RUN["depthwise_conv2d_a16w8"](case))


@given(rng=generators)
def test_transposed_convolution_of_stride_1_is_a_convolution_with_flipped_filters(rng: Generator) -> None:
    case = layer_16x8_case("transpose_conv2d_a16w8", rng, any_profile(rng))
    case |= {"stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0}
    _, kh, kw, _ = case["weights"].shape
    flipped = {
        **case,
        **{"weights": case["weights"][:, ::-1, ::-1], "pad_top": kh - 1, "pad_left": kw - 1},
        **{"dilation_h": 1, "dilation_w": 1, "groups": 1},
    }
    np.testing.assert_array_equal(RUN["conv2d_a16w8"](flipped), RUN["transpose_conv2d_a16w8"](case))


@pytest.mark.parametrize("depth", [510, 511, 512, 1022, 1023])
def test_extreme_products_are_exact_across_int32_blocks(depth: int) -> None:
    case = {
        "input": np.full((1, depth), -(2**15), np.int16),
        "weights": np.full((1, depth), -128, np.int8),
        "bias": np.array([123 - depth * 2**22]),
        **{"multiplier": np.array([2**30], np.int32), "shift": np.array([1], np.int32)},
        **{"clamp_low": -(2**15), "clamp_high": 2**15 - 1, "rounding": 0, "output_shape": (1, 1)},
        **{"input_zero_point": 0, "output_zero_point": 0},
    }
    assert RUN["fully_connected_a16w8"](case) == 123


def changed(name: str, **changes: Callable[[Case], Any]) -> Callable[[Case], NDArray[Any]]:
    """Return the reference, given some other arguments."""

    def run(case: Case) -> NDArray[Any]:
        other = {key: change(case) for key, change in changes.items()}
        return reference_of(kernel_named(name), {**case, **other})

    return run


def truncated_bias(case: Case) -> NDArray[np.int64]:
    return case["bias"].astype(np.int32).astype(np.int64)


MUTANTS = {
    "bias cut to 32 bits": ("conv2d_a16w8", {"bias": truncated_bias}),
    "rounding swapped": ("conv2d_a16w8", {"rounding": lambda case: 0 if case["rounding"] else 2}),
    "padding one off": ("conv2d_a16w8", {"pad_left": lambda case: case["pad_left"] + 1}),
    "taps swapped": ("depthwise_conv2d_a16w8", {"weights": lambda case: case["weights"][:, :, ::-1]}),
    "inputs seen as int8": (
        "depthwise_conv2d_a16w8",
        {"input": lambda case: case["input"].astype(np.int8).astype(np.int16)},
    ),
    "input zero point ignored": ("fully_connected_a16w8", {"input_zero_point": lambda case: 0}),
    "output zero point ignored": ("fully_connected_a16w8", {"output_zero_point": lambda case: 0}),
    "strides swapped": ("transpose_conv2d_a16w8", {"stride_h": lambda case: case["stride_w"]}),
    "filters flipped": ("transpose_conv2d_a16w8", {"weights": lambda case: case["weights"][:, ::-1]}),
}


@pytest.mark.parametrize(("name", "changes"), MUTANTS.values(), ids=tuple(MUTANTS))
def test_the_comparison_catches(name: str, changes: dict[str, Any]) -> None:
    spec = kernel_named(name)
    assert is_caught(changed(name, **changes), spec, lambda rng: layer_16x8_case(name, rng, any_profile(rng)))


def test_the_unbroken_twin_of_the_mutants_passes() -> None:
    for name in NAMES:
        for seed in range(10):
            rng = np.random.default_rng(seed)
            check_equals_reference(
                kernel_named(name), changed(name), layer_16x8_case(name, rng, any_profile(rng))
            )
