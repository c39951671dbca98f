"""What a target is given of a case, and what it must make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.signature import array_arguments
from fxpgrad.conformance.calls import Case, keywords, reference_outputs
from fxpgrad_kernels.spec import KernelSpec

Arrays = dict[str, NDArray[Any]]


def parameters_of(spec: KernelSpec, case: Case) -> dict[str, int]:
    """Return the integer parameters by name."""
    return {a.name: int(case[a.name]) for a in spec.of_role("parameter")}


def given_arrays(spec: KernelSpec, case: Case) -> Arrays:
    """Return the arrays that a kernel reads, C-contiguous, of the spec's types."""
    roles = ("input", "constant", "state")
    return {a.name: np.ascontiguousarray(case[a.name], a.dtype) for a in spec.arguments if a.role in roles}


def expected_of(spec: KernelSpec, case: Case) -> Arrays:
    """Return what the kernel must write, by name, of the spec's types.

    Raises
    ------
    OverflowError, ValueError, ArithmeticError, IndexError
        The case is not legal.
    """
    types = {argument.name: argument.dtype for argument in spec.arguments}
    return {
        name: np.asarray(values).astype(types[name]) for name, values in reference_outputs(spec, case).items()
    }


def native_arrays(spec: KernelSpec, case: Case, noise: int) -> Arrays:
    """Return the arrays of a C port's call in its order; outputs start as noise, drawn from seed `noise`."""
    rng = np.random.default_rng(noise)
    given, before = given_arrays(spec, case), keywords(spec, case).get("before")
    arrays = {}
    for argument in array_arguments(spec):
        if argument.role != "output":
            arrays[argument.name] = given[argument.name]
        elif before is not None:
            arrays[argument.name] = np.ascontiguousarray(before, argument.dtype)
        else:
            shape = tuple(case["shapes"][argument.name])
            arrays[argument.name] = rng.integers(-99, 99, shape).astype(argument.dtype)
    return arrays
