"""`fxpgrad diff`: two dumps of all layers, compared value by value."""

from __future__ import annotations

import math
from typing import Any

import click
from rich.table import Table

from fxpgrad.cli.terminal import FILE_NAME, json_option, print_json, print_rich
from fxpgrad.program.difference import Place, TensorDifference, compare_dumps
from fxpgrad.program.layer_names import short_name
from fxpgrad.tasks.npz_data import load_arrays


@click.command("diff")
@click.argument("a", type=FILE_NAME)
@click.argument("b", type=FILE_NAME)
@json_option
@click.pass_context
def diff_command(context: click.Context, a: str, b: str, as_json: bool) -> None:
    """Compare two dumps of a model's layers.

    A and B are .npz files of arrays by tensor name, as `fxpgrad run --dump` writes them. Layers are compared
    in the order of A. Exit code 0: all equal; 1: something differs.
    """
    rows = compare_dumps(load_arrays(a), load_arrays(b))
    unequal = [row for row in rows if not row.equal]
    if as_json:
        print_json(_payload(a, b, rows, unequal))
    else:
        print_rich(_table(a, b, rows), _verdict(rows, unequal))
    context.exit(1 if unequal else 0)


def _payload(
    a: str, b: str, rows: tuple[TensorDifference, ...], unequal: list[TensorDifference]
) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "equal": not unequal,
        "first_unequal": unequal[0].name if unequal else None,
        "unequal_tensors": len(unequal),
        "differing_values": sum(row.differing for row in rows),
        "compared_values": sum(row.values for row in rows),
        "tensors": [
            {
                "name": row.name,
                "status": row.status,
                "detail": row.detail,
                "values": row.values,
                "differing": row.differing,
                "largest": row.largest,
                "first": None if row.first is None else _place(row.first),
            }
            for row in rows
        ],
    }


def _place(place: Place) -> dict[str, Any]:
    """Return the place as JSON, which knows neither NaN nor infinity: these become text."""
    values = {"a": place.a, "b": place.b}
    plain = {key: value if math.isfinite(value) else str(value) for key, value in values.items()}
    return {"index": list(place.index), **plain}


def _table(a: str, b: str, rows: tuple[TensorDifference, ...]) -> Table:
    table = Table(title=f"A = {a}, B = {b}", title_justify="left")
    table.add_column("tensor", overflow="fold")
    table.add_column("values", justify="right")
    table.add_column("differing", justify="right")
    table.add_column("largest", justify="right")
    table.add_column("first difference, or why not compared", overflow="fold")
    for row in rows:
        compared = row.status in {"equal", "different"}
        table.add_row(
            short_name(row.name),
            f"{row.values:,}" if compared else "",
            f"{row.differing:,}" if compared else "",
            ("not finite" if row.largest is None else f"{row.largest:,}") if compared else "",
            _remark(row),
        )
    return table


def _remark(row: TensorDifference) -> str:
    if row.first is not None:
        return f"at {list(row.first.index)}: {row.first.a} and {row.first.b}"
    if row.equal:
        return ""
    return f"{row.status}: {row.detail}" if row.detail else row.status


def _verdict(rows: tuple[TensorDifference, ...], unequal: list[TensorDifference]) -> str:
    values = sum(row.values for row in rows)
    if not unequal:
        return f"equal: {len(rows)} tensors, {values:,} values"
    differing = sum(row.differing for row in rows)
    return (
        f"different: {len(unequal)} of {len(rows)} tensors, {differing:,} of {values:,} values; "
        f"first: {unequal[0].name}"
    )
