"""Operators on two activations, element by element."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.dialects import dialect_named
from fxpgrad.program.lowering import optimized, xnnpack
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad.program.lowering.movement_plans import broadcast_plan
from fxpgrad_kernels.arithmetic.profiles import Rounding

# Fraction bits that TFLite gives the operands before it scales them.
_SUM_SHIFT = {8: 20, 16: 15}
_SQUARE_SHIFT = {8: 7, 16: 0}


def litert(state: Lowering) -> Lowering:
    """Return the same Lowering under LiteRT's own kernels, which take what XNNPACK does not."""
    if state.profile.name != xnnpack.PROFILE:
        return state
    profile, dialect = dialect_named(optimized.PROFILE)
    return dataclasses.replace(state, profile=profile, dialect=dialect)


def zero_points(state: Lowering, node: Node, *names: str) -> dict[str, int]:
    """Return the zero points of the inputs, called `names`, and of the output; those of int16 must be 0."""
    tensors = (*state.sources(node), node.output)
    found = {
        f"{name}_zero_point": state.zero_point(tensor)
        for name, tensor in zip((*names, "output"), tensors, strict=True)
    }
    if state.bits(node.output) == 16 and any(found.values()):
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 activations must have zero point 0, as every runtime "
            f"demands; got {', '.join(f'{key} {value}' for key, value in found.items() if value)}"
        )
    return found


def broadcast(state: Lowering, node: Node) -> tuple[str, ...]:
    """Return the inputs in the shape of the output, repeated where they are smaller."""
    target, names = state.shape(node.output), []
    for place, name in zip("ab", state.sources(node), strict=True):
        shape = state.shape(name)
        if shape == target:
            names.append(name)
            continue
        try:
            plan = broadcast_plan(shape, target)
        except LoweringError as error:
            raise LoweringError(f"node {node.name} ({node.op}): {error}") from error
        wide = state.tensor(f"{node.name}/{place}", target, name)
        state.rearrange(node, plan, name, wide, suffix=f"/{place}", constants=f"/{place}")
        names.append(wide)
    return tuple(names)


def _sum(state: Lowering, node: Node) -> None:
    """Lower add and sub: both operands in one scale with fraction bits, then the output's scale."""
    width = state.width(node, 8, 16)
    first, second = state.sources(node)
    left, points = _SUM_SHIFT[width], zero_points(state, node, "input_a", "input_b")
    scales = state.scale(first), state.scale(second), state.scale(node.output)
    kernel = f"{node.op}_a{width}"
    real = None
    if state.profile.name == xnnpack.PROFILE:
        real = xnnpack.sum_reals(*scales) if width == 8 else None
        state = state if real is not None else litert(state)
    rounding = {"rounding": int(state.profile.rounding_of(node.op))}
    if real is None:
        larger = max(scales[:2])
        real = np.array(
            [scales[0] / (2 * larger), scales[1] / (2 * larger), 2 * larger / (2**left * scales[2])]
        )
        if state.profile.name == optimized.PROFILE:
            _refuse_powers_of_two(state, node, scales)
            if node.op == "add":
                _refuse_wrapping(state, node, scales)
                kernel = f"add_mixed_a{width}"
                rounding["operand_rounding"] = int(Rounding.SINGLE)
    parameters = {**(points if width == 8 else {}), "left_shift": left, **state.clamps(node), **rounding}
    constants = state.scales(node, real)
    state.call(node, kernel, parameters, constants, inputs=broadcast(state, node))


def _refuse_powers_of_two(state: Lowering, node: Node, scales: tuple[float, float, float]) -> None:
    """Refuse int16 sums for which a flag of the model file, that a Graph lacks, decides in LiteRT."""
    if state.bits(node.output) == 16 and all(math.frexp(scale)[0] == 0.5 for scale in scales):
        raise LoweringError(
            f"node {node.name} ({node.op}): with scales that are powers of two, {state.profile.name} adds "
            "int16 in one of two ways, as a flag of the model says; choose tflite_double"
        )


def _refuse_wrapping(state: Lowering, node: Node, scales: tuple[float, float, float]) -> None:
    """Refuse sums that LiteRT's vector code, which packs them to 16 bits before the zero point, may wrap."""
    greatest = 255 * (scales[0] + scales[1]) / scales[2]
    if state.bits(node.output) == 8 and greatest > 2**15 - 512:
        raise LoweringError(
            f"node {node.name} (add): sums may reach {greatest:.0f} output steps, which "
            f"{state.profile.name} wraps at 16 bits; the output scale is far too small"
        )


def _multiply(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16)
    first, second = state.sources(node)
    scales = state.scale(first), state.scale(second), state.scale(node.output)
    if width != 8 or not xnnpack.multiplies(*scales):
        state = litert(state)
    real = state.real(node, scales[:2], scales[2])
    parameters = {
        **zero_points(state, node, "input_a", "input_b"),
        **state.clamps(node),
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    constants = state.scales(node, real)
    state.call(node, f"mul_a{width}", parameters, constants, inputs=broadcast(state, node))


def _squared_difference(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16)
    first, second = state.sources(node)
    state = litert(state)
    twice = 2 * max(state.scale(first), state.scale(second))
    left = _SQUARE_SHIFT[width]
    real = np.array(
        [
            state.scale(first) / twice,
            state.scale(second) / twice,
            twice * twice / (4**left * state.scale(node.output)),
        ]
    )
    parameters = {
        **zero_points(state, node, "input_a", "input_b"),
        "left_shift": left,
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    constants = state.scales(node, real)
    state.call(node, f"squared_difference_a{width}", parameters, constants, inputs=broadcast(state, node))


def _selection(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16, 32)
    state.call(node, f"{node.op}_a{width}", inputs=broadcast(state, node))


def _prelu(state: Lowering, node: Node) -> None:
    source, slope = state.sources(node)
    width = state.bits(source)
    if width not in (8, 16) or state.bits(node.output) != width or state.bits(slope) != 8:
        raise LoweringError(
            f"node {node.name} (prelu) must have int8 or int16 activations of one type and an int8 slope; "
            f"got int{width} to int{state.bits(node.output)} with an int{state.bits(slope)} slope"
        )
    state, output = litert(state), state.scale(node.output)
    real = np.concatenate(
        [
            state.real(node, [state.scale(source)], output),
            state.real(node, [state.scale(source), state.scale(slope)], output),
        ]
    )
    parameters = {
        "input_zero_point": state.zero_point(source),
        "slope_zero_point": state.zero_point(slope),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    constants = state.scales(node, real)
    state.call(node, f"prelu_a{width}", parameters, constants, inputs=broadcast(state, node))


RULES: dict[str, Rule] = {
    "add": _sum,
    "sub": _sum,
    "mul": _multiply,
    "squared_difference": _squared_difference,
    "maximum": _selection,
    "minimum": _selection,
    "prelu": _prelu,
}
