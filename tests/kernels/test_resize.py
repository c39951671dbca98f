"""Laws of bilinear resizing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import any_profile
from fxpgrad.conformance.cases.pooling import resize_case
from fxpgrad_kernels.resize import resize_ref
from fxpgrad_kernels.resize.resize import SPECS
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught, reference_of

BY_NAME = {spec.name: spec for spec in SPECS}
MODES = [(0, 0), (1, 0), (0, 1)]
every_kernel = pytest.mark.parametrize("name", BY_NAME)


@every_kernel
@given(rng=generators)
def test_resize_bilinear_equals_its_reference(name: str, rng: np.random.Generator) -> None:
    check_equals_reference(
        BY_NAME[name], by_kernel(BY_NAME[name]), resize_case(BY_NAME[name], rng, any_profile(rng))
    )


@every_kernel
@given(rng=generators)
def test_resizing_to_the_same_size_copies(name: str, rng: np.random.Generator) -> None:
    case = resize_case(BY_NAME[name], rng, any_profile(rng))
    case |= {"output_size": case["input"].shape[1:3], "output_shape": case["input"].shape}
    np.testing.assert_array_equal(by_kernel(BY_NAME[name])(case), case["input"])


@every_kernel
@given(rng=generators)
def test_resized_values_stay_between_the_least_and_the_greatest(name: str, rng: np.random.Generator) -> None:
    case = resize_case(BY_NAME[name], rng, any_profile(rng))
    output = by_kernel(BY_NAME[name])(case)
    assert output.min() >= case["input"].min()
    assert output.max() <= case["input"].max()


@every_kernel
@given(rng=generators)
def test_height_and_width_are_alike(name: str, rng: np.random.Generator) -> None:
    case = resize_case(BY_NAME[name], rng, any_profile(rng))
    turned = {**case, "input": np.ascontiguousarray(case["input"].swapaxes(1, 2))}
    turned |= {"output_size": case["output_size"][::-1]}
    turned["output_shape"] = (len(case["input"]), *turned["output_size"], case["input"].shape[3])
    run = by_kernel(BY_NAME[name])
    np.testing.assert_array_equal(run(turned).swapaxes(1, 2), run(case))


def test_doubling_a_step_in_each_mode() -> None:
    case = {"input": np.array([0, 100], np.int8).reshape(1, 1, 2, 1), "ties": 3, "output_size": (1, 4)}
    expected = {(0, 0): [0, 50, 100, 100], (1, 0): [0, 33, 67, 100], (0, 1): [0, 25, 75, 100]}
    for (align, half), row in expected.items():
        modes = {"align_corners": align, "half_pixel_centers": half, "output_shape": (1, 1, 4, 1)}
        assert by_kernel(BY_NAME["resize_bilinear_a8"])({**case, **modes}).ravel().tolist() == row


def exact_places(extent: int, count: int, align: int, half: int) -> list[tuple[int, int, int]]:
    """Rounds each place by itself instead of the step."""
    whole, steps = (extent - 1, count - 1) if align and count > 1 else (extent, count)
    places = []
    for i in range(count):
        place = round(1024 * ((i + 0.5) * whole / steps - 0.5 if half else i * whole / steps))
        first = min(max(place // 1024, 0), extent - 1)
        places.append((first, min((place + 1023) // 1024, extent - 1), place - 1024 * first))
    return places


def no_modes(extent: int, count: int, align: int, half: int) -> list[tuple[int, int, int]]:
    del align, half
    return _PLACES(extent, count, 0, 0)


_PLACES = resize_ref._places


def mutant(places: Any) -> Any:
    def run(case: Case) -> NDArray[Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resize_ref, "_places", places)
            return reference_of(BY_NAME["resize_bilinear_a8"], case)

    return run


@pytest.mark.parametrize("places", [exact_places, no_modes])
def test_the_comparison_catches_other_places(places: Any) -> None:
    spec = BY_NAME["resize_bilinear_a8"]

    def compare(case: Case) -> NDArray[Any]:
        return by_kernel(spec)(case)

    different = 0
    for seed in range(60):
        case = draw_of(BY_NAME["resize_bilinear_a8"], resize_case)(np.random.default_rng(seed))
        different += int((mutant(places)(case) != compare(case)).any())
    assert different > 0


def ties_up(case: Case) -> NDArray[Any]:
    return reference_of(BY_NAME["resize_bilinear_a8"], {**case, "ties": 2})


def test_the_comparison_catches_other_ties() -> None:
    def draw(rng: np.random.Generator) -> Case:
        return {**resize_case(BY_NAME["resize_bilinear_a8"], rng, any_profile(rng)), "ties": 3}

    assert is_caught(ties_up, BY_NAME["resize_bilinear_a8"], draw)
