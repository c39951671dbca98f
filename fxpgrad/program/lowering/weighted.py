"""Layers with weights: convolutions, transposed ones and dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node, Tensor
from fxpgrad.program.lowering import optimized, xnnpack
from fxpgrad.program.lowering.lowering import Lowering, Rule, quantization_of

# With int16 activations TFLite-Micro reads the bias of these as int64, whatever its type.
_ONLY_WIDE_BIAS = ("depthwise_conv2d", "transpose_conv2d")


def _layer(state: Lowering, node: Node, parameters: dict[str, int]) -> None:
    """Lower a node with weights and a bias, for int8 or int16 activations."""
    roles = state.graph.constants_of(node)
    weights, bias = roles["weights"], roles["bias"]
    source = state.sources(node)[0]
    width = {"int8": 8, "int16": 16}.get(weights.dtype)
    if width is None or weights.data is None or bias.data is None:
        raise LoweringError(f"node {node.name}: weights must be int8 or int16; got {weights.dtype}")
    quantization = quantization_of(weights)
    if np.any(quantization.zero_point != 0):
        raise LoweringError(f"node {node.name}: weights must be symmetric (zero point 0)")
    activations = state.width(node, 8, 16)
    axis = weights.data.ndim - 1 if node.op == "depthwise_conv2d" else 0
    channels = weights.shape[axis]
    real = state.real(
        node,
        [state.scale(source), quantization.scale],
        state.scale(node.output),
        per_tensor=quantization.scale.size == 1,
    )
    weight_scale = np.broadcast_to(quantization.scale, (channels,)).astype(np.float64)
    wide = activations == 16
    constants = {
        "weights": state.constant(f"{node.name}/weights", weights.data, weight_scale.copy(), axis),
        "bias": state.constant(
            f"{node.name}/bias",
            bias.data.astype(np.int64 if wide else np.int32),
            state.scale(source) * weight_scale,
        ),
        **state.scales(node, np.broadcast_to(real, (channels,))),
    }
    own = _parameters_16(state, node, weights, bias) if wide else _parameters_8(state, node)
    split = "_split" if state.split and width == 16 and not wide else ""
    if split and node.op == "transpose_conv2d":
        raise LoweringError(f"node {node.name} ({node.op}) has no split form; use 8-bit weights")
    parameters = {**parameters, **own, **state.clamps(node)}
    state.call(node, f"{node.op}_a{activations}w{width}{split}", parameters, constants)


def _parameters_8(state: Lowering, node: Node) -> dict[str, int]:
    """Return what layers of int8 activations take."""
    own = {
        "input_zero_point": state.zero_point(state.sources(node)[0]),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(optimized.layer_rounding(state, node)),
    }
    return own if node.op == "transpose_conv2d" else {**own, "accumulator_bits": 32}


def _parameters_16(state: Lowering, node: Node, weights: Tensor, bias: Tensor) -> dict[str, int]:
    """Return what layers of int16 activations take; refuse what their kernels do not compute.

    The type of the bias says how the runtime sums: int32 means 32 bits and the rounding of int8 layers,
    int64 means 64 bits and `wide_rounding`.
    """
    if weights.dtype != "int8":
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 activations need int8 weights without a zero point; "
            f"got {weights.dtype}"
        )
    if bias.dtype == "int32" and node.op in _ONLY_WIDE_BIAS:
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 activations need an int64 bias here; runtimes misread int32"
        )
    if bias.dtype == "int32" and state.profile.name == optimized.PROFILE:
        raise LoweringError(
            f"node {node.name} ({node.op}): how {state.profile.name} reads an int32 bias beside int16 "
            "activations depends on a flag of the model file; choose tflite_double"
        )
    rounding = int(state.profile.rounding) if bias.dtype == "int32" else state.wide_rounding(node)
    zero_points = {
        "input_zero_point": state.zero_point(state.sources(node)[0]),
        "output_zero_point": state.zero_point(node.output),
    }
    if node.op == "fully_connected":
        return {**zero_points, "rounding": rounding}
    if any(zero_points.values()):
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 activations must have zero point 0, as runtimes assume; "
            f"got {zero_points['input_zero_point']} and {zero_points['output_zero_point']}"
        )
    return {"rounding": rounding}


def _window(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    if node.op == "transpose_conv2d" and state.profile.name == xnnpack.PROFILE:
        kernel = state.graph.constants_of(node)["weights"].shape[1:3]
        if any(taps < step for taps, step in zip(kernel, attributes["stride"], strict=True)):
            raise LoweringError(
                f"node {node.name} ({node.op}): a kernel smaller than its stride is computed by XNNPACK in a "
                "way that is not known; choose tflite_double"
            )
    parameters = {
        "stride_h": attributes["stride"][0],
        "stride_w": attributes["stride"][1],
        "pad_top": attributes["padding"][0],
        "pad_left": attributes["padding"][2],
    }
    if node.op != "transpose_conv2d":
        parameters |= {"dilation_h": attributes["dilation"][0], "dilation_w": attributes["dilation"][1]}
    if node.op == "conv2d":
        parameters["groups"] = attributes["groups"]
    _layer(state, node, parameters)


def _fully_connected(state: Lowering, node: Node) -> None:
    _layer(state, node, {})


RULES: dict[str, Rule] = {
    "conv2d": _window,
    "depthwise_conv2d": _window,
    "transpose_conv2d": _window,
    "fully_connected": _fully_connected,
}
