"""Matplotlib, an optional extra, asked for only where a figure is made."""

from __future__ import annotations

from typing import Any

from fxpgrad.errors import MissingExtraError


def import_figure() -> Any:
    """Return Matplotlib's Figure class (pure, without a window), or say how to get it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError('the plot needs Matplotlib: pip install "fxpgrad[plot]"') from error
    return Figure
