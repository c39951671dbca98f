"""Calls a kernel on a legal case, and its definition: outputs by name, to be compared with equality."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.spec import KernelSpec

Case = Mapping[str, Any]
Place = Callable[[str, NDArray[Any]], NDArray[Any]]


def noise(size: int | tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return values that no kernel may depend on: what workspaces and outputs hold before a call."""
    return np.random.default_rng(0).integers(0, 100, size).astype(dtype)


def written_names(spec: KernelSpec) -> tuple[str, ...]:
    """Return what a call writes: the input that the kernel rewrites, if any, its outputs and its states."""
    rewritten = (spec.in_place,) if spec.in_place else ()
    return (*rewritten, *(a.name for a in spec.of_role("output") + spec.of_role("state")))


def keywords(spec: KernelSpec, case: Case) -> dict[str, Any]:
    """Return what the reference takes by keyword: what the kernel reads off its output."""
    accepted = inspect.signature(spec.reference).parameters.values()
    return {p.name: case[p.name] for p in accepted if p.kind is p.KEYWORD_ONLY and p.name in case}


def reference_outputs(spec: KernelSpec, case: Case) -> dict[str, NDArray[Any]]:
    """Return what the definition says, by the names of `written_names`."""
    names = [a.name for a in spec.arguments if a.role in ("input", "constant", "state", "parameter")]
    result = spec.reference(*(case[name] for name in names), **keywords(spec, case))
    arrays = result if isinstance(result, tuple) else (result,)
    return dict(zip(written_names(spec), arrays, strict=True))


def workspace_sizes(spec: KernelSpec, case: Case) -> dict[str, int]:
    """Return the elements of each workspace, told of a batch of 1 as the planner is."""
    if spec.workspace is None:
        return {}
    shapes = {a.name: case[a.name].shape for a in spec.of_role("input") + spec.of_role("constant")}
    shapes |= case["shapes"]
    batched = [a.name for a in spec.arguments if a.shape[:1] == ("B",)]
    shapes |= {name: (1, *shapes[name][1:]) for name in batched}
    parameters = {a.name: case[a.name] for a in spec.of_role("parameter")}
    return {**spec.workspace(shapes, parameters), **case.get("sizes", {})}


def output_before(spec: KernelSpec, case: Case, name: str) -> NDArray[Any]:
    """Return what an output holds before the call: noise, or what the kernel leaves in part as it was."""
    (argument,) = (a for a in spec.of_role("output") if a.name == name)
    before: NDArray[Any] | None = keywords(spec, case).get("before")
    return noise(case["shapes"][name], argument.dtype) if before is None else before


def array_arguments(spec: KernelSpec, case: Case, place: Place) -> dict[str, NDArray[Any]]:
    """Return all arrays by name, each where `place` puts it; workspaces and outputs start as noise."""
    arrays = {
        a.name: place(a.name, case[a.name])
        for a in spec.arguments
        if a.role in ("input", "constant", "state")
    }
    sizes = workspace_sizes(spec, case)
    for argument in spec.of_role("workspace"):
        shape = (1,) * (len(argument.shape) - 1) + (sizes[argument.name],)
        arrays[argument.name] = place(argument.name, noise(shape, argument.dtype))
    for argument in spec.of_role("output"):
        arrays[argument.name] = place(argument.name, output_before(spec, case, argument.name))
    if spec.preparation is not None:
        constants = {a.name: arrays[a.name] for a in spec.of_role("constant")}
        shapes = {name: value.shape for name, value in constants.items()}
        parameters = {a.name: case[a.name] for a in spec.of_role("parameter")}
        sizes = dict(spec.preparation.elements(shapes, parameters))
        for argument in spec.of_role("prepared"):
            arrays[argument.name] = place(argument.name, noise(sizes[argument.name], argument.dtype))
        prepared = {a.name: arrays[a.name] for a in spec.of_role("prepared")}
        spec.prepare_into(prepared, constants, parameters)
    return arrays


def run_kernel(spec: KernelSpec, case: Case, place: Place) -> tuple[dict[str, NDArray[Any]], int | None]:
    """Run the kernel on arrays where `place` puts them; return all of them by name, and what it returns."""
    arrays = array_arguments(spec, case, place)
    returned = spec.function(
        *(arrays[a.name] if a.name in arrays else int(case[a.name]) for a in spec.arguments)
    )
    return arrays, None if returned is None else int(returned)


def kernel_outputs(spec: KernelSpec, case: Case) -> dict[str, NDArray[Any]]:
    """Return what the Numba kernel writes, by the names of `written_names`."""
    arrays, _returned = run_kernel(spec, case, lambda _name, values: np.array(values, order="C"))
    return {name: arrays[name] for name in written_names(spec)}
