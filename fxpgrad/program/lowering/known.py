"""Operators that a profile's runtime computes in a way that is not known here: refused by name.

What was measured is in `docs/dialects.md`. A missing entry means that the runtime's results were
compared, that the operator only moves or selects values, or that its own rule refuses what is open.
"""

from __future__ import annotations

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering

_LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d", "batch_matmul")
_OPEN_IN_LITERT = ("fully_connected", "transpose_conv2d", "softmax", "sum", "resize_bilinear")

# profile -> type of the widest activation -> operators
_UNKNOWN: dict[str, dict[int, tuple[str, ...]]] = {
    "tflite_x86_optimized": {16: _OPEN_IN_LITERT},
    "xnnpack_float32": {8: ("resize_bilinear",), 16: (*_LAYERS, *_OPEN_IN_LITERT)},
    "onnx_float32": {16: (*_LAYERS, "softmax", "mean", "sum")},
    "tosa_single": {16: (*_LAYERS, "softmax")},
    "tosa_double": {16: (*_LAYERS, "softmax")},
}


def require_known(state: Lowering, node: Node) -> None:
    """Raise `LoweringError` if the runtime's arithmetic for this operator and type is not known."""
    width = max((state.bits(name) for name in (*state.sources(node), node.output)), default=8)
    if node.op in _UNKNOWN.get(state.profile.name, {}).get(width, ()):
        raise LoweringError(
            f"node {node.name} ({node.op}) of int{width}: how {state.profile.name} computes it is not known "
            "(docs/dialects.md); choose tflite_double"
        )
