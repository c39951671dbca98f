"""Causes that any kernel with such an argument may have: read with another sign, left out, mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.causes.cause import Cause, Edit, by_edit, given, mapped, taken
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec


def argument_causes(spec: KernelSpec) -> Iterator[Cause]:
    """Yield the causes that the kernel's arguments allow."""
    for family in (_roundings, _zero_points, _clamps, _channels, _pairs, _windows, _pads, _types, _batches):
        yield from family(spec)


def has(spec: KernelSpec, name: str) -> bool:
    """Whether the kernel has an argument of that name."""
    return any(argument.name == name for argument in spec.arguments)


def _roundings(spec: KernelSpec) -> Iterator[Cause]:
    for name, what in (("rounding", "results are"), ("operand_rounding", "operands are")):
        for rounding in Rounding if has(spec, name) else ():
            users = ", ".join(p.name for p in PROFILES.values() if p.rounding == rounding)
            sentence = f"{what} requantized as {rounding.name} ({users}), whatever is asked for"
            yield by_edit(spec, f"{name} {rounding.name}", sentence, given(**{name: int(rounding)}))
    if spec.name.startswith("rounding_shift"):
        for code, word in enumerate(("down", "towards 0", "to nearest, ties up", "to nearest, ties away")):
            sentence = f"shifts round {word}, whatever is asked for"
            yield by_edit(spec, f"mode {code}", sentence, given(mode=code))


def _zero_points(spec: KernelSpec) -> Iterator[Cause]:
    for name in (a.name for a in spec.of_role("parameter") if a.name.endswith("zero_point")):
        tensor = name.removesuffix("_zero_point").replace("_", " ")
        right, wrong = ("added", "subtracted") if tensor == "output" else ("subtracted", "added")
        yield by_edit(
            spec, f"{name} dropped", f"the zero point of the {tensor} is left out", given(**{name: 0})
        )
        sentence = f"the zero point of the {tensor} is {wrong} instead of {right}"
        yield by_edit(spec, f"{name} sign", sentence, mapped([name], _negative))


def _negative(value: Any) -> Any:
    return -value if np.ndim(value) == 0 else -value.astype(np.int64)


def _clamps(spec: KernelSpec) -> Iterator[Cause]:
    if not has(spec, "clamp_low"):
        return
    low, high = INT_RANGES[spec.of_role("output")[0].dtype]
    both = "results are saturated to the type only: clamp_low and clamp_high are ignored"
    yield by_edit(spec, "clamps ignored", both, given(clamp_low=low, clamp_high=high))
    yield by_edit(spec, "clamp_low ignored", "clamp_low is ignored", given(clamp_low=low))
    yield by_edit(spec, "clamp_high ignored", "clamp_high is ignored", given(clamp_high=high))


def _channels(spec: KernelSpec) -> Iterator[Cause]:
    """Yield mixed-up entries of arrays that hold one number a channel."""
    arrays = [a.name for a in spec.of_role("constant") if a.shape == ("O",)]
    for names in [[name] for name in arrays] + [["multiplier", "shift"]]:
        if not set(names) <= set(arrays):
            continue
        what = " and ".join(names)
        every = f"every output channel takes the {what} of"
        yield by_edit(spec, f"{what} of channel 0", f"{every} channel 0", mapped(names, _first))
        yield by_edit(
            spec, f"{what} of the channel before", f"{every} the channel before it", rolled(names, 1)
        )
        yield by_edit(
            spec, f"{what} of the channel after", f"{every} the channel after it", rolled(names, -1)
        )
    if "bias" in arrays:
        yield by_edit(spec, "bias dropped", "the bias is left out", mapped(["bias"], np.zeros_like))
        sentence = "the bias is subtracted instead of added"
        yield by_edit(spec, "bias sign", sentence, mapped(["bias"], _negative))


def _first(values: NDArray[Any]) -> NDArray[Any]:
    return np.full_like(values, values[0])


def rolled(names: list[str], step: int) -> Edit:
    """Return the edit that moves every channel's number to another channel."""
    return mapped(names, lambda values: np.roll(values, step))


def _pairs(spec: KernelSpec) -> Iterator[Cause]:
    """Yield multipliers and shifts in another order, with another sign."""
    sizes = {a.name: a.shape[0] for a in spec.of_role("constant") if len(a.shape) == 1}
    if sizes.get("multiplier", "1") in {"2", "3"}:
        for names in (["multiplier"], ["shift"], ["multiplier", "shift"]):
            what = " and ".join(names)
            sentence = f"the first two values of {what} are swapped"
            yield by_edit(spec, f"{what} swapped", sentence, mapped(names, _swapped))
    if "shift" in sizes:
        sentence = "a positive shift goes to the right instead of to the left"
        yield by_edit(spec, "shift sign", sentence, mapped(["shift"], _negative))
    if has(spec, "left_shift"):
        sentence = "operands are not shifted to the left first"
        yield by_edit(spec, "left_shift dropped", sentence, given(left_shift=0))


def _swapped(values: NDArray[Any]) -> NDArray[Any]:
    return values[[1, 0, *range(2, len(values))]]


def _windows(spec: KernelSpec) -> Iterator[Cause]:
    """Yield strides, dilations and window sizes that are swapped or ignored."""
    for start, word in (("stride", "stride"), ("dilation", "dilation"), ("size", "size of the window")):
        rows, columns = f"{start}_h", f"{start}_w"
        if not has(spec, rows):
            continue
        sentence = f"the {word} in rows and the {word} in columns are swapped"
        yield by_edit(spec, f"{start} swapped", sentence, taken(**{rows: columns, columns: rows}))
        for one, other in ((rows, columns), (columns, rows)):
            sentence = f"{one} is taken for both directions"
            yield by_edit(spec, f"{other} is {one}", sentence, taken(**{other: one}))
        if start != "size":
            sentence = f"the {word} is taken to be 1"
            yield by_edit(spec, f"{start} ignored", sentence, given(**{rows: 1, columns: 1}))


def _pads(spec: KernelSpec) -> Iterator[Cause]:
    if not has(spec, "pad_top"):
        return
    swap = taken(pad_top="pad_left", pad_left="pad_top")
    yield by_edit(spec, "padding swapped", "pad_top and pad_left are swapped", swap)
    nothing = given(pad_top=0, pad_left=0)
    yield by_edit(spec, "padding ignored", "pad_top and pad_left are taken to be 0", nothing)
    for rows, columns, where in ((1, 0, "rows"), (0, 1, "columns"), (1, 1, "rows and columns")):
        for way, word in ((1, "earlier"), (-1, "later")):
            sentence = f"padding is off by one: windows start one pixel {word} in {where}"
            edit = _moved(rows * way, columns * way)
            yield by_edit(spec, f"padding off by one, {word} in {where}", sentence, edit)


def _moved(rows: int, columns: int) -> Edit:
    def edit(case: Case) -> dict[str, int]:
        return {"pad_top": case["pad_top"] + rows, "pad_left": case["pad_left"] + columns}

    return edit


def _types(spec: KernelSpec) -> Iterator[Cause]:
    """Yield int8 that is read as uint8: a plain char has no sign on ARM."""
    for argument in spec.of_role("input") + spec.of_role("constant"):
        if argument.dtype == "int8":
            sentence = f"{argument.name} is read as uint8: is it char, which has no sign on ARM?"
            yield by_edit(spec, f"{argument.name} unsigned", sentence, mapped([argument.name], _unsigned))


def _unsigned(values: NDArray[np.int8]) -> NDArray[np.int16]:
    return np.ascontiguousarray(values).view(np.uint8).astype(np.int16)


def _batches(spec: KernelSpec) -> Iterator[Cause]:
    batched = [a.name for a in spec.of_role("input") if a.shape[:1] == ("B",)]
    if batched:
        sentence = "every element of the batch reads the first one's input"
        yield by_edit(spec, "batch of the first", sentence, mapped(batched, _first))
