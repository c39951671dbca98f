"""Calls a kernel on arrays that nobody may leave, and compares it with its definition.

Functions here run in a `Sandbox`: they take `note` first, and what they are given goes through a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import (
    Case,
    Place,
    noise,
    reference_outputs,
    run_kernel,
    workspace_sizes,
    written_names,
)
from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.guarded_memory import SIDES, Side, guarded
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

# Arguments that say a shape or a place in an array, or belong to one that does: the caller vouches for them.
PLACES = frozenset(
    (
        "stride_h", "stride_w", "pad_top", "pad_left", "dilation_h", "dilation_w", "groups", "size_h",
        "size_w", "align_corners", "half_pixel_centers", "rows", "depth", "columns", "reduced", "inner",
        "rank", "extent", "indices", "labels", "extents", "input_strides", "output_strides",
        "input_elements", "output_elements", "input_offset", "output_offset", "input_row", "output_row",
        "column", "distribution", "table", "accumulator_bits", "index",
    )
)  # fmt: skip

Note = Callable[[Any], None]


def results_of(spec: KernelSpec, case: Case, place: Place) -> tuple[Any, ...]:
    """Run the kernel; return what it writes, and see that it only reads the rest."""
    arrays, _returned = run_kernel(spec, case, place)
    written = written_names(spec)
    for argument in spec.of_role("input") + spec.of_role("constant"):
        if argument.name not in written:
            np.testing.assert_array_equal(arrays[argument.name], case[argument.name], argument.name)
    return tuple(arrays[name] for name in written)


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

    for actual, expected in zip(
        results_of(spec, case, place), reference_outputs(spec, case).values(), strict=True
    ):
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
