"""FLOAT32_EVEN against float32 arithmetic itself: NumPy multiplies and rounds, and every bit must agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad_kernels.arithmetic import float32_rounding
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from tests.kernels.arithmetic.corpus import Ints, kernel_implementation
from tests.kernels.callable_form import callable_form

round_to_24_bits = callable_form(float32_rounding.round_to_24_bits)

Floats = NDArray[np.float32]
COUNT = 1_000_000


def pair(scale: Floats) -> tuple[Ints, Ints]:
    """Return the exact (multiplier, shift) of float32 scales."""
    fraction, exponent = np.frexp(scale.astype(np.float64))
    return np.ldexp(fraction, 31).astype(np.int64), exponent.astype(np.int64)


def by_float32(x: Ints, scale: Floats) -> Ints:
    """Return the product of two float32 numbers, rounded to nearest even, saturated to int32."""
    rounded = np.rint(x.astype(np.float32) * scale).astype(np.float64)
    return np.clip(rounded, -(2.0**31), 2.0**31 - 1).astype(np.int64)


def of_every_length(rng: np.random.Generator, size: int) -> Ints:
    """Return accumulators of 1 to 32 bits, the ends of int32 and its powers of two among them."""
    top = np.int64(1) << rng.integers(0, 32, size)
    x = rng.integers(-top, top)
    x[:64] = np.concatenate([1 << np.arange(32), -(1 << np.arange(32))])
    return np.clip(x, -(2**31), 2**31 - 1)


def random_scales(rng: np.random.Generator, x: Ints) -> Floats:
    return np.exp2(rng.uniform(-32, 30, x.size)).astype(np.float32)


def usual_scales(rng: np.random.Generator, x: Ints) -> Floats:
    return (
        (rng.uniform(20, 300, x.size) / np.maximum(np.abs(x), 1)).clip(2.0**-32, 2.0**29).astype(np.float32)
    )


def powers_of_two(rng: np.random.Generator, x: Ints) -> Floats:
    return np.ldexp(np.float32(1), rng.integers(-32, 30, x.size))


def few_bits(rng: np.random.Generator, x: Ints) -> Floats:
    return np.ldexp(rng.integers(1, 64, x.size).astype(np.float32), rng.integers(-32, 24, x.size))


@pytest.mark.parametrize("scales", [random_scales, usual_scales, powers_of_two, few_bits])
def test_kernel_equals_float32_arithmetic(scales):
    rng = np.random.default_rng(20261123)
    x = of_every_length(rng, COUNT)
    scale = scales(rng, x)
    result = kernel_implementation(x, *pair(scale), Rounding.FLOAT32_EVEN)
    np.testing.assert_array_equal(result, by_float32(x, scale))


def test_kernel_equals_float32_arithmetic_on_ties_of_the_conversion():
    """Accumulators beyond 2**24 that lie half way between two float32 numbers."""
    unit = np.int64(1) << np.arange(1, 8)
    odd = (2**23 + np.arange(0, 40)) * 2 + 1
    x = np.concatenate([(odd[:, None] * unit // 2 + delta).ravel() for delta in (-1, 0, 1)])
    x = np.concatenate([x, -x])
    for scale in np.float32([1, 0.5, 2.0**-20, 0.3, 1 / 3, 2.0**-8 + 2.0**-31]):
        scales = np.full(x.size, scale, np.float32)
        result = kernel_implementation(x, *pair(scales), Rounding.FLOAT32_EVEN)
        np.testing.assert_array_equal(result, by_float32(x, scales))


def test_definition_equals_float32_arithmetic():
    rng = np.random.default_rng(7)
    x = of_every_length(rng, 20_000)
    for scales in (random_scales, usual_scales, powers_of_two, few_bits):
        scale = scales(rng, x)
        result = requantize_ref(x, *pair(scale), Rounding.FLOAT32_EVEN)
        np.testing.assert_array_equal(result, by_float32(x, scale))


@given(st.integers(0, 2**62 - 1))
def test_rounding_to_24_bits_equals_the_conversion_to_float32(value):
    exact = float(value)
    if int(exact) == value:  # a float64 between would round twice
        assert round_to_24_bits(value) == int(np.float32(exact))


def test_multiplier_beyond_float32_is_rounded_to_it_first():
    x = np.arange(-(2**24) - 50, -(2**24) + 50)
    for low in (0x01, 0x3F, 0x40, 0x41, 0x7F, 0xC0):
        m = np.full(x.size, 2**30 + 2**20 + low)
        kept = np.full(x.size, round((2**30 + 2**20 + low) / 128) * 128)
        s = np.full(x.size, 5)
        np.testing.assert_array_equal(
            kernel_implementation(x, m, s, Rounding.FLOAT32_EVEN),
            kernel_implementation(x, kept, s, Rounding.FLOAT32_EVEN),
        )


def rounds_the_exact_product(x: Ints, scale: Floats) -> Ints:
    return np.rint(x.astype(np.float64) * scale.astype(np.float64)).astype(np.int64)


def ties_away(x: Ints, scale: Floats) -> Ints:
    real = (x.astype(np.float32) * scale).astype(np.float64)
    return (np.sign(real) * np.floor(np.abs(real) + 0.5)).astype(np.int64)


def cuts_the_accumulator(x: Ints, scale: Floats) -> Ints:
    kept = np.array([int(v) if abs(v) < 2**24 else int(v) & ~0xFF for v in x.tolist()])
    return np.rint(kept.astype(np.float32) * scale).astype(np.int64)


@pytest.mark.parametrize("mutant", [rounds_the_exact_product, ties_away, cuts_the_accumulator])
def test_comparison_catches_mutant(mutant):
    rng = np.random.default_rng(3)
    x = np.clip(of_every_length(rng, 50_000), -(2**30), 2**30)
    caught = False
    for scales in (usual_scales, powers_of_two, few_bits):
        scale = np.minimum(scales(rng, x), np.float32(2))
        caught |= bool((mutant(x, scale) != by_float32(x, scale)).any())
    assert caught
