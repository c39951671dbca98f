"""Operators that only move values: what each one is in terms of `rearrange`, `gather` and blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering import movement_plans as plans
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad.program.program import Call

Indices = NDArray[np.int32]
_WIDTHS = (8, 16, 32)


def _copy(state: Lowering, node: Node) -> None:
    """Lower what keeps every element and its place: reshape, and assign to a variable."""
    state.call(node, f"reshape_a{state.width(node, *_WIDTHS)}")


def _rearranging(
    plan_of: Callable[[tuple[int, ...], tuple[int, ...], Mapping[str, Any]], plans.Rearrangement],
) -> Rule:
    """Return the rule of an operator that is one rearrangement: a plan of (shape, new shape, attributes)."""

    def rule(state: Lowering, node: Node) -> None:
        state.width(node, *_WIDTHS)
        shapes = state.shape(state.sources(node)[0]), state.shape(node.output)
        try:
            plan = plan_of(*shapes, node.attributes)
        except LoweringError as error:
            raise LoweringError(f"node {node.name} ({node.op}): {error}") from error
        if plan.is_copy:
            _copy(state, node)
            return
        state.rearrange(node, plan, state.sources(node)[0], node.output)

    return rule


def _concat(state: Lowering, node: Node) -> None:
    axis, width = int(node.attributes["axis"]), state.width(node, *_WIDTHS)  # type: ignore[arg-type]
    row = math.prod(state.shape(node.output)[axis:])
    column = 0
    for position, name in enumerate(state.sources(node)):
        own = math.prod(state.shape(name)[axis:])
        parameters = {"input_row": own, "output_row": row, "column": column}
        kernel = f"concatenate_block_a{width}"
        state.calls.append(Call(f"{node.name}/{position}", kernel, (name,), {}, node.output, parameters))
        column += own


def _gather_axes(state: Lowering, node: Node, lists: Mapping[int, Indices]) -> None:
    """Append one gather for each axis whose list changes something, the most shrinking axis first."""
    width = state.width(node, *_WIDTHS)
    name = state.sources(node)[0]
    shape = state.shape(name)
    changing = [
        axis for axis, indices in lists.items() if not np.array_equal(indices, np.arange(shape[axis]))
    ]
    changing.sort(key=lambda axis: lists[axis].size / shape[axis])
    if not changing:
        _copy(state, node)
    for position, axis in enumerate(changing):
        suffix = f"/{position}" if len(changing) > 1 else ""
        parameters = {"extent": shape[axis], "inner": math.prod(shape[axis + 1 :])}
        shape = (*shape[:axis], lists[axis].size, *shape[axis + 1 :])
        last = axis == changing[-1]
        target = node.output if last else state.tensor(f"{node.name}/gathered{suffix}", shape, node.output)
        constants = {"indices": state.constant(f"{node.name}/indices{suffix}", lists[axis])}
        kernel = f"gather_a{width}"
        state.call(node, kernel, parameters, constants, inputs=(name,), output=target, suffix=suffix)
        name = target


def _gather(state: Lowering, node: Node) -> None:
    axis = int(node.attributes["axis"])  # type: ignore[arg-type]
    extent = state.shape(state.sources(node)[0])[axis]
    data = state.graph.constants_of(node)["indices"].data
    if data is None or not np.issubdtype(data.dtype, np.integer):
        raise LoweringError(f"node {node.name} (gather): indices must be constant integers")
    indices = data.reshape(-1).astype(np.int64)
    if indices.min() < 0 or indices.max() >= extent:
        raise LoweringError(
            f"node {node.name} (gather): indices must lie in [0, {extent}), the entries of axis {axis}; "
            f"got {indices.min()} to {indices.max()}"
        )
    _gather_axes(state, node, {axis: indices.astype(np.int32)})


def _mirror_pad(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    padding, shape = attributes["padding"], state.shape(state.sources(node)[0])
    lists = {
        axis: plans.mirror_pad_indices(extent, padding[2 * axis], padding[2 * axis + 1], attributes["mode"])
        for axis, extent in enumerate(shape)
    }
    _gather_axes(state, node, lists)


def _resize_nearest(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    modes = bool(attributes["align_corners"]), bool(attributes["half_pixel_centers"])
    shape, target = state.shape(state.sources(node)[0]), state.shape(node.output)
    axes = (len(shape) - 3, len(shape) - 2)
    _gather_axes(
        state, node, {axis: plans.resize_nearest_indices(shape[axis], target[axis], *modes) for axis in axes}
    )


def _constant(state: Lowering, node: Node) -> None:
    value, info = state.graph.constants_of(node)["value"], state.graph.tensors[node.output]
    if value.data is None or value.dtype != info.dtype:
        raise LoweringError(
            f"node {node.name} (constant): the value must be {info.dtype}, as {node.output} is; "
            f"it is {value.dtype}"
        )
    name = state.constant(f"{node.name}/value", value.data.reshape(-1))
    state.call(node, f"constant_a{state.width(node, *_WIDTHS)}", {}, {"value": name})


RULES: dict[str, Rule] = {
    "reshape": _copy,
    "assign": _copy,
    "concat": _concat,
    "gather": _gather,
    "mirror_pad": _mirror_pad,
    "resize_nearest": _resize_nearest,
    "constant": _constant,
    "pad": _rearranging(lambda shape, _, given: plans.pad_plan(shape, given["padding"], given["value"])),
    "transpose": _rearranging(lambda shape, _, given: plans.transpose_plan(shape, given["permutation"])),
    "slice": _rearranging(
        lambda shape, _, given: plans.slice_plan(shape, given["begin"], given["size"], given["stride"])
    ),
    "broadcast_to": _rearranging(lambda shape, target, _: plans.broadcast_plan(shape, target)),
    "tile": _rearranging(lambda shape, _, given: plans.tile_plan(shape, given["repeats"])),
    "depth_to_space": _rearranging(lambda shape, _, given: plans.depth_to_space_plan(shape, given["block"])),
    "space_to_depth": _rearranging(lambda shape, _, given: plans.space_to_depth_plan(shape, given["block"])),
}
