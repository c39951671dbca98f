"""Laws of softmax and log-softmax, and of the exponential, logarithm and reciprocal under them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.conformance.cases.softmax import rows, softmax_case
from fxpgrad.program.lowering.softmax_parameters import (
    exponent_pair,
    reverse_pair,
    softmax_tables,
    table_pair,
)
from fxpgrad_kernels.arithmetic import fixed_point, fixed_point_ref
from fxpgrad_kernels.errors import MultiplierError
from fxpgrad_kernels.softmax import exp_log, exp_log_ref, softmax_ref
from fxpgrad_kernels.softmax.softmax import SPECS
from tests.kernels.callable_form import CallableForms
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

fixed_point_device, exp_log_device = CallableForms(fixed_point), CallableForms(exp_log)

BY_NAME = {spec.name: spec for spec in SPECS}
EXP_TABLE, RECIPROCAL_TABLE = softmax_tables()
every_kernel = pytest.mark.parametrize("name", BY_NAME)
raw = st.integers(-(2**31), 2**31 - 1)


@every_kernel
@given(rng=generators)
def test_softmax_equals_its_reference(name: str, rng: np.random.Generator) -> None:
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), draw_of(BY_NAME[name], softmax_case)(rng))


@every_kernel
@given(rng=generators)
def test_softmax_depends_on_differences_only(name: str, rng: np.random.Generator) -> None:
    case = draw_of(BY_NAME[name], softmax_case)(rng)
    x = (case["input"] // 2).astype(case["input"].dtype)
    run = by_kernel(BY_NAME[name])
    np.testing.assert_array_equal(run({**case, "input": x + x.dtype.type(9)}), run({**case, "input": x}))


@every_kernel
@given(rng=generators)
def test_softmax_keeps_the_order_of_a_row(name: str, rng: np.random.Generator) -> None:
    case = draw_of(BY_NAME[name], softmax_case)(rng)
    outputs = by_kernel(BY_NAME[name])(case).reshape(-1, case["depth"]).astype(int)
    for row, output in zip(case["input"].reshape(outputs.shape), outputs, strict=True):
        assert (np.diff(output[np.argsort(row, kind="stable")]) >= 0).all()


@every_kernel
@given(rng=generators)
def test_softmax_treats_rows_alone(name: str, rng: np.random.Generator) -> None:
    case = draw_of(BY_NAME[name], softmax_case)(rng)
    run = by_kernel(BY_NAME[name])
    parts = [
        run({**case, "input": row, "output_shape": row.shape})
        for row in case["input"].reshape(-1, case["depth"])
    ]
    np.testing.assert_array_equal(np.concatenate(parts), run(case))


@given(rng=generators)
def test_softmax_is_near_the_real_one(rng: np.random.Generator) -> None:
    scale = float(2.0 ** rng.uniform(-7, 0))
    x = rows(rng, 3, 10, "int8")
    pair = exponent_pair(scale, 1.0)
    case = {"input": x.ravel(), "depth": 10, **pair.parameters(), "output_shape": (30,)}
    real = np.exp(scale * (x - x.max(axis=1, keepdims=True).astype(float)))
    real /= real.sum(axis=1, keepdims=True)
    narrow = by_kernel(BY_NAME["softmax_a8"])(case).reshape(x.shape) + 128.0
    wide = by_kernel(BY_NAME["softmax_a8_a16"])(case).reshape(x.shape) + 32768.0
    assert np.abs(narrow - np.minimum(real * 256, 255)).max() < 0.51
    assert np.abs(wide - np.minimum(real * 65536, 65535)).max() < 1.0
    log_case = {**case, "reverse_multiplier": 0, "reverse_shift": 0, "rounding": 0}
    log_case["reverse_multiplier"], log_case["reverse_shift"] = reverse_pair(pair)
    logs = (by_kernel(BY_NAME["log_softmax_a8"])(log_case).reshape(x.shape) - 127.0) / 16
    assert np.abs(logs - np.maximum(np.log(np.maximum(real, 1e-30)), -255 / 16)).max() < 0.04


@given(rng=generators)
def test_softmax_of_16_bits_is_near_the_real_one(rng: np.random.Generator) -> None:
    x = rows(rng, 3, 10, "int16")
    multiplier, shift = table_pair(1 / 4096, 1.0)
    case = {"input": x.ravel(), "depth": 10, "multiplier": multiplier, "shift": shift, "output_shape": (30,)}
    case |= {"exp_table": EXP_TABLE, "reciprocal_table": RECIPROCAL_TABLE}
    real = np.exp((x - x.max(axis=1, keepdims=True).astype(float)) / 4096)
    real /= real.sum(axis=1, keepdims=True)
    outputs = by_kernel(BY_NAME["softmax_a16"])(case).reshape(x.shape)
    assert np.abs(outputs - np.minimum(real * 32768, 32767)).max() < 64


def test_wide_flat_rows_are_all_the_least_value() -> None:
    """512 and more equal elements: each share is below half a step; TFLite-Micro stops here."""
    for depth in (512, 4095, 4096, 8191):
        case = {"input": np.zeros(depth, np.int8), "depth": depth, **exponent_pair(0.1, 1.0).parameters()}
        case["output_shape"] = (depth,)
        for name in ("softmax_a8", "softmax_a8_a16"):
            expected = -128 if name == "softmax_a8" else round(65536 / depth) - 32768
            check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), case)
            np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), np.full(depth, expected))


@given(value=st.integers(-(2**31), 0))
def test_exponential_equals_its_reference(value: int) -> None:
    expected = exp_log_ref.exp_on_negative_ref(value)
    assert exp_log_device.exp_on_negative(np.int64(value)) == expected
    assert abs(expected / 2**31 - math.exp(value / 2**26)) < 2**-21


@given(value=st.integers(2**19, 2**31 - 1))
def test_logarithm_equals_its_reference(value: int) -> None:
    expected = exp_log_ref.log_from_one_ref(value)
    assert exp_log_device.log_from_one(np.int64(value)) == expected
    assert abs(expected / 2**26 - math.log(value / 2**19)) < 2**-22


@given(a=raw, b=raw, exponent=st.integers(0, 31))
def test_fixed_point_arithmetic_equals_its_reference(a: int, b: int, exponent: int) -> None:
    first, second, amount = np.int64(a), np.int64(b), np.int64(exponent)
    assert fixed_point_device.product(first, second) == fixed_point_ref.product(a, b)
    assert fixed_point_device.shift_left_saturated(first, amount) == fixed_point_ref.times_power_of_two(
        a, exponent
    )
    assert fixed_point_device.half_sum(first, second) == fixed_point_ref.half_sum(a, b)
    for value in (abs(a), 2**31 + abs(b) - 1, 2**exponent, 2**exponent - 1):
        assert fixed_point_device.leading_zeros(np.int64(value)) == fixed_point_ref.leading_zeros(value)


@given(value=st.integers(0, 2**31 - 1))
def test_reciprocal_equals_its_reference(value: int) -> None:
    expected = fixed_point_ref.one_over_one_plus(value)
    assert fixed_point_device.one_over_one_plus(np.int64(value)) == expected
    assert abs(expected / 2**31 - 1 / (1 + value / 2**31)) < 2**-27


def test_product_of_the_least_numbers_saturates() -> None:
    assert fixed_point_device.product(np.int64(-(2**31)), np.int64(-(2**31))) == 2**31 - 1


@pytest.mark.parametrize("beta", [0.0, 1e-12, float("nan")])
def test_a_beta_without_a_pair_is_refused(beta: float) -> None:
    with pytest.raises(MultiplierError, match=r"above 2\*\*-26"):
        exponent_pair(0.1, beta)


def test_a_great_scale_is_capped() -> None:
    assert exponent_pair(1e6, 1.0).parameters() == {
        "multiplier": 2**31 - 1,
        "left_shift": 31,
        "diff_min": 0,
    }
    assert exponent_pair(1e6, 1.0, single_rounding=True).left_shift == 30


# --- plausible wrong implementations


def mutant(name: str, **changes: Any) -> Any:
    """Return the reference with one thing exchanged in its module."""

    def run(case: Case) -> NDArray[Any]:
        with pytest.MonkeyPatch.context() as patch:
            for key, value in changes.items():
                patch.setattr(softmax_ref, key, value)
            spec = BY_NAME[name]
            taken = [a.name for a in spec.arguments if a.role in ("input", "constant", "parameter")]
            result: NDArray[Any] = spec.reference(*[case[key] for key in taken])
            return result

    return run


def coarse_exp(value: int) -> int:
    return min(round(math.exp(value / 2**26) * 2**15) << 16, 2**31 - 1)


def coarse_reciprocal(value: int) -> int:
    return min(round(2**46 / (2**31 + value)) << 16, 2**31 - 1)


def truncated(value: int, exponent: int) -> int:
    return value >> -exponent if exponent < 0 else fixed_point_ref.times_power_of_two(value, exponent)


def nearest_entry(value: int, table: NDArray[np.int16]) -> int:
    return int(table[256 + value // 128])


MUTANTS = [
    ("softmax_a8_a16", "an exponential of 15 bits", {"exp_on_negative_ref": coarse_exp}),
    ("softmax_a8_a16", "a reciprocal of 15 bits", {"one_over_one_plus": coarse_reciprocal}),
    ("softmax_a8", "truncated shifts", {"times_power_of_two": truncated}),
    ("log_softmax_a8", "truncated shifts", {"times_power_of_two": truncated}),
    ("softmax_a16", "no interpolation", {"interpolated_ref": nearest_entry}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "what", "changes"), MUTANTS, ids=[f"{m[0]}: {m[1]}" for m in MUTANTS])
def test_the_comparison_catches(name: str, what: str, changes: dict[str, Any]) -> None:
    del what
    assert is_caught(mutant(name, **changes), BY_NAME[name], draw_of(BY_NAME[name], softmax_case))
    unbroken = mutant(name)
    for seed in range(5):
        check_equals_reference(
            BY_NAME[name], unbroken, draw_of(BY_NAME[name], softmax_case)(np.random.default_rng(seed))
        )
