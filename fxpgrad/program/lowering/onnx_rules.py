"""Operators that ONNX Runtime computes in float32 between integers: tables, under `onnx_float32` only.

These rules take the place of the families' own where the dialect is `pointwise_float32`. What the runtime
computes in floats of more than two values at a time, in an order of its own, is refused here by name.
"""

from __future__ import annotations

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering import weighted
from fxpgrad.program.lowering.elementwise import broadcast
from fxpgrad.program.lowering.lowering import Lowering, Rule, quantization_of
from fxpgrad.program.lowering.onnx_tables import (
    Affine,
    clamp_bounds,
    pair_table,
    requantize_table,
    unary_table,
)

# Operators that the runtime computes in float32 with roundings that are not pinned here: most of them sum.
REFUSED: tuple[str, ...] = (
    "average_pool2d",
    "l2_normalization",
    "log_softmax",
    "mean",
    "prelu",
    "resize_bilinear",
    "rsqrt",
    "softmax",
    "squared_difference",
    "sum",
    "svdf",
)
_UNARY = ("abs", "elu", "exp", "gelu", "hard_swish", "leaky_relu", "logistic", "neg", "tanh")


def affine(state: Lowering, name: str) -> Affine:
    """Return an activation's quantization, with the type that its file has."""
    tensor = state.graph.tensors[name]
    return Affine(state.scale(name), state.zero_point(name), tensor.unsigned)


def _bounds(node: Node) -> tuple[float, float]:
    return ACTIVATION_BOUNDS[str(node.attributes.get("activation", "none"))]


def _pair(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    first, second = state.sources(node)
    table = pair_table(
        node.op,
        affine(state, first),
        affine(state, second),
        affine(state, node.output),
        _bounds(node),
    )
    constants = {"table": state.constant(f"{node.name}/table", table)}
    state.call(node, "lookup_pair_a8", {}, constants, inputs=broadcast(state, node))


def _unary(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    source, output = affine(state, state.sources(node)[0]), affine(state, node.output)
    if node.op == "gelu" and node.attributes["approximate"]:
        raise LoweringError(
            f"node {node.name} (gelu): the tanh approximation is not pinned under {state.profile.name}"
        )
    alpha = float(node.attributes.get("alpha", 1.0))  # type: ignore[arg-type]
    try:
        table = unary_table(node.op, source, output, alpha)
    except LoweringError as error:
        raise LoweringError(f"node {node.name}: {error}") from error
    state.call(node, "lookup_a8", {}, {"table": state.constant(f"{node.name}/table", table)})


def _quantize(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    table = requantize_table(affine(state, state.sources(node)[0]), affine(state, node.output))
    state.call(node, "lookup_a8", {}, {"table": state.constant(f"{node.name}/table", table)})


def _activation(state: Lowering, node: Node) -> None:
    """Requantize and clamp: rounding is monotone, so that the order does not matter."""
    state.width(node, 8)
    output = affine(state, node.output)
    low, high = clamp_bounds(_bounds(node), output)
    table = np.clip(requantize_table(affine(state, state.sources(node)[0]), output), low, high)
    constants = {"table": state.constant(f"{node.name}/table", table.astype(np.int8))}
    state.call(node, "lookup_a8", {}, constants)


def _global_average_pool2d(state: Lowering, node: Node) -> None:
    """Sum exactly, then apply one float32 multiplier that holds the division."""
    state.width(node, 8)
    source = state.sources(node)[0]
    height, width, channels = state.shape(source)[-3:]
    divisor = np.float32(state.scale(node.output)) * np.float32(height * width)
    real = np.float32(state.scale(source)) / divisor
    parameters = {
        "reduced": height * width,
        "inner": channels,
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": state.element_rounding,
    }
    state.call(node, "sum_a8", parameters, state.scales(node, np.array([real], np.float64)))


def _fully_connected(state: Lowering, node: Node) -> None:
    """Give out the accumulators themselves where the output is int32 (MatMulInteger)."""
    if state.graph.tensors[node.output].dtype != "int32":
        weighted.RULES[node.op](state, node)
        return
    roles, source = state.graph.constants_of(node), state.sources(node)[0]
    weights, bias = roles["weights"], roles["bias"]
    width = {"int8": 8, "int16": 16}.get(weights.dtype)
    if width is None or weights.data is None or bias.data is None or state.bits(source) != 8:
        raise LoweringError(f"node {node.name}: int32 sums need an int8 input and int8 or int16 weights")
    scale = np.broadcast_to(quantization_of(weights).scale, (weights.shape[0],)).astype(np.float64)
    constants = {
        "weights": state.constant(f"{node.name}/weights", weights.data, scale.copy()),
        "bias": state.constant(f"{node.name}/bias", bias.data, state.scale(source) * scale),
    }
    parameters = {"input_zero_point": state.zero_point(source), "accumulator_bits": 32}
    state.call(node, f"fully_connected_accumulate_a8w{width}", parameters, constants)


def _refused(state: Lowering, node: Node) -> None:
    raise LoweringError(
        f"node {node.name} ({node.op}): ONNX Runtime computes this in float32, with roundings that have no "
        f"exact integers under {state.profile.name}. Choose another profile, or end the model earlier"
    )


RULES: dict[str, Rule] = {
    **dict.fromkeys(("add", "sub", "mul"), _pair),
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(REFUSED, _refused),
    "activation": _activation,
    "fully_connected": _fully_connected,
    "global_average_pool2d": _global_average_pool2d,
    "quantize": _quantize,
}
