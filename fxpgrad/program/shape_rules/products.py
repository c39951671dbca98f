"""Matrix products."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import ShapeRule, letters_suffice

RULES: dict[str, ShapeRule] = {"fully_connected": letters_suffice}
