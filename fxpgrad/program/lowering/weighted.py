"""Layers with weights: convolutions and dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule, quantization_of


def _layer(state: Lowering, node: Node, parameters: dict[str, int]) -> None:
    """Lower a node with weights: conv2d, depthwise_conv2d, fully_connected."""
    roles = state.graph.constants_of(node)
    weights, bias = roles["weights"], roles["bias"]
    source = state.sources(node)[0]
    width = {"int8": 8, "int16": 16}.get(weights.dtype)
    if width is None or weights.data is None or bias.data is None:
        raise LoweringError(f"node {node.name}: weights must be int8 or int16; got {weights.dtype}")
    quantization = quantization_of(weights)
    if np.any(quantization.zero_point != 0):
        raise LoweringError(f"node {node.name}: weights must be symmetric (zero point 0)")
    state.width(node, 8)
    axis = weights.data.ndim - 1 if node.op == "depthwise_conv2d" else 0
    channels = weights.shape[axis]
    real = state.real(
        node,
        [state.scale(source), quantization.scale],
        state.scale(node.output),
        per_tensor=quantization.scale.size == 1,
    )
    weight_scale = np.broadcast_to(quantization.scale, (channels,)).astype(np.float64)
    constants = {
        "weights": state.constant(f"{node.name}/weights", weights.data, weight_scale.copy(), axis),
        "bias": state.constant(
            f"{node.name}/bias", bias.data.astype(np.int32), state.scale(source) * weight_scale
        ),
        **state.scales(node, np.broadcast_to(real, (channels,))),
    }
    suffix = "_split" if state.split and width == 16 else ""
    parameters = {
        **parameters,
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        **state.clamps(node),
        "rounding": int(state.profile.rounding),
        "accumulator_bits": 32,
    }
    state.call(node, f"{node.op}_a8w{width}{suffix}", parameters, constants)


def _conv2d(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    parameters = {
        "stride_h": attributes["stride"][0],
        "stride_w": attributes["stride"][1],
        "pad_top": attributes["padding"][0],
        "pad_left": attributes["padding"][2],
        "dilation_h": attributes["dilation"][0],
        "dilation_w": attributes["dilation"][1],
    }
    if node.op == "conv2d":
        parameters["groups"] = attributes["groups"]
    _layer(state, node, parameters)


def _fully_connected(state: Lowering, node: Node) -> None:
    _layer(state, node, {})


RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "fully_connected": _fully_connected,
}
