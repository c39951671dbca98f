"""Pools over windows of images."""

from __future__ import annotations

from typing import Any

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad_kernels.registry import kernel_named

# Up to here the reciprocal of TOSA's AVG_POOL2D gives what a division does, for 16-bit values about 0.
_EXACT_RECIPROCAL = 2**13 - 1


def _pool(state: Lowering, node: Node) -> None:
    width = state.width(node, 8, 16)
    kernel = f"{node.op}_a{width}"
    tosa = node.op == "average_pool2d" and state.profile.name.startswith("tosa_")
    if tosa and width == 8:
        kernel = "average_pool2d_tosa_a8"
    if node.op == "average_pool2d" and not tosa and state.graph.tensors[node.output].unsigned:
        raise LoweringError(
            f"node {node.name} ({node.op}): runtimes round averages of uint8 away from the raw 0, which "
            "int8, 128 less, does not reproduce; requantize the model to int8"
        )
    limit = next(argument.high for argument in kernel_named(kernel).arguments if argument.name == "size_h")
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
    if max(attributes["size"]) > limit:
        raise LoweringError(
            f"node {node.name} ({node.op}): a window must be at most {limit} pixels high and wide; "
            f"got {attributes['size']}"
        )
    if tosa and width == 8:
        parameters["input_zero_point"] = state.zero_point(state.sources(node)[0])
        parameters["output_zero_point"] = state.zero_point(node.output)
    elif tosa and attributes["size"][0] * attributes["size"][1] > _EXACT_RECIPROCAL:
        raise LoweringError(
            f"node {node.name} ({node.op}): int16 windows of {attributes['size']} are not reproduced under "
            f"{state.profile.name}: at most {_EXACT_RECIPROCAL} pixels; choose tflite_double"
        )
    state.call(node, kernel, parameters)


RULES: dict[str, Rule] = {
    "max_pool2d": _pool,
    "average_pool2d": _pool,
}
