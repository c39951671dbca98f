"""Pools over windows of images."""

from __future__ import annotations

from typing import Any

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad_kernels.registry import kernel_named


def _pool(state: Lowering, node: Node) -> None:
    kernel = f"{node.op}_a{state.width(node, 8, 16)}"
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
    state.call(node, kernel, parameters)


RULES: dict[str, Rule] = {
    "max_pool2d": _pool,
    "average_pool2d": _pool,
}
