"""Operators element by element: the letters say nearly all."""

from __future__ import annotations

from fxpgrad.program.shape_rules.call_view import CallView, ShapeRule, letters_suffice
from fxpgrad_kernels.arithmetic.profiles import LIMITS, Rounding


def _elementwise(view: CallView) -> None:
    """Hold the shifts of operands that have a rounding of their own within what that rounding takes."""
    if "operand_rounding" in view.parameters:
        limits = LIMITS[Rounding(view.parameters["operand_rounding"])]
        shift = view.constants["shift"][:2]
        view.require(
            limits.shift_low <= int(shift.min()) and int(shift.max()) <= limits.shift_high,
            f"shifts of the operands must lie in [{limits.shift_low}, {limits.shift_high}]; "
            f"got {shift.tolist()}",
        )


RULES: dict[str, ShapeRule] = {
    "elementwise": _elementwise,
    **dict.fromkeys(("activation", "lookup", "lookup_pair", "quantization"), letters_suffice),
}
