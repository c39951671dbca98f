"""Names of layers for people: model files hold long ones."""

from __future__ import annotations

import re


def short_name(name: str) -> str:
    """Return a layer's name for people: the last of the names that a converter joined by semicolons."""
    name = re.sub(r";+(?=/|$)", "", name)
    head, _, position = name.rpartition("/") if name.rpartition("/")[2].isdigit() else (name, "", "")
    last = head.rstrip(";").rpartition(";")[2]
    return f"{last}/{position}" if position else last
