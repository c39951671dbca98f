"""Softmax and its like: rows of equal depth."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import ShapeRule

RULES: dict[str, ShapeRule] = {}
