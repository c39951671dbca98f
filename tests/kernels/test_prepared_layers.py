"""Laws of prepared dense layers: parts make the whole, panels that end differently leave each other alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fxpgrad.conformance.cases.numbers import integers
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.fully_connected.fully_connected import SPECS
from fxpgrad_kernels.gemm import plain
from fxpgrad_kernels.gemm.ends import COLUMNS
from fxpgrad_kernels.gemm.panels import multiply_panels
from fxpgrad_kernels.jit import kernel
from tests.kernels.drawn import every_profile
from tests.kernels.spec_call import by_kernel, check_equals_reference

BY_NAME = {spec.name: spec for spec in SPECS}
DTYPES = {
    "fully_connected_a8w8": "int8",
    "fully_connected_a8w16": "int16",
    "fully_connected_a8w16_split": "int16",
}
every_name = pytest.mark.parametrize("name", DTYPES)


@kernel
def panels_alone(
    vectors, rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first, count,
    width, mode, sums, output, step, zero, low, high,
):  # fmt: skip
    """Call `multiply_panels` or its twin."""
    if vectors:
        return multiply_panels(
            rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first, count,
            width, mode, sums, output, step, zero, low, high,
        )  # fmt: skip
    return plain.multiply_panels(
        rows, row_offset, num_rows, segment_offset, num_segments, pairs, panels, channels, first, count,
        width, mode, sums, output, step, zero, low, high,
    )  # fmt: skip


@every_profile
@pytest.mark.parametrize("num_rows", [1, 2, 7])
@pytest.mark.parametrize("weight_bits", [8, 16])
def test_the_loop_over_panels_equals_its_plain_twin(
    weight_bits: int, num_rows: int, profile: Profile
) -> None:
    spec = BY_NAME[f"fully_connected_a8w{weight_bits}"]
    rng = np.random.default_rng(num_rows)
    units, length = 9 * COLUMNS + 5, 21
    constants = {
        "weights": integers(rng, (units, length), f"int{weight_bits}"),
        "bias": rng.integers(-1000, 1000, units).astype(np.int32),
        "multiplier": rng.integers(2**30, 2**31, units).astype(np.int32),
        "shift": np.full(units, -7, np.int32),
    }
    constants["shift"][5 * COLUMNS + 2] = min(2, profile.limits(profile.rounding).shift_high)
    parameters = {a.name: max(a.low, 0) for a in spec.of_role("parameter")}
    prepared = spec.prepare(constants, parameters | {"rounding": int(profile.rounding)})
    rows = integers(rng, (num_rows * (length + 1),), "int8").astype(np.int16)
    row_offset, segment_offset = np.arange(num_rows) * (length + 1), np.zeros(1, np.int64)
    found = []
    for vectors in (True, False):
        output = np.zeros(num_rows * units, np.int8)
        sums = np.zeros(1000, np.int32)
        stops = [0]
        while stops[-1] < 10:
            stops.append(
                panels_alone(
                    vectors, rows, row_offset, num_rows, segment_offset, 1, (length + 1) // 2,
                    prepared["panels"], prepared["channels"], stops[-1], 10, units, 32, sums, output, units,
                    3, -100, 101,
                )
            )  # fmt: skip
            stops[-1] += stops[-1] < 10  # a panel that ends otherwise is somebody else's
        found.append((stops, output.tobytes()))
    assert found[0] == found[1]
    assert found[0][0][-1] == 10


@every_profile
@every_name
@pytest.mark.parametrize("slow", [-1, 0, 1, 3, 4, 8])
def test_a_panel_that_ends_otherwise_interrupts_no_other(slow: int, name: str, profile: Profile) -> None:
    """A shift to the left of one channel sends its panel another way than its neighbours; -1: none."""
    rng = np.random.default_rng(slow + 1)
    units = 9 * 16 - 5
    shift = np.full(units, -7, np.int32)
    if slow >= 0:
        shift[16 * slow + 3] = min(2, profile.limits(profile.rounding).shift_high)
    case = {
        "input": integers(rng, (1, 21), "int8"),
        "weights": integers(rng, (units, 21), DTYPES[name]),
        "bias": rng.integers(-1000, 1000, units).astype(np.int32),
        "multiplier": rng.integers(2**30, 2**31, units).astype(np.int32),
        "shift": shift,
        "input_zero_point": 5,
        "output_zero_point": -3,
        "clamp_low": -120,
        "clamp_high": 119,
        "rounding": int(profile.rounding),
        "accumulator_bits": 32,
        "output_shape": (1, units),
    }
    check_equals_reference(BY_NAME[name], by_kernel(BY_NAME[name]), case)


@pytest.mark.parametrize("name", [spec.name for spec in SPECS if spec.preparation and spec.preparation.part])
def test_parts_of_a_layer_are_prepared_as_the_whole(name: str) -> None:
    spec = next(spec for spec in SPECS if spec.name == name)
    assert spec.preparation is not None
    rng = np.random.default_rng(5)
    units, length = 5 * spec.preparation.part + 3, 37
    constants = {
        "weights": rng.integers(-127, 128, (units, length)).astype(spec.of_role("constant")[0].dtype),
        "bias": rng.integers(-1000, 1000, units).astype(np.int32),
        "multiplier": rng.integers(2**30, 2**31, units).astype(np.int32),
        "shift": rng.integers(-9, 1, units).astype(np.int32),
    }
    constants = {a.name: constants[a.name] for a in spec.of_role("constant")}
    parameters = {a.name: max(a.low, 0) for a in spec.of_role("parameter")}
    whole = spec.prepare(constants, parameters)
    cuts = [0, spec.preparation.part, 3 * spec.preparation.part, units]
    parts = [
        spec.prepare({n: array[start:end] for n, array in constants.items()}, parameters)
        for start, end in itertools.pairwise(cuts)
    ]
    for key, array in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), array)
