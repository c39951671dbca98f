"""Operators element by element: the letters say it all."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import ShapeRule, letters_suffice

RULES: dict[str, ShapeRule] = {
    **dict.fromkeys(("activation", "elementwise", "lookup", "lookup_pair", "quantization"), letters_suffice)
}
