"""Bilinear resizing; nearest-neighbour resizing only moves values (`movement.py`)."""

from __future__ import annotations

from typing import Any

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad_kernels.arithmetic.profiles import Rounding, ShiftRounding


def _resize_bilinear(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    if attributes["align_corners"] and attributes["half_pixel_centers"]:
        raise LoweringError(
            f"node {node.name} (resize_bilinear): align_corners and half_pixel_centers exclude each other"
        )
    once = state.profile.element_rounding == Rounding.SINGLE
    parameters = {
        "align_corners": attributes["align_corners"],
        "half_pixel_centers": attributes["half_pixel_centers"],
        "ties": int(ShiftRounding.NEAREST_UP if once else ShiftRounding.NEAREST_AWAY),
    }
    state.call(node, f"resize_bilinear_a{state.width(node, 8, 16)}", parameters)


RULES: dict[str, Rule] = {"resize_bilinear": _resize_bilinear}
