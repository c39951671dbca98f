"""Pools: every window holds at least one pixel of the image."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule


def _pooling(view: CallView) -> None:
    sizes, parameters = view.sizes, view.parameters
    for size, stride, pad, extent, count in (
        ("size_h", "stride_h", "pad_top", "H", "OH"),
        ("size_w", "stride_w", "pad_left", "W", "OW"),
    ):
        before = parameters[pad]
        last = (sizes[count] - 1) * parameters[stride] - before
        view.require(
            before < parameters[size] and last < sizes[extent],
            f"a window along {extent} holds only padding ({pad} {before}, last window at {last})",
        )


RULES: dict[str, ShapeRule] = {"pooling": _pooling}
