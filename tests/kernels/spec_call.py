"""Calls a kernel the way the executor does: by its spec, on dirty workspaces and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.spec import KernelSpec

Case = Mapping[str, Any]
Implementation = Callable[[Case], NDArray[np.int8]]


def by_kernel(spec: KernelSpec) -> Implementation:
    """Return the kernel as a function of a case.

    A case holds every input, constant and parameter by name, and the output's shape as
    "output_shape". Workspaces and output start as noise, so that a value which is read before it is
    written, or never written, shows up; inputs and constants must survive the call. The result of a
    kernel with a state is (output, new state), as its reference returns it.
    """

    def run(case: Case) -> Any:
        noise = np.random.default_rng(0)
        sizes: Mapping[str, int] = {}
        if spec.workspace is not None:
            arrays = {a.name: case[a.name].shape for a in spec.of_role("input") + spec.of_role("constant")}
            arrays |= {a.name: case["output_shape"] for a in spec.of_role("output")}
            sizes = spec.workspace(arrays, {a.name: case[a.name] for a in spec.of_role("parameter")})
        constants = {a.name: np.ascontiguousarray(case[a.name]) for a in spec.of_role("constant")}
        parameters = {a.name: int(case[a.name]) for a in spec.of_role("parameter")}
        prepared = spec.prepare(constants, parameters)
        if spec.preparation is not None:
            for array in prepared.values():
                array[:] = noise.integers(-99, 100, array.size)
            spec.prepare_into(prepared, constants, parameters)
        values: list[Any] = []
        for argument in spec.arguments:
            if argument.role == "workspace":
                values.append(noise.integers(-99, 100, sizes[argument.name]).astype(argument.dtype))
            elif argument.role == "prepared":
                values.append(prepared[argument.name])
            elif argument.role == "output":
                output = noise.integers(-128, 128, case["output_shape"]).astype(argument.dtype)
                values.append(output)
            elif argument.role == "parameter":
                assert argument.low <= case[argument.name] <= argument.high, argument.name
                values.append(int(case[argument.name]))
            else:
                assert case[argument.name].dtype == argument.dtype, argument.name
                values.append(np.ascontiguousarray(case[argument.name]).copy())
        spec.function(*values)
        for argument, value in zip(spec.arguments, values, strict=True):
            if argument.role in ("input", "constant"):
                np.testing.assert_array_equal(value, case[argument.name], f"{argument.name} was written")
        state = [v for a, v in zip(spec.arguments, values, strict=True) if a.role == "state"]
        return (output, *state) if state else output

    return run


def reference_of(spec: KernelSpec, case: Case) -> NDArray[np.int8]:
    """Return what the definition says; "output_size" and "samples" are passed where the case holds them."""
    names = [a.name for a in spec.arguments if a.role in ("input", "constant", "state", "parameter")]
    extra = {name: case[name] for name in ("output_size", "samples") if name in case}
    result: NDArray[np.int8] = spec.reference(*[case[name] for name in names], **extra)
    return result


def check_equals_reference(spec: KernelSpec, implementation: Implementation, case: Case) -> None:
    """Compare an implementation with the definition, element by element."""
    expected = reference_of(spec, case)
    actual = implementation(case)
    told = str({k: v for k, v in case.items() if np.ndim(v) == 0})
    pairs = zip(actual, expected, strict=True) if isinstance(expected, tuple) else [(actual, expected)]
    for got, wanted in pairs:
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted, told)


def is_caught(mutant: Implementation, spec: KernelSpec, draw: Callable[[np.random.Generator], Case]) -> bool:
    """Whether the comparison fails for `mutant` on one of the first 300 cases."""
    for seed in range(300):
        try:
            check_equals_reference(spec, mutant, draw(np.random.default_rng(seed)))
        except AssertionError:
            return True
    return False
