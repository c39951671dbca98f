"""Softmax and its like: rows of equal depth, tables of one length."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule

TABLE_ENTRIES = 513
_LEAST_AT_TOP = 2**14


def _rows(view: CallView) -> None:
    depth, elements = view.parameters["depth"], view.sizes["N"]
    view.require(elements % depth == 0, f"{elements} elements are no rows of {depth}")


def _softmax(view: CallView) -> None:
    _rows(view)
    if "T" not in view.sizes:
        return
    view.require(view.sizes["T"] == TABLE_ENTRIES, f"the tables must have {TABLE_ENTRIES} entries")
    # The largest element of a row reads the last two entries, and nothing else is below 0: a sum of at
    # least 2^14 keeps the final shift above 0.
    top = view.constants["exp_table"][-2:]
    view.require(int(top.min()) >= _LEAST_AT_TOP, f"exp_table must end with at least {_LEAST_AT_TOP}")


RULES: dict[str, ShapeRule] = {"softmax": _softmax, "normalization": _rows}
