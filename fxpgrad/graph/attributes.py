"""What attributes of operators may hold: one rule for each kind of value."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ACTIVATION_BOUNDS: dict[str, tuple[float, float]] = {
    "none": (-math.inf, math.inf),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
    "relu_0_to_1": (0.0, 1.0),
}
ACTIVATIONS: tuple[str, ...] = tuple(ACTIVATION_BOUNDS)


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """What an attribute must be, in words, and the test for it."""

    text: str
    is_legal: Callable[[Any], bool]


def is_int(value: Any, low: int | None = None) -> bool:
    """Whether `value` is an int (not a bool), at least `low`."""
    return isinstance(value, int) and not isinstance(value, bool) and (low is None or value >= low)


def is_ints(value: Any, length: int | None = None, low: int | None = None) -> bool:
    """Whether `value` is a tuple of `length` ints, each at least `low`."""
    return (
        isinstance(value, tuple)
        and (length is None or len(value) == length)
        and all(is_int(item, low) for item in value)
    )


def _is_float(value: Any, *, positive: bool = False) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return number and (value > 0 or not positive)


PAIR = AttributeRule("a tuple of two ints >= 1 (height, width)", lambda value: is_ints(value, 2, 1))
SIDES = AttributeRule(
    "a tuple of four ints >= 0 (top, bottom, left, right)", lambda value: is_ints(value, 4, 0)
)
PADDING = AttributeRule(
    "a tuple of ints >= 0: before and after for each axis but the batch",
    lambda value: is_ints(value, None, 0) and len(value) % 2 == 0,
)
COUNT = AttributeRule("an int >= 1", lambda value: is_int(value, 1))
INTEGER = AttributeRule("an int", is_int)
INTEGERS = AttributeRule("a tuple of ints", is_ints)
COUNTS = AttributeRule("a tuple of ints >= 1", lambda value: is_ints(value, None, 1))
AXIS = AttributeRule("an int >= 0 that leaves the batch out", lambda value: is_int(value, 0))
AXES = AttributeRule(
    "a tuple of different ints >= 0, in rising order, that leave the batch out",
    lambda value: is_ints(value, None, 0) and list(value) == sorted(set(value)),
)
FLAG = AttributeRule("0 or 1", lambda value: is_int(value) and value in (0, 1))
POSITIVE = AttributeRule("a finite float > 0", lambda value: _is_float(value, positive=True))
REAL = AttributeRule("a finite float", _is_float)
ACTIVATION = AttributeRule(f"one of {', '.join(ACTIVATIONS)}", lambda value: value in ACTIVATIONS)


def one_of(*values: str) -> AttributeRule:
    """Return the rule for a choice of strings."""
    return AttributeRule(f"one of {', '.join(values)}", lambda value: value in values)


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Return "; did you mean X?" for the known name nearest to `name`, or the list of known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known) or 'none'}"
