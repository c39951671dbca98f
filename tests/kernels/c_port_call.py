"""Calls C ports on legal cases and compares them with the definition. Functions here run in a `Sandbox`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.native import NativeKernels
from fxpgrad.codegen.signature import array_arguments
from fxpgrad.conformance.calls import Case, Place, output_before, reference_outputs
from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.guarded_memory import SIDES, guarded
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.guarded_call import Note, told
from tests.kernels.returned_numbers import returned_ref


@functools.cache
def library(path: Path) -> NativeKernels:
    return NativeKernels(path)


def port_arrays(spec: KernelSpec, case: Case, place: Place) -> dict[str, NDArray[Any]]:
    """Return the arrays that a port takes, each where `place` puts it; outputs start as noise."""
    arrays = {}
    for argument in array_arguments(spec):
        name = argument.name
        values = output_before(spec, case, name) if argument.role == "output" else case[name]
        arrays[name] = place(name, np.ascontiguousarray(values))
    return arrays


def check_port_case(spec: KernelSpec, native: NativeKernels, case: Case, place: Place) -> None:
    """Run a port once; compare what it writes and returns with the definition.

    What it only reads must be what it was.
    """
    arrays = port_arrays(spec, case, place)
    returned = native.call(spec, {**case, **arrays})
    for argument in spec.of_role("input") + spec.of_role("constant"):
        if argument.name != spec.in_place:
            np.testing.assert_array_equal(arrays[argument.name], case[argument.name], argument.name)
    results = reference_outputs(spec, case)
    for name, expected in results.items():
        np.testing.assert_array_equal(arrays[name], expected, name)
    assert returned == returned_ref(spec, case, tuple(results.values()))


def check_drawn(note: Note, path: Path, name: str, case: Case, guards: bool) -> None:
    """Run the port of one kernel on one case, between guard pages or not."""
    spec, native = kernel_named(name), library(path)
    for side in SIDES if guards else SIDES[:1]:
        note((name, side, told(spec, case)))

        def place(_argument: str, values: NDArray[Any], side: Any = side) -> NDArray[Any]:
            return guarded(values, side) if guards else np.array(values)

        check_port_case(spec, native, case, place)


def check_port(note: Note, path: Path, name: str, first: int, seeds: int, guards: bool) -> None:
    """Run the port of one kernel on cases `first` to `first` + `seeds` - 1, between guard pages or not."""
    for seed in range(first, first + seeds):
        case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
        check_drawn(lambda last, seed=seed: note((seed, *last)), path, name, case, guards)
