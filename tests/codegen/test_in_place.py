"""Ports that a memory plan lets write over an input give the definition's result when they do."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.codegen.host_compiler import build_shared
from fxpgrad.codegen.in_place import in_place_kernels
from fxpgrad.codegen.native import NativeKernels
from fxpgrad.codegen.ports import port_files, sources_of
from fxpgrad.conformance.calls import reference_outputs
from fxpgrad.conformance.cases import legal_case
from fxpgrad_kernels.registry import kernel_named
from tests.codegen.compilers import COMPILERS, needed
from tests.kernels.c_port_call import port_arrays

CASES = 40
NAMES = sorted(in_place_kernels())


@pytest.fixture(scope="module", params=COMPILERS)
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NativeKernels:
    needed(request.param)
    files = [path for path in sources_of(NAMES) if path.suffix == ".c"]
    path = tmp_path_factory.mktemp("in_place") / "ports.so"
    return NativeKernels(build_shared(path, files, compiler=request.param, flags=("-O3",)))


def test_every_kernel_has_a_port_and_one_output():
    for name in NAMES:
        assert name in port_files()
        assert len(kernel_named(name).of_role("output")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_output_over_an_input_is_the_same_output(name: str, native: NativeKernels) -> None:
    spec = kernel_named(name)
    (output,) = spec.of_role("output")
    inputs = [argument for argument in spec.of_role("input") if argument.dtype == output.dtype]
    assert inputs
    for seed in range(CASES):
        case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
        (expected,) = reference_outputs(spec, case).values()
        for argument in inputs:
            arrays = port_arrays(spec, case, lambda _name, values: np.array(values))
            assert arrays[argument.name].shape == arrays[output.name].shape
            arrays[output.name] = arrays[argument.name]
            native.call(spec, {**case, **arrays})
            np.testing.assert_array_equal(arrays[output.name], expected)


@pytest.mark.parametrize("name", [name for name in NAMES if len(kernel_named(name).of_role("input")) == 2])
def test_output_over_two_inputs_that_are_one(name: str, native: NativeKernels) -> None:
    spec = kernel_named(name)
    (output,) = spec.of_role("output")
    first, second = spec.of_role("input")
    if first.dtype != second.dtype:
        pytest.skip("its inputs have two types")
    for seed in range(CASES):
        case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
        case = {**case, second.name: case[first.name]}
        (expected,) = reference_outputs(spec, case).values()
        arrays = port_arrays(spec, case, lambda _name, values: np.array(values))
        arrays[output.name] = arrays[second.name] = arrays[first.name]
        native.call(spec, {**case, **arrays})
        np.testing.assert_array_equal(arrays[output.name], expected)
