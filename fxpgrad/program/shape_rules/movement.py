"""Movements: no index outside the arrays, no two that meet, no block outside its row."""

from __future__ import annotations

import numpy as np

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule
from fxpgrad_kernels.shape.rearrange import GREATEST_RANK


def _rearrange(view: CallView) -> None:
    p, sizes = view.parameters, view.sizes
    view.require(sizes["R"] <= GREATEST_RANK, f"{sizes['R']} axes are more than {GREATEST_RANK}")
    samples, rest = divmod(sizes["N"], p["input_elements"])
    view.require(
        rest == 0 and samples * p["output_elements"] == sizes["M"],
        f"samples of {p['input_elements']} to {p['output_elements']} elements do not fit "
        f"{sizes['N']} and {sizes['M']}",
    )
    # Python integers: a sum of products of int32 may be beyond int64.
    extents = view.constants["extents"].tolist()
    for side in ("input", "output"):
        strides = view.constants[f"{side}_strides"].tolist()
        spans = [(extent - 1) * stride for extent, stride in zip(extents, strides, strict=True)]
        lowest = p[f"{side}_offset"] + sum(min(span, 0) for span in spans)
        highest = p[f"{side}_offset"] + sum(max(span, 0) for span in spans)
        elements = p[f"{side}_elements"]
        view.require(
            lowest >= 0 and highest < elements,
            f"elements {lowest} to {highest} of the {side} leave a sample of {elements}",
        )
    reach = 0
    for stride, extent in sorted(zip(view.constants["output_strides"].tolist(), extents, strict=True)):
        view.require(
            extent == 1 or stride > reach,
            f"two indices may meet in the output: a stride of {stride} within a reach of {reach}",
        )
        reach += (extent - 1) * stride


def _gather(view: CallView) -> None:
    p, sizes, indices = view.parameters, view.sizes, view.constants["indices"]
    outer, rest = divmod(sizes["N"], p["extent"] * p["inner"])
    view.require(
        rest == 0 and outer * sizes["J"] * p["inner"] == sizes["M"],
        f"{sizes['N']} elements hold no axis of {p['extent']} entries of {p['inner']}, or {sizes['J']} of "
        f"them do not make {sizes['M']}",
    )
    outside = indices[(indices < 0) | (indices >= p["extent"])]
    view.require(not np.size(outside), f"the indices {outside.tolist()} are not in [0, {p['extent']})")


def _concatenate_block(view: CallView) -> None:
    p, sizes = view.parameters, view.sizes
    rows, rest = divmod(sizes["N"], p["input_row"])
    view.require(
        rest == 0 and rows * p["output_row"] == sizes["M"],
        f"rows of {p['input_row']} and {p['output_row']} do not fit {sizes['N']} and {sizes['M']} elements",
    )
    end = p["column"] + p["input_row"]
    view.require(end <= p["output_row"], f"the block ends at column {end} of {p['output_row']}")


def _constant(view: CallView) -> None:
    given, wanted = view.sizes["M"], view.sizes["N"]
    view.require(given == wanted, f"the value must have the {wanted} elements of one sample; it has {given}")


def _reshape(view: CallView) -> None:
    """Letters say it all."""


_BY_KERNEL: dict[str, ShapeRule] = {
    "rearrange": _rearrange,
    "gather": _gather,
    "concatenate_block": _concatenate_block,
    "constant": _constant,
    "reshape": _reshape,
}


def _shape(view: CallView) -> None:
    _BY_KERNEL[view.call.kernel.rpartition("_a")[0]](view)


RULES: dict[str, ShapeRule] = {"shape": _shape}
