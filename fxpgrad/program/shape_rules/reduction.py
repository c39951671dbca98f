"""Reductions: as many results as there are runs of the reduced length."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule


def _reduction(view: CallView) -> None:
    parameters, sizes = view.parameters, view.sizes
    reduced, inner = parameters["reduced"], parameters["inner"]
    view.require(
        sizes["M"] % inner == 0 and sizes["M"] * reduced == sizes["N"],
        f"{sizes['N']} elements reduced {reduced} at a time, {inner} apart, do not make {sizes['M']}",
    )
    if "table" in view.constants:
        view.require(
            sizes["T"] == 255 * reduced + 1,
            f"a table for sums of {reduced} values has {255 * reduced + 1} entries; got {sizes['T']}",
        )


RULES: dict[str, ShapeRule] = {"reduction": _reduction}
