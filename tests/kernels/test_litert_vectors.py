"""Operators against LiteRT's optimized kernels and XNNPACK: vectors of make_litert_vectors.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.registry import kernel_named
from tests.kernels import dialect_arguments as arguments
from tests.kernels.spec_call import by_kernel, reference_of

STORED = arguments.stored_cases("litert_vectors.npz")
LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected", "fully_connected_per_tensor")
every_runtime = pytest.mark.parametrize("runtime", ["optimized", "xnnpack"])
every_layer = pytest.mark.parametrize("operator", LAYERS)


def spec_of(operator: str) -> Any:
    suffix = "a8w8" if operator in LAYERS else "a8"
    return kernel_named(f"{operator.removesuffix('_per_tensor')}_{suffix}")


def pair_cases(operator: str) -> list[arguments.Case]:
    return [{**case, **STORED["pairs"][0]} for case in STORED[operator]]


def differing(operator: str, made: list[arguments.Case], runtime: str) -> int:
    """Return how many elements the kernel and the runtime do not share."""
    spec = spec_of(operator)
    for case in made:
        np.testing.assert_array_equal(by_kernel(spec)(case), reference_of(spec, with_size(case)))
    return sum(int((by_kernel(spec)(case) != case[runtime]).sum()) for case in made)


def with_size(case: arguments.Case) -> arguments.Case:
    image = len(case["output_shape"]) == 4
    return {**case, "output_size": case["output_shape"][1:3]} if image else case


@every_runtime
@every_layer
def test_layer_equals_the_runtime(operator: str, runtime: str) -> None:
    made = [arguments.layer(operator, case, runtime) for case in STORED[operator]]
    assert len(made) >= 8
    assert differing(operator, made, runtime) == 0


@every_layer
@pytest.mark.parametrize(("runtime", "formation"), [("optimized", "float32"), ("xnnpack", "double")])
def test_vectors_tell_how_the_multiplier_is_formed(operator: str, runtime: str, formation: Any) -> None:
    if operator.endswith("per_tensor") and runtime == "optimized":
        formation = "double"
    made = [arguments.layer(operator, case, runtime, formation) for case in STORED[operator]]
    assert differing(operator, made, runtime) > 0


@every_layer
@every_runtime
@pytest.mark.parametrize("rounding", [0, 1, 2, 5])
def test_vectors_tell_a_wrong_rounding(operator: str, runtime: str, rounding: int) -> None:
    made = [arguments.layer(operator, case, runtime) for case in STORED[operator]]
    right = made[0]["rounding"]
    wrong = [{**case, "rounding": rounding} for case in made]
    assert (differing(operator, wrong, runtime) > 0) == (rounding != right)


def test_deep_layer_passes_what_float32_holds() -> None:
    case = STORED["fully_connected"][-1]
    inputs = case["input"].astype(np.int64) - case["input_zero_point"]
    assert np.abs(inputs @ case["weights"].T.astype(np.int64)).max() > 2**24


@every_runtime
def test_mul_equals_the_runtime(runtime: str) -> None:
    made = [arguments.product(case, runtime) for case in pair_cases("mul")]
    assert differing("mul", made, runtime) == 0
    other = [arguments.product(case, runtime, "double") for case in pair_cases("mul")]
    assert differing("mul", other, runtime) > 0


@pytest.mark.parametrize(
    ("operator", "runtime"), [("add", "xnnpack"), ("sub", "xnnpack"), ("sub", "optimized")]
)
def test_sum_equals_the_runtime(operator: str, runtime: str) -> None:
    made = [arguments.sum_of_two(case, operator, runtime) for case in pair_cases(operator)]
    assert differing(operator, made, runtime) == 0
    wrong = [{**case, "rounding": int(Rounding.DOUBLE_UP)} for case in made]
    assert runtime == "xnnpack" or differing(operator, wrong, runtime) > 0


def test_optimized_add_rounds_its_inputs_once_and_the_sum_twice() -> None:
    """No one rounding gives it: `add_a8` under DOUBLE_AWAY misses some elements, by one."""
    made = [arguments.sum_of_two(case, "add", "optimized") for case in pair_cases("add")]
    misses = differing("add", made, "optimized")
    assert 0 < misses < 0.02 * 2048 * len(made)
    once, twice = kernel_named("requantize_a32").function, int(Rounding.DOUBLE_AWAY)
    for case in made:
        total = np.zeros(case["input_a"].size, np.int32)
        for place, side in enumerate("ab"):
            centred = case[f"input_{side}"].astype(np.int32) - case[f"input_{side}_zero_point"]
            total += requantized(once, centred << 20, case, place, int(Rounding.SINGLE))
        result = requantized(once, total, case, 2, twice) + case["output_zero_point"]
        np.testing.assert_array_equal(np.clip(result, -128, 127), case["optimized"])


def requantized(kernel: Any, values: Any, case: arguments.Case, place: int, rounding: int) -> Any:
    output = np.empty(values.size, np.int32)
    multiplier, shift = (
        np.full(values.size, case[name][place], np.int32) for name in ("multiplier", "shift")
    )
    kernel(values.astype(np.int32), multiplier, shift, output, rounding)
    return output


@every_runtime
@pytest.mark.parametrize("operator", ["quantize", "leaky_relu"])
def test_function_of_one_value_equals_the_runtime(operator: str, runtime: str) -> None:
    made = [arguments.one_value(case, operator, runtime) for case in STORED[operator]]
    assert differing(operator, made, runtime) == 0
    wrong = [{**case, "rounding": int(Rounding.FLOAT32_EVEN)} for case in made]
    assert differing(operator, wrong, runtime) > 0
