"""Calls a kernel on arrays that nobody may leave, and compares it with its definition.

Functions here run in a `Sandbox`: they take `note` first, and what they are given goes through a pipe.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.guarded_memory import SIDES, Side, guarded
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.legal_cases import Case, legal_case

# Arguments that say a shape or a place in an array, or belong to one that does: the caller vouches for them.
PLACES = frozenset(
    (
        "stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w", "groups", "size_h",
        "size_w", "align_corners", "half_pixel_centers", "rows", "depth", "columns", "reduced", "inner",
        "rank", "extent", "indices", "labels", "extents", "input_strides", "output_strides",
        "input_elements", "output_elements", "input_offset", "output_offset", "input_row", "output_row",
        "column", "distribution", "table", "accumulator_bits",
    )
)  # fmt: skip

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
    rewritten = spec.in_place
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


def any_value(rng: np.random.Generator, low: int, high: int) -> int:
    kind = rng.integers(3)
    if kind == 0:
        return int(rng.choice([low, high]))
    return int(
        rng.integers(low, high, endpoint=True) if kind == 1 else np.clip(rng.integers(-3, 4), low, high)
    )


def with_any_values(spec: KernelSpec, rng: np.random.Generator, case: Case) -> Case:
    """Return a case with any values in range, however senseless, of what says no shape and no place."""
    changed = dict(case)
    for argument in spec.arguments:
        if argument.name in PLACES or argument.name not in case:
            continue
        if argument.role == "parameter":
            value = any_value(rng, argument.low, argument.high)
            changed[argument.name] = value & ~7 if argument.name == "first_index" else value
        elif rng.random() < 0.7:
            few = [any_value(rng, argument.low, argument.high) for _ in range(99)]
            changed[argument.name] = np.resize(np.array(few, argument.dtype), case[argument.name].shape)
    return changed


def check_any_values(note: Note, name: str, seeds: int) -> None:
    """Run one kernel on senseless values: there is nothing to compare, but it must keep to its arrays."""
    spec = kernel_named(name)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1, *name.encode()])
        case = with_any_values(spec, rng, legal_case(name, rng))
        for side in SIDES:
            note((seed, side, told(spec, case)))
            results_of(spec, case, lambda argument, values, side=side: guarded(values, side))


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


def check_records(note: Note, name: str, seeds: int) -> None:
    """Prepare the record of other constants with the same weights, and compare all with the whole."""
    spec = kernel_named(name)
    assert spec.preparation is not None
    assert spec.preparation.records is not None
    kept = spec.preparation.records.array
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 2, *name.encode()])
        case = legal_case(name, rng)
        parameters = {a.name: int(case[a.name]) for a in spec.of_role("parameter")}
        constants = {a.name: case[a.name] for a in spec.of_role("constant")}
        others = {key: value if key == "weights" else np.roll(value, 1) for key, value in constants.items()}
        if rng.random() < 0.5:
            bits = int(rng.integers(8, 32))
            others["bias"] = rng.integers(-(2**bits), 2**bits, len(case["bias"])).astype(np.int32)
        shared, whole = spec.prepare(constants, parameters), spec.prepare(others, parameters)
        for side in SIDES:
            note((seed, side))
            own = {key: guarded(value, side) for key, value in {**others, **shared}.items()}
            new = guarded(noise(whole[kept].size, whole[kept].dtype.name), side)
            values = {**own, **parameters, f"new_{kept}": new}
            spec.preparation.records.function(*(values[a.name] for a in spec.record_arguments))
            for key, value in whole.items():
                np.testing.assert_array_equal(new if key == kept else own[key], value, key)
