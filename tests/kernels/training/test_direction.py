"""Laws of the parts of a direction: each kernel equals its definition, whole, in parts and in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.weights import LIMITS, perturb_case, stream, weights
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.training.direction import BLOCK
from fxpgrad_kernels.training.direction_ref import (
    WEIGHT_ONE,
    add_direction_ref,
    fill_direction_ref,
    guide_direction_ref,
    mask_direction_ref,
    thin_direction_ref,
)
from fxpgrad_kernels.training.perturb_ref import perturb_along_ref, perturb_split_ref
from tests.kernels.drawn import generators

LEAST = 576 + 384


def noise(size=LEAST):
    return np.random.default_rng(0).integers(-128, 128, size).astype(np.int8)


def some_z(rng, count):
    return rng.integers(-127, 128, count).astype(np.int8)


def length(rng):
    return int(rng.choice([1, 7, 63, 64, 65, 200, 500]))


def first(rng):
    return int(rng.choice([0, 8, 64, 1000, 2**33]))


def filled(z, first_index, case, distribution, block):
    kernel_named("fill_direction").function(
        direction_table(distribution),
        block,
        z,
        case["seed"],
        case["step"],
        case["direction"],
        case["tensor"],
        first_index,
        distribution,
    )
    return z


@given(rng=generators)
def test_fill_equals_definition_and_parts_are_the_whole(rng):
    case, distribution, start = perturb_case(rng, "int8"), int(rng.integers(3)), first(rng)
    z = filled(noise(length(rng)), start, case, distribution, noise())
    where = (case["seed"], case["step"], case["direction"], case["tensor"])
    wanted = fill_direction_ref(
        direction_table(distribution), *where, start, distribution, output_size=z.size
    )
    np.testing.assert_array_equal(z, wanted)
    cut = z.size // 2 & -8
    parts = [
        filled(noise(size), start + at, case, distribution, noise(BLOCK))
        for at, size in ((0, cut), (cut, z.size - cut))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), z)


@given(rng=generators)
def test_guided_direction_equals_definition_also_in_place(rng):
    names, distribution, start = stream(rng), int(rng.integers(3)), first(rng)
    names["step"] = int(rng.choice([0, 1, 2, 77]))
    z = some_z(rng, length(rng) % 150 + 1)
    before = rng.integers(-WEIGHT_ONE, WEIGHT_ONE + 1, (int(rng.integers(1, 4)), int(rng.integers(1, 3))))
    before = np.where(rng.random(before.shape) < 0.3, 0, before).astype(np.int32)
    own = int(rng.integers(0, WEIGHT_ONE + 1))
    table = direction_table(distribution)
    numbers = (names["seed"], names["step"], names["tensor"], start, own, distribution)
    wanted = guide_direction_ref(z, before, table, *numbers)
    apart = noise(z.size)
    kernel_named("guide_direction").function(z, before, table, noise(), apart, *numbers)
    np.testing.assert_array_equal(apart, wanted)
    kernel_named("guide_direction").function(z, before, table, noise(BLOCK), z, *numbers)
    np.testing.assert_array_equal(z, wanted)


def test_a_guided_direction_without_history_is_the_direction():
    z = some_z(np.random.default_rng(3), 100)
    none, table = np.zeros((4, 3), np.int32), direction_table(0)
    kernel_named("guide_direction").function(z, none, table, noise(), out := noise(100), 1, 9, 2, 0, 4096, 0)
    np.testing.assert_array_equal(out, z)


@given(rng=generators)
def test_thinned_direction_equals_definition_also_in_place(rng):
    names, start, z = stream(rng), first(rng), some_z(rng, length(rng))
    density = int(rng.choice([0, 1, 6554, 2**15, 2**16 - 1, 2**16]))
    numbers = (density, names["seed"], names["step"], int(rng.integers(9)), names["tensor"], start)
    wanted = thin_direction_ref(z, *numbers)
    kernel_named("thin_direction").function(z, noise(), out := noise(z.size), *numbers)
    np.testing.assert_array_equal(out, wanted)
    kernel_named("thin_direction").function(z, noise(BLOCK), z, *numbers)
    np.testing.assert_array_equal(z, wanted)


def test_thinning_keeps_its_share_and_all_or_nothing_at_the_ends():
    z = np.ones(20_000, np.int8)
    for density in (0, 6554, 2**16):
        kernel_named("thin_direction").function(z, noise(BLOCK), out := noise(z.size), density, 5, 1, 2, 3, 0)
        assert abs(out.mean() - density / 2**16) < 0.01
    assert out.all()


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(rng=generators)
def test_mask_equals_definition(dtype, rng):
    channels, per_channel = int(rng.integers(1, 6)), int(rng.integers(1, 40))
    values = weights(rng, channels * per_channel, dtype)
    z, most = some_z(rng, values.size), LIMITS[dtype][1]
    low = rng.choice([0, 1, most // 2, most, most + 1], channels).astype(np.int32)
    high = rng.choice([0, 1, most // 2, most, 2**31 - 1], channels).astype(np.int32)
    wanted = mask_direction_ref(z, values, low, high)
    kernel_named(f"mask_direction_w{dtype[3:]}").function(z, values, low, high, out := noise(z.size))
    np.testing.assert_array_equal(out, wanted)


@given(rng=generators)
def test_directions_add_up(rng):
    z, scalars = some_z(rng, length(rng)), rng.integers(-300, 301, 5).astype(np.int32)
    gradient = rng.integers(-(2**30), 2**30, z.size)
    for index in range(5):
        wanted = add_direction_ref(z, scalars, gradient, index)
        kernel_named("add_direction").function(z, scalars, gradient, gradient, index)
        np.testing.assert_array_equal(gradient, wanted)


@pytest.mark.parametrize("dtype", LIMITS)
@given(rng=generators)
def test_perturb_along_equals_definition(dtype, rng):
    case = perturb_case(rng, dtype)
    z = some_z(rng, case["weights"].size)
    suffix = {"int8": "w8", "int16": "w16", "int32": "b32"}[dtype]
    output = np.full_like(case["weights"], 77)
    kernel = kernel_named(f"perturb_along_{suffix}").function
    count = kernel(case["weights"], case["epsilon"], z, output, case["sign"])
    np.testing.assert_array_equal(
        output, perturb_along_ref(case["weights"], case["epsilon"], z, case["sign"])
    )
    sizes = np.repeat(case["epsilon"].astype(np.int64), z.size // case["epsilon"].size)
    magnitude = (np.abs(sizes * z) + 16) // 32
    exact = case["weights"].astype(np.int64) + case["sign"] * np.sign(z.astype(np.int64)) * magnitude
    assert count == np.count_nonzero(exact != output)


@given(rng=generators)
def test_split_perturbation_moves_the_upper_byte(rng):
    case = perturb_case(rng, "int16")
    z, epsilon = some_z(rng, case["weights"].size), np.minimum(case["epsilon"], 40)
    output = noise(z.size)
    count = kernel_named("perturb_split").function(case["weights"], epsilon, z, output, case["sign"])
    np.testing.assert_array_equal(output, perturb_split_ref(case["weights"], epsilon, z, case["sign"]))
    assert (output >= -127).all()
    assert 0 <= count <= z.size
    rounded = np.rint(case["weights"].astype(np.float64) / 256)
    kernel_named("perturb_split").function(case["weights"], epsilon, z, output, 0)
    assert np.abs(output - rounded).max() <= 1  # ties, and -32767 / 256


@pytest.mark.parametrize("distribution", [Distribution.GAUSSIAN, Distribution.RADEMACHER])
def test_the_parts_put_together_are_the_plain_perturbation(distribution):
    """A direction that is nothing but drawn perturbs as `perturb` does in one go."""
    rng = np.random.default_rng(distribution)
    values, epsilon = weights(rng, 5 * 300, "int16"), np.array([1, 16, 300, 9000, 2**24], np.int32)
    table, expected = direction_table(distribution), np.zeros_like(values)
    numbers = (7, 3, 1, 4)
    kernel_named("perturb_w16").function(
        values, epsilon, table, noise(BLOCK), expected, *numbers, -1, 0, int(distribution), 0
    )
    z, found = noise(values.size), np.zeros_like(values)
    kernel_named("fill_direction").function(table, noise(BLOCK), z, *numbers, 0, int(distribution))
    kernel_named("perturb_along_w16").function(values, epsilon, z, found, -1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", ["w8", "w16"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_saturated_weight_of_a_long_channel_is_counted(suffix, channels):
    """More of them than 16 bits can count, all in one channel."""
    count, dtype = 80000, {"w8": np.int8, "w16": np.int16}[suffix]
    limit = np.iinfo(dtype).max
    values, z = np.full(count, limit, dtype), np.full(count, 32, np.int8)
    output = np.zeros(count, dtype)
    kernel = kernel_named(f"perturb_along_{suffix}").function
    assert kernel(values, np.full(channels, 8191, np.int32), z, output, 1) == count
    assert (output == limit).all()
