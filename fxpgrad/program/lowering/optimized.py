"""LiteRT's optimized kernels on x86: DOUBLE_UP in their vector code, DOUBLE_AWAY in what it leaves over.

Which elements are left over was measured (`docs/dialects.md`). Where one operator rounds in both ways it is
refused by name.
"""

from __future__ import annotations

import numpy as np

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering
from fxpgrad_kernels.arithmetic.profiles import Rounding

PROFILE = "tflite_x86_optimized"
_CHANNELS = 8  # that depthwise and transposed convolutions take at a time
_ELEMENTS = 16  # that quantize takes at a time


def _by_count(state: Lowering, node: Node, count: int, lanes: int, things: str) -> Rounding:
    if count % lanes == 0:
        return Rounding.DOUBLE_UP
    if count < lanes:
        return Rounding.DOUBLE_AWAY
    raise LoweringError(
        f"node {node.name} ({node.op}): {state.profile.name} rounds {count % lanes} of {count} {things} in "
        f"another way than the rest; only multiples of {lanes} are reproduced; choose tflite_double"
    )


def layer_rounding(state: Lowering, node: Node) -> Rounding:
    """Return the rounding of a layer with weights and int8 activations."""
    usual = state.profile.rounding_of(node.op)
    if state.profile.name != PROFILE:
        return usual
    if node.op == "conv2d":
        return Rounding.DOUBLE_AWAY if node.attributes["groups"] != 1 else usual
    if node.op not in ("depthwise_conv2d", "transpose_conv2d"):
        return usual
    if state.graph.tensors[state.sources(node)[0]].unsigned:
        return Rounding.DOUBLE_AWAY
    return _by_count(state, node, state.shape(node.output)[-1], _CHANNELS, "channels")


def quantize_rounding(state: Lowering, node: Node, ratio: float) -> Rounding:
    """Return the rounding of a change of quantization of int8."""
    usual = state.profile.rounding_of(node.op)
    source, output = (state.graph.tensors[name] for name in (state.sources(node)[0], node.output))
    if state.profile.name != PROFILE or ratio == 1:
        return usual
    if source.unsigned != output.unsigned:
        return Rounding.DOUBLE_AWAY
    return _by_count(state, node, int(np.prod(source.shape, dtype=np.int64)), _ELEMENTS, "values")
