"""Laws of the operators that only move values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.movement import block_case, constant_case
from fxpgrad.conformance.cases.numbers import integers
from fxpgrad_kernels.shape.shape import SPECS
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

BY_NAME = {spec.name: spec for spec in SPECS}
BLOCK, CONSTANT = BY_NAME["concatenate_block_a8"], BY_NAME["constant_a8"]


def every_width(operator: str) -> pytest.MarkDecorator:
    specs = [BY_NAME[f"{operator}_a{bits}"] for bits in (8, 16, 32)]
    return pytest.mark.parametrize("spec", specs, ids=lambda spec: spec.name)


def block_by_definition(case: Case, spec: KernelSpec = BLOCK) -> NDArray[np.signedinteger]:
    result: NDArray[np.signedinteger] = spec.reference(
        case["input"], case["input_row"], case["output_row"], case["column"], before=case["before"]
    )
    return result


def check_block(spec: KernelSpec, implementation: Any, case: Case) -> None:
    np.testing.assert_array_equal(implementation(case), block_by_definition(case, spec))


def block_by_kernel(spec: KernelSpec) -> Any:
    def run(case: Case) -> NDArray[np.signedinteger]:
        output: NDArray[np.signedinteger] = case["before"].copy()
        spec.function(case["input"], output, case["input_row"], case["output_row"], case["column"])
        return output

    return run


@every_width("concatenate_block")
@given(rng=generators)
def test_concatenate_block_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    check_block(spec, block_by_kernel(spec), draw_of(spec, block_case)(rng))


def clears_the_other_columns(case: Case) -> NDArray[np.signedinteger]:
    return block_by_definition({**case, "before": np.zeros_like(case["before"])})


def starts_at_the_left(case: Case) -> NDArray[np.signedinteger]:
    return block_by_definition({**case, "column": 0})


def writes_one_stretch(case: Case) -> NDArray[np.signedinteger]:
    output: NDArray[np.signedinteger] = case["before"].copy()
    output[case["column"] :][: case["input"].size] = case["input"]
    return output


@pytest.mark.parametrize("mutant", [clears_the_other_columns, starts_at_the_left, writes_one_stretch])
def test_the_block_comparison_catches(mutant: Any) -> None:
    def fails(seed: int) -> bool:
        try:
            check_block(BLOCK, mutant, draw_of(BLOCK, block_case)(np.random.default_rng(seed)))
        except (AssertionError, ValueError):
            return True
        return False

    assert any(fails(seed) for seed in range(50))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@given(rng=generators)
def test_concatenation_is_one_block_a_tensor(axis: int, rng: np.random.Generator) -> None:
    shape = [int(n) for n in rng.integers(1, 5, 4)]
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        shape[axis] = int(rng.integers(1, 5))
        parts.append(integers(rng, shape, "int8"))
    expected = np.concatenate(parts, axis=axis)
    output = integers(rng, (expected.size,), "int8")
    widths = [int(np.prod(part.shape[axis:])) for part in parts]
    column = 0
    for part, width in zip(parts, widths, strict=True):
        BLOCK.function(np.ascontiguousarray(part).reshape(-1), output, width, sum(widths), column)
        column += width
    np.testing.assert_array_equal(output.reshape(expected.shape), expected)


@every_width("reshape")
@given(rng=generators)
def test_reshape_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    x = integers(rng, (int(rng.integers(1, 60)),), spec.arguments[0].dtype)
    case = {"input": x, "output_shape": x.shape}
    check_equals_reference(spec, by_kernel(spec), case)
    np.testing.assert_array_equal(by_kernel(spec)(case), x)


@every_width("constant")
@given(rng=generators)
def test_constant_equals_its_reference(rng: np.random.Generator, spec: KernelSpec) -> None:
    case = draw_of(spec, constant_case)(rng)
    check_equals_reference(spec, by_kernel(spec), case)
    np.testing.assert_array_equal(by_kernel(spec)(case), np.tile(case["value"], case["samples"]))


def repeats_each_element(case: Case) -> NDArray[np.signedinteger]:
    return np.repeat(case["value"], case["samples"])


def repeats_the_last_sample_backwards(case: Case) -> NDArray[np.signedinteger]:
    tiled = np.tile(case["value"], case["samples"])
    tiled[-case["value"].size :] = case["value"][::-1]
    return tiled


@pytest.mark.parametrize("mutant", [repeats_each_element, repeats_the_last_sample_backwards])
def test_the_constant_comparison_catches(mutant: Any) -> None:
    assert is_caught(mutant, CONSTANT, draw_of(CONSTANT, constant_case))
