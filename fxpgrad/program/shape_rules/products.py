"""Matrix products: of an activation with weights, of two activations, and over time."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule, letters_suffice


def _batch_matmul(view: CallView) -> None:
    p, sizes = view.parameters, view.sizes
    rows, depth, columns = p["rows"], p["depth"], p["columns"]
    batch, rest = divmod(sizes["P"], rows * columns)
    view.require(
        rest == 0 and sizes["N"] == batch * rows * depth and sizes["M"] == batch * depth * columns,
        f"{sizes['N']} and {sizes['M']} elements are no matrices of {rows} x {depth} and {depth} x {columns} "
        f"that make {sizes['P']}",
    )


def _svdf(view: CallView) -> None:
    sizes, rank = view.sizes, view.parameters["rank"]
    view.require(
        sizes["F"] == sizes["O"] * rank, f"{sizes['F']} filters are not {sizes['O']} units of rank {rank}"
    )
    view.require(
        sizes["S"] == sizes["F"] * sizes["T"],
        f"a state of {sizes['S']} values does not hold {sizes['T']} steps of {sizes['F']} filters",
    )


RULES: dict[str, ShapeRule] = {
    "fully_connected": letters_suffice,
    "batch_matmul": _batch_matmul,
    "svdf": _svdf,
}
