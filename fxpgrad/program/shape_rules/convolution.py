"""Convolutions: groups, channels and taps."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule

_GREATEST_TAPS = 2**30


def _conv2d(view: CallView) -> None:
    groups, depth, sizes = view.parameters["groups"], view.sizes["C/G"], view.sizes
    view.require(
        depth * groups == sizes["C"] and sizes["O"] % groups == 0,
        f"{groups} groups of {depth} channels do not fit {sizes['C']} channels and {sizes['O']} filters",
    )


def _depthwise_conv2d(view: CallView) -> None:
    sizes = view.sizes
    view.require(
        sizes["O"] % sizes["C"] == 0,
        f"{sizes['O']} output channels are no multiple of the {sizes['C']} input channels",
    )
    view.require(sizes["KH"] * sizes["KW"] < 2**16, "a filter must have fewer than 2^16 taps")


def _transpose_conv2d(view: CallView) -> None:
    sizes = view.sizes
    taps = sizes["KH"] * sizes["KW"] * sizes["C"]
    view.require(taps < _GREATEST_TAPS, f"a filter of {taps} values is larger than 2^30")


RULES: dict[str, ShapeRule] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "transpose_conv2d": _transpose_conv2d,
}
