"""Calls a kernel on arrays that nobody may leave, and compares it with its definition.

Functions here run in a `Sandbox`: they take `note` first, and what they are given goes through a pipe.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from tests.guarded_memory import SIDES, Side, guarded
from tests.kernels.legal_cases import Case, legal_case

Note = Callable[[Any], None]
Place = Callable[[str, NDArray[Any]], NDArray[Any]]


def noise(size: int | tuple[int, ...], dtype: str) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 100, size).astype(dtype)


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


def keywords(spec: KernelSpec, case: Case) -> dict[str, Any]:
    """Return what the reference takes by keyword: what the kernel reads off its output."""
    accepted = inspect.signature(spec.reference).parameters.values()
    return {p.name: case[p.name] for p in accepted if p.kind is p.KEYWORD_ONLY and p.name in case}


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
        drawn = noise(case["shapes"][argument.name], argument.dtype)
        arrays[argument.name] = place(argument.name, keywords(spec, case).get("before", drawn))
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


def expected_of(spec: KernelSpec, case: Case) -> tuple[Any, ...]:
    """Return what the definition says: arrays in the order of `results_of`."""
    names = [a.name for a in spec.arguments if a.role in ("input", "constant", "state", "parameter")]
    result = spec.reference(*(case[name] for name in names), **keywords(spec, case))
    return result if isinstance(result, tuple) else (result,)


def results_of(spec: KernelSpec, case: Case, place: Place) -> tuple[Any, ...]:
    """Run the kernel; return the input that it rewrites, if any, its outputs and its states."""
    arrays = array_arguments(spec, case, place)
    spec.function(*(arrays[a.name] if a.name in arrays else int(case[a.name]) for a in spec.arguments))
    rewritten = case.get("in_place")
    for argument in spec.of_role("input") + spec.of_role("constant"):
        if argument.name != rewritten:
            np.testing.assert_array_equal(arrays[argument.name], case[argument.name], argument.name)
    names = [a.name for a in spec.of_role("output") + spec.of_role("state")]
    return tuple(arrays[name] for name in ([rewritten] if rewritten else []) + names)


def told(spec: KernelSpec, case: Case) -> str:
    """Return the shapes and integers of a case."""
    shapes = {a.name: case[a.name].shape for a in spec.arguments if np.ndim(case.get(a.name, 0))}
    numbers = {a.name: case[a.name] for a in spec.of_role("parameter")}
    return f"shapes {shapes | case['shapes']}, {numbers}, sizes {workspace_sizes(spec, case)}"


def check_guarded(
    note: Note, name: str, seed: int, side: Side, only: str | None = None, short: int = 0
) -> None:
    """Run one case with all arrays guarded at one side and compare it with the definition.

    only: guard this argument alone; short: and leave off so many elements of it, which must have one axis.
    """
    spec = kernel_named(name)
    case = legal_case(name, np.random.default_rng([seed, *name.encode()]))
    note((seed, side, told(spec, case)))

    def place(argument: str, values: NDArray[Any]) -> NDArray[Any]:
        if argument == only:
            return guarded(values[: len(values) - short], side)
        return guarded(values, side) if only is None else np.array(values)

    for actual, expected in zip(results_of(spec, case, place), expected_of(spec, case), strict=True):
        np.testing.assert_array_equal(actual, expected)


def check_kernel(note: Note, name: str, seeds: int) -> None:
    """Run cases 0 to `seeds` - 1 of one kernel with all arrays guarded at their end, then at their start."""
    for seed in range(seeds):
        for side in SIDES:
            check_guarded(note, name, seed, side)


def check_parts(note: Note, name: str, seeds: int) -> None:
    """Prepare a layer's channels in parts, each into a guarded array, and compare them with the whole."""
    spec = kernel_named(name)
    assert spec.preparation is not None
    for seed in range(seeds):
        rng = np.random.default_rng([seed, *name.encode()])
        case = legal_case(name, rng)
        if case.get("groups", 1) != 1:
            continue
        parameters = {a.name: int(case[a.name]) for a in spec.of_role("parameter")}
        constants = {a.name: case[a.name] for a in spec.of_role("constant")}
        whole = spec.prepare(constants, parameters)
        for side in SIDES:
            note((seed, side))
            found = dict[str, list[NDArray[Any]]]()
            for start in range(0, len(case["bias"]), spec.preparation.part):
                part = slice(start, start + spec.preparation.part)
                own = {key: guarded(value[part], side) for key, value in constants.items()}
                shapes = {key: value.shape for key, value in own.items()}
                sizes = spec.preparation.elements(shapes, parameters)
                prepared = {
                    a.name: guarded(noise(sizes[a.name], a.dtype), side) for a in spec.of_role("prepared")
                }
                spec.prepare_into(prepared, own, parameters)
                for key, value in prepared.items():
                    found.setdefault(key, []).append(value)
            for key, values in found.items():
                np.testing.assert_array_equal(np.concatenate(values), whole[key])
