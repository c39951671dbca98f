"""Operators element by element: of two activations and of one."""

from __future__ import annotations

import numpy as np

from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule

ADD_LEFT_SHIFT = 20


def _add(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    first, second = state.sources(node)
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
        "rounding": state.element_rounding,
    }
    state.call(node, "add_a8", parameters, state.scales(node, real))


def _quantize(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    source = state.sources(node)[0]
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": state.element_rounding,
    }
    real = np.array([state.scale(source) / state.scale(node.output)])
    state.call(node, "quantize_a8", parameters, state.scales(node, real))


def _activation(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    state.call(node, "clamp_a8", state.clamps(node))


RULES: dict[str, Rule] = {"add": _add, "activation": _activation, "quantize": _quantize}
