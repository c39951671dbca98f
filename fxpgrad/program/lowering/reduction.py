"""Means, sums, extremes and their places."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering import movement_plans as plans
from fxpgrad.program.lowering import sum_tables
from fxpgrad.program.lowering.elementwise import litert
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad_kernels.reduction.sum_table import GREATEST_TABULATED
from fxpgrad_kernels.reduction.sums import GREATEST_REDUCED


def _axes(node: Node) -> tuple[int, ...]:
    attributes: Any = node.attributes
    return attributes["axes"] if "axes" in attributes else (attributes["axis"],)


def _as_middle_axis(state: Lowering, node: Node, axes: tuple[int, ...]) -> tuple[str, dict[str, int]]:
    """Return the tensor, and the view of it, in which the reduced axes are one axis.

    Neighbouring axes are one already (axes of extent 1 do not part them); others are moved to the end,
    in order, by a transposed copy.
    """
    name = state.sources(node)[0]
    shape = state.shape(name)
    reduced = math.prod(shape[axis] for axis in axes)
    long = [axis for axis in axes if shape[axis] > 1]
    if not long:
        return name, {"reduced": 1, "inner": 1}
    if all(axis in axes or shape[axis] == 1 for axis in range(long[0], long[-1])):
        return name, {"reduced": reduced, "inner": math.prod(shape[long[-1] + 1 :])}
    permutation = (*(axis for axis in range(len(shape)) if axis not in axes), *axes)
    plan = plans.transpose_plan(shape, permutation)
    moved = state.tensor(f"{node.name}/moved", tuple(shape[axis] for axis in permutation), name)
    state.rearrange(node, plan, name, moved, suffix="/move")
    return moved, {"reduced": reduced, "inner": 1}


def _by_table(state: Lowering, node: Node, name: str, view: dict[str, int]) -> bool:
    """Lower a mean or sum that the runtime computes in floats; return whether it does."""
    make = sum_tables.table_maker(state.profile.name, node, state.shape(state.sources(node)[0]))
    if make is None or state.bits(node.output) != 8:
        return False
    if view["reduced"] > GREATEST_TABULATED:
        raise LoweringError(
            f"node {node.name} ({node.op}) sums {view['reduced']} values; under {state.profile.name} at most "
            f"{GREATEST_TABULATED} can be reproduced; choose tflite_double"
        )
    source = state.sources(node)[0]
    ends = (
        state.scale(source),
        state.zero_point(source),
        state.scale(node.output),
        state.zero_point(node.output),
    )
    table = state.constant(f"{node.name}/table", make(view["reduced"], *ends))
    state.call(node, "sum_table_a8", view, {"table": table}, inputs=(name,))
    return True


def _sum_or_mean(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16)
    source = state.sources(node)[0]
    name, view = _as_middle_axis(state, node, _axes(node))
    if _by_table(state, node, name, view):
        return
    state = litert(state)
    greatest = GREATEST_REDUCED[f"int{width}"]
    if view["reduced"] > greatest:
        raise LoweringError(
            f"node {node.name} ({node.op}) adds {view['reduced']} int{width} values; at most {greatest} fit"
        )
    parameters = {
        **view,
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    real = state.real(node, [state.scale(source)], state.scale(node.output))
    state.call(node, f"{node.op}_a{width}", parameters, state.scales(node, real), inputs=(name,))


def _global_average_pool2d(state: Lowering, node: Node) -> None:
    state.width(node, 8, 16)
    source = state.sources(node)[0]
    height, width, channels = state.shape(source)[-3:]
    if _by_table(state, node, source, {"reduced": height * width, "inner": channels}):
        return
    state = litert(state)
    parameters = {
        "reduced": height * width,
        "inner": channels,
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    real = state.real(node, [state.scale(source)], state.scale(node.output))
    state.call(node, f"mean_a{state.bits(source)}", parameters, state.scales(node, real))


def _of_one_axis(result_bits: Callable[[Lowering, Node], int]) -> Rule:
    """Return the rule of a reduction without arithmetic."""

    def rule(state: Lowering, node: Node) -> None:
        width = result_bits(state, node)
        name, view = _as_middle_axis(state, node, _axes(node))
        state.call(node, f"{node.op}_a{width}", view, inputs=(name,))

    return rule


def _place_bits(state: Lowering, node: Node) -> int:
    source = state.sources(node)[0]
    if state.bits(source) not in (8, 16) or state.bits(node.output) != 32:
        raise LoweringError(
            f"node {node.name} ({node.op}) must find int32 places in int8 or int16 values; got "
            f"int{state.bits(node.output)} of int{state.bits(source)}"
        )
    return state.bits(source)


_EXTREME = _of_one_axis(lambda state, node: state.width(node, 8, 16))
_PLACE = _of_one_axis(_place_bits)

RULES: dict[str, Rule] = {
    "mean": _sum_or_mean,
    "sum": _sum_or_mean,
    "global_average_pool2d": _global_average_pool2d,
    "reduce_max": _EXTREME,
    "reduce_min": _EXTREME,
    "arg_max": _PLACE,
    "arg_min": _PLACE,
}
