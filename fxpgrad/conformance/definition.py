"""What the definition says of a case, and what a target is given of it.

A case holds every input, constant, state and parameter of a kernel by name, what its reference takes by
keyword beside them ("output_size", "samples", "before"), and the shapes of the outputs under "shapes".
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.signature import array_arguments
from fxpgrad_kernels.spec import KernelSpec

Case = Mapping[str, Any]
Arrays = dict[str, NDArray[Any]]


def keywords_of(spec: KernelSpec, case: Case) -> dict[str, Any]:
    """Return what the reference takes by keyword only: what a kernel reads off its output."""
    accepted = inspect.signature(spec.reference).parameters.values()
    return {p.name: case[p.name] for p in accepted if p.kind is p.KEYWORD_ONLY and p.name in case}


def parameters_of(spec: KernelSpec, case: Case) -> dict[str, int]:
    """Return the integer parameters by name."""
    return {a.name: int(case[a.name]) for a in spec.of_role("parameter")}


def given_arrays(spec: KernelSpec, case: Case) -> Arrays:
    """Return the arrays that a kernel reads, C-contiguous, of the spec's types."""
    roles = ("input", "constant", "state")
    return {a.name: np.ascontiguousarray(case[a.name], a.dtype) for a in spec.arguments if a.role in roles}


def written_names(spec: KernelSpec) -> tuple[str, ...]:
    """Return what a kernel writes, in the order in which its reference returns it."""
    rewritten = [spec.in_place] if spec.in_place else []
    return (*rewritten, *(a.name for a in spec.of_role("output") + spec.of_role("state")))


def expected_of(spec: KernelSpec, case: Case) -> Arrays:
    """Return what the kernel must write, by name.

    Raises
    ------
    OverflowError, ValueError, ArithmeticError, IndexError
        The case is not legal.
    """
    names = [a.name for a in spec.arguments if a.role in ("input", "constant", "state", "parameter")]
    result = spec.reference(*(case[name] for name in names), **keywords_of(spec, case))
    parts = result if isinstance(result, tuple) else (result,)
    return dict(zip(written_names(spec), map(np.asarray, parts), strict=True))


def native_arrays(spec: KernelSpec, case: Case, noise: int) -> Arrays:
    """Return the arrays of a C port's call in its order; outputs start as noise, drawn from seed `noise`."""
    rng = np.random.default_rng(noise)
    given = given_arrays(spec, case)
    arrays = {}
    for argument in array_arguments(spec):
        if argument.role != "output":
            arrays[argument.name] = given[argument.name]
        elif "before" in keywords_of(spec, case):
            arrays[argument.name] = np.ascontiguousarray(case["before"], argument.dtype)
        else:
            shape = tuple(case["shapes"][argument.name])
            arrays[argument.name] = rng.integers(-99, 99, shape).astype(argument.dtype)
    return arrays
