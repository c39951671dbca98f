"""Causes in layers with weights: padding, layouts, groups, filters, accumulators, how a sum is finished."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.causes.cause import Cause, by_edit, mapped
from fxpgrad.conformance.causes.scalars import (
    OTHER_ROUNDINGS,
    Ints,
    Requantize,
    requantized,
    saturated,
    wrapped,
)
from fxpgrad.conformance.definition import Arrays
from fxpgrad.conformance.legality import REFUSALS
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar
from fxpgrad_kernels.conv2d.conv2d_ref import conv2d_accumulators_ref
from fxpgrad_kernels.depthwise_conv2d.depthwise_conv2d_ref import depthwise_accumulator_ref
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec
from fxpgrad_kernels.transpose_conv2d.transpose_conv2d_ref import transpose_conv2d_accumulators_ref

_ORDERS: dict[str, dict[str, tuple[int, ...]]] = {
    "fully_connected": {"[in, out]": (1, 0)},
    "depthwise_conv2d": {"channels first": (0, 3, 1, 2), "columns before rows": (0, 2, 1, 3)},
}
_OTHER_ORDERS: dict[str, tuple[int, ...]] = {
    "OIHW": (0, 3, 1, 2),
    "HWIO": (1, 2, 3, 0),
    "HWOI": (1, 2, 0, 3),
    "OWHI": (0, 2, 1, 3),
    "IHWO": (3, 1, 2, 0),
}
LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d")


def layer_causes(spec: KernelSpec) -> Iterator[Cause]:
    """Yield the causes of a layer with weights; none for other kernels."""
    if spec.operator not in LAYERS:
        return
    if spec.operator in {"conv2d", "depthwise_conv2d"}:
        yield from _padding(spec)
    yield from _layouts(spec)
    yield from _reach(spec)
    if any(argument.name == "rounding" for argument in spec.arguments):
        yield from _sums(spec)
        yield from _endings(spec)


def accumulators(spec: KernelSpec, case: Case) -> Ints:
    """Return the layer's exact sums."""
    layer = case["input"], case["weights"], case["bias"]
    zero_point = case.get("input_zero_point", 0)
    if spec.operator == "fully_connected":
        rows, weights, bias = (values.astype(np.int64) for values in layer)
        total: Ints = (rows - zero_point) @ weights.T + bias
        return total
    stride, pad = (case["stride_h"], case["stride_w"]), (case["pad_top"], case["pad_left"])
    if spec.operator == "transpose_conv2d":
        size = case["output_size"]
        return transpose_conv2d_accumulators_ref(*layer, size, stride, pad, zero_point)
    dilation = case["dilation_h"], case["dilation_w"]
    size = tuple(case["shapes"]["output"][1:3])
    if spec.operator == "conv2d":
        return conv2d_accumulators_ref(*layer, size, stride, pad, dilation, case["groups"], zero_point)
    return depthwise_accumulator_ref(*layer, stride, pad, dilation, zero_point, size)


def _padding(spec: KernelSpec) -> Iterator[Cause]:
    """Yield padding that holds another value than the zero point."""
    if any(argument.name == "input_zero_point" for argument in spec.arguments):
        sentence = "the padding holds 0 instead of the input's zero point"
        yield by_edit(spec, "padding holds 0", sentence, _padded)


def _padded(case: Case) -> dict[str, Any]:
    """Return the input with zeros around it, as far as any window reaches."""
    image, weights = case["input"], case["weights"]
    pads, reaches = (case["pad_top"], case["pad_left"]), []
    for axis, letter in enumerate("hw"):
        size = case["shapes"]["output"][1 + axis]
        window = (weights.shape[1 + axis] - 1) * case[f"dilation_{letter}"] + 1
        reaches.append(
            max((size - 1) * case[f"stride_{letter}"] + window - pads[axis] - image.shape[1 + axis], 0)
        )
    around = [(0, 0), (pads[0], reaches[0]), (pads[1], reaches[1]), (0, 0)]
    return {"input": np.pad(image, around), "pad_top": 0, "pad_left": 0}


def _layouts(spec: KernelSpec) -> Iterator[Cause]:
    """Yield weights that are read as if their axes came in another order."""
    for word, order in _ORDERS.get(spec.operator, _OTHER_ORDERS).items():
        sentence = f"weights are read in another order than they lie in: {word}"
        yield by_edit(spec, f"weights read as {word}", sentence, mapped(["weights"], _reread(order)))
    if spec.operator != "fully_connected":
        sentence = "filters are turned by half a turn"
        yield by_edit(spec, "filters flipped", sentence, mapped(["weights"], lambda w: w[:, ::-1, ::-1]))


def _reread(order: tuple[int, ...]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return how an array appears to who believes that its axes lie in `order`."""

    def reread(values: NDArray[Any]) -> NDArray[Any]:
        lying = values.reshape([values.shape[axis] for axis in order])
        return lying.transpose(np.argsort(order))

    return reread


def _reach(spec: KernelSpec) -> Iterator[Cause]:
    """Yield loops that end too early, and channels that read others' inputs."""
    axes = {
        "fully_connected": {1: "input channel"},
        "depthwise_conv2d": {1: "filter row", 2: "filter column"},
    }
    others = {1: "filter row", 2: "filter column", 3: "input channel"}
    for axis, word in axes.get(spec.operator, others).items():
        sentence = f"the last {word} is left out of the sum"
        yield by_edit(spec, f"last {word} left out", sentence, mapped(["weights"], _without_last(axis)))
    if spec.operator == "conv2d":
        sentence = "groups are ignored: every filter reads the channels of the first group"
        yield by_edit(spec, "groups ignored", sentence, _first_group)
    if spec.operator == "depthwise_conv2d":
        sentence = "output channel o reads input channel o % C instead of o // multiplicity"
        yield by_edit(spec, "channels interleaved", sentence, _interleaved)


def _without_last(axis: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(weights: NDArray[Any]) -> NDArray[Any]:
        changed = weights.copy()
        changed[(slice(None),) * axis + (-1,)] = 0
        return changed

    return change


def _first_group(case: Case) -> dict[str, Any] | None:
    depth = case["weights"].shape[3]
    return {"input": np.tile(case["input"][..., :depth], case["groups"])}


def _interleaved(case: Case) -> dict[str, Any] | None:
    outputs, channels = case["weights"].shape[3], case["input"].shape[3]
    return {"input": case["input"][..., np.arange(outputs) % channels]}


def _sums(spec: KernelSpec) -> Iterator[Cause]:
    """Yield accumulators of too few bits."""
    for bits in (16, 24, 32):
        sentence = f"accumulators wrap at {bits} bits"
        yield _ended(
            spec, f"accumulator wraps at {bits} bits", sentence, functools.partial(wrapped, bits=bits)
        )
    sentence = "accumulators saturate at 16 bits"
    yield _ended(spec, "accumulator saturates at 16 bits", sentence, lambda x: saturated(x, 16))


def _endings(spec: KernelSpec) -> Iterator[Cause]:
    """Yield sums that are rounded, clamped or narrowed in another way."""
    for name, (sentence, scalar) in OTHER_ROUNDINGS.items():
        yield _ended(spec, name, sentence, scalar=scalar)
    bits = 8 * np.dtype(spec.of_role("output")[0].dtype).itemsize
    sentence = f"results beyond the type wrap to {bits} bits instead of being clamped"
    yield _ended(
        spec, "result wraps", sentence, finish=lambda value, case: wrapped(value + _zero(case), bits)
    )
    sentence = f"results wrap to {bits} bits before they are clamped"
    yield _ended(
        spec,
        "result wraps before the clamp",
        sentence,
        finish=lambda value, case: np.clip(wrapped(value + _zero(case), bits), *_bounds(case)),
    )
    if any(argument.name == "output_zero_point" for argument in spec.arguments):
        sentence = "results are clamped before the output's zero point is added"
        low, high = INT_RANGES[spec.of_role("output")[0].dtype]
        yield _ended(
            spec,
            "clamp before the zero point",
            sentence,
            finish=lambda value, case: np.clip(np.clip(value, *_bounds(case)) + _zero(case), low, high),
        )
        yield _ended(
            spec,
            "clamp before the zero point, then wrap",
            sentence + ", and the sum wraps",
            finish=lambda value, case: wrapped(np.clip(value, *_bounds(case)) + _zero(case), bits),
        )
        sentence = "results are saturated to the type before the output's zero point is added"
        yield _ended(
            spec,
            "saturation before the zero point",
            sentence,
            finish=lambda value, case: np.clip(saturated(value, bits) + _zero(case), *_bounds(case)),
        )


def _zero(case: Case) -> int:
    return int(case.get("output_zero_point", 0))


def _bounds(case: Case) -> tuple[int, int]:
    return int(case["clamp_low"]), int(case["clamp_high"])


def _clamped(value: Ints, case: Case) -> Ints:
    result: Ints = np.clip(value + _zero(case), *_bounds(case))
    return result


def _ended(
    spec: KernelSpec,
    name: str,
    sentence: str,
    change: Callable[[Ints], Ints] = lambda x: x,
    scalar: Requantize = requantize_scalar,
    finish: Callable[[Ints, Case], Ints] = _clamped,
) -> Cause:
    """Return the cause in which sums are changed, requantized or finished in another way."""

    def outputs(case: Case) -> Arrays | None:
        try:
            total = change(accumulators(spec, case))
            value = requantized(total, case["multiplier"], case["shift"], int(case["rounding"]), scalar)
        except REFUSALS:
            return None
        return {"output": finish(value, case).astype(spec.of_role("output")[0].dtype)}

    return Cause(name, sentence, outputs)
