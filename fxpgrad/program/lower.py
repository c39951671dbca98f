"""lower(graph, profile): the last place where a real number exists.

Scales become (multiplier, shift) pairs, activations become clamps, every shift and accumulator is
checked, and what cannot be proved is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.program.multiplier import Rule, derive_multiplier
from fxpgrad.program.program import Call, Constant, Program, TensorInfo
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.program.validate import check_program
from fxpgrad_kernels.arithmetic.profiles import Profile, profile_named
from fxpgrad_kernels.errors import MultiplierError

ADD_LEFT_SHIFT = 20


@dataclass(slots=True)
class _Lowering:
    """What one run of `lower` collects."""

    graph: Graph
    profile: Profile
    split: bool
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def scale(self, name: str) -> float:
        """Return an activation's scale."""
        return float(_quantization(self.graph.tensors[name]).scale[0])

    def zero_point(self, name: str) -> int:
        """Return an activation's zero point."""
        return int(_quantization(self.graph.tensors[name]).zero_point[0])

    def clamps(self, node: Node) -> dict[str, int]:
        """Return the int8 bounds that a fused activation means at the output's quantization."""
        low, high = ACTIVATION_BOUNDS[str(node.attributes.get("activation", "none"))]
        scale, zero_point = self.scale(node.output), self.zero_point(node.output)
        bounds = {"clamp_low": -128, "clamp_high": 127}
        if np.isfinite(low):
            bounds["clamp_low"] = int(np.clip(zero_point + _nearest(low / scale), -128, 127))
        if np.isfinite(high):
            bounds["clamp_high"] = int(np.clip(zero_point + _nearest(high / scale), -128, 127))
        return bounds

    def scales(self, node: Node, real: NDArray[np.float64]) -> dict[str, str]:
        """Store the (multiplier, shift) pairs of `real` and return their constants' names."""
        rule: Rule = "tosa" if self.profile.name.startswith("tosa") else "double"
        try:
            multiplier, shift = derive_multiplier(real, rule, self.profile)
        except MultiplierError as error:
            raise LoweringError(f"node {node.name}: {error}") from error
        return {
            "multiplier": self.constant(f"{node.name}/multiplier", multiplier),
            "shift": self.constant(f"{node.name}/shift", shift),
        }

    def constant(
        self, name: str, data: NDArray[Any], scale: NDArray[np.float64] | None = None, axis: int = 0
    ) -> str:
        """Store a constant and return its name."""
        self.constants[name] = Constant(name, np.ascontiguousarray(data), scale, axis)
        return name

    def call(
        self, node: Node, kernel: str, parameters: dict[str, int], constants: dict[str, str] | None = None
    ) -> None:
        """Append the one call that a node becomes."""
        inputs = self.graph.activations_of(node)
        self.calls.append(Call(node.name, kernel, inputs, constants or {}, node.output, parameters))


def _nearest(value: float) -> float:
    """Round half away from zero, as runtimes quantize the bounds of an activation."""
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _quantization(tensor: Tensor) -> Any:
    if tensor.quantization is None:
        raise LoweringError(f"tensor {tensor.name} has no scale: quantize the Graph before lowering it")
    return tensor.quantization


def _weighted(state: _Lowering, node: Node, kernel: str, parameters: dict[str, int]) -> None:
    """Lower a node with weights: conv2d, depthwise_conv2d, fully_connected."""
    roles = state.graph.constants_of(node)
    weights, bias = roles["weights"], roles["bias"]
    source = state.graph.activations_of(node)[0]
    width = {"int8": 8, "int16": 16}.get(weights.dtype)
    if width is None or weights.data is None or bias.data is None:
        raise LoweringError(f"node {node.name}: weights must be int8 or int16; got {weights.dtype}")
    quantization = _quantization(weights)
    if np.any(quantization.zero_point != 0):
        raise LoweringError(f"node {node.name}: weights must be symmetric (zero point 0)")
    axis = weights.data.ndim - 1 if node.op == "depthwise_conv2d" else 0
    channels = weights.shape[axis]
    weight_scale = np.broadcast_to(quantization.scale, (channels,)).astype(np.float64)
    bias_scale = state.scale(source) * weight_scale
    real = bias_scale / state.scale(node.output)
    constants = {
        "weights": state.constant(f"{node.name}/weights", weights.data, weight_scale.copy(), axis),
        "bias": state.constant(f"{node.name}/bias", bias.data.astype(np.int32), bias_scale),
        **state.scales(node, real),
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
    state.call(node, f"{kernel}_a8w{width}{suffix}", parameters, constants)


def _conv2d(state: _Lowering, node: Node) -> None:
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
    _weighted(state, node, node.op, parameters)


def _fully_connected(state: _Lowering, node: Node) -> None:
    _weighted(state, node, "fully_connected", {})


def _pool(state: _Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    parameters = {
        "size_h": attributes["size"][0],
        "size_w": attributes["size"][1],
        "stride_h": attributes["stride"][0],
        "stride_w": attributes["stride"][1],
        "pad_top": attributes["padding"][0],
        "pad_left": attributes["padding"][2],
        **state.clamps(node),
    }
    state.call(node, f"{node.op}_a8", parameters)


def _rescale(state: _Lowering, node: Node) -> tuple[dict[str, int], dict[str, str]]:
    """Return the parameters and constants of a node that only changes the scale."""
    source = state.graph.activations_of(node)[0]
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(state.profile.rounding),
    }
    return parameters, state.scales(node, np.array([state.scale(source) / state.scale(node.output)]))


def _global_average_pool2d(state: _Lowering, node: Node) -> None:
    parameters, constants = _rescale(state, node)
    state.call(node, "global_average_pool2d_a8", parameters, constants)


def _quantize(state: _Lowering, node: Node) -> None:
    parameters, constants = _rescale(state, node)
    state.call(node, "quantize_a8", parameters, constants)


def _add(state: _Lowering, node: Node) -> None:
    first, second = state.graph.activations_of(node)
    larger = max(state.scale(first), state.scale(second))
    real = np.array(
        [
            state.scale(first) / (2 * larger),
            state.scale(second) / (2 * larger),
            2 * larger / (2**ADD_LEFT_SHIFT * state.scale(node.output)),
        ]
    )
    parameters = {
        "input_a_zero_point": state.zero_point(first),
        "input_b_zero_point": state.zero_point(second),
        "output_zero_point": state.zero_point(node.output),
        "left_shift": ADD_LEFT_SHIFT,
        **state.clamps(node),
        "rounding": int(state.profile.rounding),
    }
    state.call(node, "add_a8", parameters, state.scales(node, real))


def _activation(state: _Lowering, node: Node) -> None:
    state.call(node, "clamp_a8", state.clamps(node))


def _pad(state: _Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    parameters = {
        **dict(zip(("pad_top", "pad_bottom", "pad_left", "pad_right"), attributes["padding"], strict=True)),
        "input_zero_point": state.zero_point(node.output),
    }
    state.call(node, "pad_a8", parameters)


def _reshape(state: _Lowering, node: Node) -> None:
    state.call(node, "reshape_a8", {})


def _concat(state: _Lowering, node: Node) -> None:
    axis = int(node.attributes["axis"])  # type: ignore[arg-type]
    column = 0
    for position, name in enumerate(state.graph.activations_of(node)):
        parameters = {"column": column}
        state.calls.append(
            Call(f"{node.name}/{position}", "copy_block_a8", (name,), {}, node.output, parameters, axis)
        )
        column += int(np.prod(state.graph.tensors[name].shape[axis:], dtype=np.int64))


_RULES: dict[str, Callable[[_Lowering, Node], None]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "fully_connected": _fully_connected,
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "global_average_pool2d": _global_average_pool2d,
    "add": _add,
    "activation": _activation,
    "pad": _pad,
    "concat": _concat,
    "reshape": _reshape,
    "quantize": _quantize,
}


def lower(graph: Graph, profile: str = "tflite_double", *, split: bool = False) -> Program:
    """Turn a quantized Graph into a Program under a named rounding profile.

    Parameters
    ----------
    graph : Graph
        Quantized: every tensor has a scale; int8 activations, int8 or int16 weights, int32 biases.
    profile : str
        A name of `fxpgrad_kernels.arithmetic.profiles.PROFILES`.
    split : bool
        Multiply 16-bit weights as two passes of 8-bit ones (for 8-bit multipliers); same bits.

    Raises
    ------
    LoweringError
        A scale without a legal multiplier, or a layer whose accumulator cannot be proved.
    GraphError
        The Graph is not well formed (`check_graph`: an operator that would change the scale silently).
    """
    check_graph(graph)
    state = _Lowering(graph, profile_named(profile), split)
    for name, tensor in graph.tensors.items():
        if tensor.data is not None:
            continue
        if tensor.dtype != "int8":
            raise LoweringError(
                f"tensor {name} is {tensor.dtype}: activations must be int8; quantize the Graph"
            )
        state.tensors[name] = TensorInfo(
            name, tensor.shape, tensor.dtype, state.zero_point(name), state.scale(name)
        )
    for node in graph.nodes:
        if node.op not in _RULES:
            raise LoweringError(
                f"node {node.name}: {node.op} cannot be lowered; supported: {', '.join(_RULES)}"
            )
        _RULES[node.op](state, node)
    calls = tuple(state.calls)
    program = with_proved_accumulators(
        Program(graph.name, profile, state.tensors, state.constants, calls, graph.inputs, graph.outputs)
    )
    check_program(program)
    return program
