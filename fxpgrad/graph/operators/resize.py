"""Operators that resample images; the output tensor declares the new height and width."""

from __future__ import annotations

from fxpgrad.graph.attributes import FLAG
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, image, require


def _resize(question: ShapeQuestion) -> Shape:
    leading, _, _, channels = image(question.only)
    wanted = question.wanted()
    require(
        len(wanted) == len(question.only) and wanted[:-3] == leading and wanted[-1] == channels,
        f"a resize changes height and width only; got {list(question.only)} to {list(wanted)}",
    )
    return wanted


_MODES = {"align_corners": FLAG, "half_pixel_centers": FLAG}

OPERATORS = (
    Operator("resize_bilinear", _resize, attributes=_MODES, tied=True),
    Operator("resize_nearest", _resize, attributes=_MODES, tied=True),
)
