"""Resampled images: no row or column is read beyond the input."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule

_ONE = 2**10


def _last_place(extent: int, count: int, align_corners: int, half_pixel_centers: int) -> int:
    """Return the first of the two input rows that the last output row reads (or columns)."""
    whole, steps = (extent - 1, count - 1) if align_corners and count > 1 else (extent, count)
    step = (whole * _ONE + steps // 2) // steps
    place = (count - 1) * step + (step // 2 - _ONE // 2 if half_pixel_centers else 0)
    return max(place // _ONE, 0)


def _resize(view: CallView) -> None:
    sizes, parameters = view.sizes, view.parameters
    modes = parameters["align_corners"], parameters["half_pixel_centers"]
    view.require(modes != (1, 1), "align_corners and half_pixel_centers exclude each other")
    for extent, count in (("H", "OH"), ("W", "OW")):
        last = _last_place(sizes[extent], sizes[count], *modes)
        view.require(
            last < sizes[extent],
            f"{sizes[extent]} to {sizes[count]} along {extent}: the step, rounded to 1/1024, leads to "
            f"{last}, outside the image",
        )


RULES: dict[str, ShapeRule] = {"resize": _resize}
