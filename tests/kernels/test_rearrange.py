"""Laws of the operators that move elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.movement import gather_case, strided_case
from fxpgrad_kernels.shape.rearrange import SPECS
from fxpgrad_kernels.shape.rearrange_ref import gather_ref, rearrange_ref
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS}
REARRANGE, GATHER = BY_NAME["rearrange_a8"], BY_NAME["gather_a8"]
every_rearrange = pytest.mark.parametrize("spec", SPECS[0::2], ids=lambda spec: spec.name)
every_gather = pytest.mark.parametrize("spec", SPECS[1::2], ids=lambda spec: spec.name)


@every_rearrange
@given(rng=generators)
def test_rearrange_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    check_equals_reference(spec, by_kernel(spec), strided_case(spec, rng))


def of_shape(
    x: NDArray[Any], shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, fill: int = 0
) -> dict[str, Any]:
    """Return the case that reads samples `x[k]` as a strided view of `shape` and writes it in order."""
    size = int(np.prod(shape))
    steps = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    return {
        "input": x.reshape(-1),
        "extents": np.array(shape, np.int32),
        "input_strides": np.array(strides, np.int32),
        "output_strides": np.array(steps, np.int32),
        "input_elements": x[0].size,
        "output_elements": size,
        "input_offset": offset,
        "output_offset": 0,
        "fill": fill,
        "output_shape": (len(x) * size,),
    }


def test_rearrange_transposes_reverses_and_repeats() -> None:
    x = np.arange(2 * 3 * 4, dtype=np.int8).reshape(2, 3, 4)
    run = by_kernel(REARRANGE)
    np.testing.assert_array_equal(run(of_shape(x, (4, 3), (1, 4))).reshape(2, 4, 3), x.swapaxes(1, 2))
    np.testing.assert_array_equal(run(of_shape(x, (12,), (-1,), 11)).reshape(2, 3, 4), x[:, ::-1, ::-1])
    np.testing.assert_array_equal(run(of_shape(x, (3, 2), (4, 2), 1)).reshape(2, 3, 2), x[:, :, 1::2])
    np.testing.assert_array_equal(
        run(of_shape(x[:, :, :1], (3, 5), (1, 0))).reshape(2, 3, 5)[:, :, 4], x[:, :, 0]
    )


@given(rng=generators)
def test_rearranging_there_and_back_gives_the_covered_elements(rng: np.random.Generator) -> None:
    case = strided_case(REARRANGE, rng, invertible=True)
    back = {**case, "input": by_kernel(REARRANGE)(case), "output_shape": case["input"].shape}
    for what in ("strides", "elements", "offset"):
        back[f"input_{what}"], back[f"output_{what}"] = case[f"output_{what}"], case[f"input_{what}"]
    axes = zip(case["extents"], case["input_strides"], strict=True)
    covered = case["input_offset"] + sum(np.ix_(*[np.arange(extent) * step for extent, step in axes]))
    expected = np.full((case["input"].size // case["input_elements"], case["input_elements"]), case["fill"])
    expected[:, covered] = case["input"].reshape(expected.shape)[:, covered]
    np.testing.assert_array_equal(by_kernel(REARRANGE)(back), expected.reshape(-1))


@given(rng=generators)
def test_samples_do_not_touch(rng: np.random.Generator) -> None:
    case = strided_case(REARRANGE, rng)
    x = case["input"].reshape(-1, case["input_elements"])
    together = by_kernel(REARRANGE)(case).reshape(len(x), -1)
    for sample, expected in zip(x, together, strict=True):
        alone = {**case, "input": sample, "output_shape": (case["output_elements"],)}
        np.testing.assert_array_equal(by_kernel(REARRANGE)(alone), expected)


def fills_with_zero(case: Case) -> NDArray[np.int8]:
    return _variant(case, fill=0)


def forgets_the_sign(case: Case) -> NDArray[np.int8]:
    return _variant(case, input_strides=abs(case["input_strides"]))


def forgets_the_input_offset(case: Case) -> NDArray[np.int8]:
    return _variant(case, input_offset=0)


def forgets_the_output_offset(case: Case) -> NDArray[np.int8]:
    return _variant(case, output_offset=0)


def takes_axes_backwards(case: Case) -> NDArray[np.int8]:
    return _variant(case, input_strides=case["input_strides"][::-1])


def stops_one_short(case: Case) -> NDArray[np.int8]:
    return _variant(case, extents=np.maximum(case["extents"] - (np.arange(case["extents"].size) == 0), 1))


def _variant(case: Case, **changes: Any) -> NDArray[np.int8]:
    """Return the definition of a changed case; where the change leaves the sample, a wrong answer."""
    names = [argument.name for argument in REARRANGE.arguments if argument.role != "output"]
    try:
        return rearrange_ref(*[{**case, **changes}[name] for name in names])
    except IndexError:
        return np.zeros(case["output_shape"], np.int8) + np.int8(1)


@pytest.mark.parametrize(
    "mutant",
    [
        fills_with_zero,
        forgets_the_sign,
        forgets_the_input_offset,
        forgets_the_output_offset,
        takes_axes_backwards,
        stops_one_short,
    ],
)
def test_the_rearrange_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, REARRANGE, lambda rng: strided_case(REARRANGE, rng))


@pytest.mark.parametrize(("name", "value"), [("input_offset", 1), ("input_offset", -1), ("output_offset", 1)])
def test_the_definition_refuses_an_index_outside(name: str, value: int) -> None:
    case = of_shape(np.zeros((1, 6), np.int8), (6,), (1,))
    names = [argument.name for argument in REARRANGE.arguments if argument.role != "output"]
    with pytest.raises(IndexError, match="leaves its sample"):
        rearrange_ref(*[{**case, name: value}[key] for key in names])


@every_gather
@given(rng=generators)
def test_gather_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    check_equals_reference(spec, by_kernel(spec), draw_of(spec, gather_case)(rng))


@given(rng=generators)
def test_gathering_twice_is_gathering_by_the_composed_list(rng: np.random.Generator) -> None:
    case = draw_of(GATHER, gather_case)(rng)
    count = case["indices"].size
    again = rng.integers(0, count, int(rng.integers(1, 6))).astype(np.int32)
    rows = case["input"].size // (case["extent"] * case["inner"])
    shape = (rows * again.size * case["inner"],)
    run = by_kernel(GATHER)
    twice = run({**case, "input": run(case), "indices": again, "extent": count, "output_shape": shape})
    np.testing.assert_array_equal(
        run({**case, "indices": case["indices"][again], "output_shape": shape}), twice
    )


def gathers_the_neighbour(case: Case) -> NDArray[np.int8]:
    indices = (case["indices"] + 1) % case["extent"]
    return gather_ref(case["input"], indices, case["extent"], case["inner"])


def gathers_another_axis(case: Case) -> NDArray[np.int8]:
    """Take the entries of the inner axis, where that is possible."""
    x = case["input"].reshape(-1, case["extent"], case["inner"])
    return x.swapaxes(1, 2).copy().reshape(x.shape)[:, case["indices"]].reshape(-1)


@pytest.mark.parametrize("mutant", [gathers_the_neighbour, gathers_another_axis])
def test_the_gather_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, GATHER, draw_of(GATHER, gather_case))
