"""Matplotlib, an optional extra, asked for only where a figure is made."""

from __future__ import annotations

import io
from typing import Any

from fxpgrad.errors import MissingExtraError


def import_figure() -> Any:
    """Return Matplotlib's Figure class (pure, without a window), or say how to get it."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError('the plot needs Matplotlib: pip install "fxpgrad[plot]"') from error
    return Figure


def svg_text(figure: Any) -> str:
    """Return a Figure as an <svg> element: the same figure gives the same text, and its words stay words."""
    from matplotlib import rc_context  # noqa: PLC0415

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fxpgrad"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
