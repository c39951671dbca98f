"""Pools over windows of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule


def _pool(state: Lowering, node: Node) -> None:
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
    state.call(node, f"{node.op}_a{state.width(node, 8)}", parameters)


def _global_average_pool2d(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    source = state.sources(node)[0]
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": state.element_rounding,
    }
    real = np.array([state.scale(source) / state.scale(node.output)])
    state.call(node, "global_average_pool2d_a8", parameters, state.scales(node, real))


RULES: dict[str, Rule] = {
    "max_pool2d": _pool,
    "average_pool2d": _pool,
    "global_average_pool2d": _global_average_pool2d,
}
