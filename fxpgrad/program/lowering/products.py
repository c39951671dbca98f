"""Products of two activations, and the filter that remembers (SVDF)."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.elementwise import litert
from fxpgrad.program.lowering.lowering import Lowering, Rule, quantization_of


def _batch_matmul(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16)
    first, second = state.sources(node)
    a, output = state.shape(first), state.shape(node.output)
    attributes: Any = node.attributes
    parameters = {
        "rows": output[-2],
        "depth": a[-2] if attributes["adjoint_a"] else a[-1],
        "columns": output[-1],
        "adjoint_a": attributes["adjoint_a"],
        "adjoint_b": attributes["adjoint_b"],
    }
    points = {
        "input_a_zero_point": state.zero_point(first),
        "input_b_zero_point": state.zero_point(second),
        "output_zero_point": state.zero_point(node.output),
    }
    if width == 8:
        if state.zero_point(second):  # XNNPACK takes only right operands without a zero point
            state = litert(state)
        parameters |= {**points, "rounding": int(state.profile.rounding_of(node.op))}
    elif any(points.values()):
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 activations must have zero point 0, as runtimes demand; "
            f"got {list(points.values())}"
        )
    else:
        parameters["rounding"] = state.wide_rounding(node)
    real = state.real(node, [state.scale(first), state.scale(second)], state.scale(node.output))
    state.call(node, f"batch_matmul_a{width}", {**parameters, **state.clamps(node)}, state.scales(node, real))


def _svdf(state: Lowering, node: Node) -> None:
    """Lower SVDF as TFLite-Micro runs it: the fused activation of its integer form is not applied."""
    state = litert(state)
    source, memory = state.sources(node)
    roles = state.graph.constants_of(node)
    feature, time, bias = (roles[role] for role in ("feature_weights", "time_weights", "bias"))
    kernel = {"int16": "svdf_a8", "int8": "svdf_a8_s8"}.get(state.graph.tensors[memory].dtype)
    types = feature.dtype, time.dtype, bias.dtype
    wanted = ("int8", state.graph.tensors[memory].dtype, "int32")
    if kernel is None or types != wanted or {state.bits(source), state.bits(node.output)} != {8}:
        raise LoweringError(
            f"node {node.name} (svdf) must have int8 input, output and feature weights, time weights and "
            f"state of one type (int8 or int16), and an int32 bias; got {types} and state {wanted[1]}"
        )
    constants = {}
    for role, tensor in roles.items():
        quantization = quantization_of(tensor)
        if tensor.data is None or quantization.scale.size != 1 or quantization.zero_point.any():
            raise LoweringError(f"node {node.name} (svdf): {role} must have one scale and zero point 0")
        constants[role] = state.constant(f"{node.name}/{role}", tensor.data)
    memory_scale = state.scale(memory)
    real = [
        state.real(node, [state.scale(source), quantization_of(feature).scale], memory_scale)[0],
        state.real(node, [memory_scale, quantization_of(time).scale], state.scale(node.output))[0],
    ]
    parameters = {
        "rank": int(node.attributes["rank"]),  # type: ignore[arg-type]
        "input_zero_point": state.zero_point(source),
        "state_zero_point": state.zero_point(memory),
        "output_zero_point": state.zero_point(node.output),
        "clamp_low": -128,
        "clamp_high": 127,
        "rounding": int(state.profile.rounding_of(node.op)),
    }
    state.call(node, kernel, parameters, {**constants, **state.scales(node, np.array(real))})


RULES: dict[str, Rule] = {"batch_matmul": _batch_matmul, "svdf": _svdf}
