"""Which attributes each operator takes, and which values of them are legal."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from fxpgrad.errors import GraphError
from fxpgrad.graph.graph import OPERATORS

ACTIVATIONS: tuple[str, ...] = ("none", "relu", "relu6", "relu_n1_to_1")
ACTIVATION_BOUNDS: dict[str, tuple[float, float]] = {
    "none": (-math.inf, math.inf),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "relu_n1_to_1": (-1.0, 1.0),
}


def _is_int(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _is_ints(value: Any, length: int, low: int) -> bool:
    return isinstance(value, tuple) and len(value) == length and all(_is_int(item, low) for item in value)


def _is_positive_float(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "stride": ("a tuple of two ints >= 1 (height, width)", lambda value: _is_ints(value, 2, 1)),
    "size": ("a tuple of two ints >= 1 (height, width)", lambda value: _is_ints(value, 2, 1)),
    "dilation": ("a tuple of two ints >= 1 (height, width)", lambda value: _is_ints(value, 2, 1)),
    "padding": ("a tuple of four ints >= 0 (top, bottom, left, right)", lambda value: _is_ints(value, 4, 0)),
    "groups": ("an int >= 1", lambda value: _is_int(value, 1)),
    "axis": ("an int >= 0 that leaves the batch out", lambda value: _is_int(value, 0)),
    "epsilon": ("a finite float > 0", _is_positive_float),
    "activation": (f"one of {', '.join(ACTIVATIONS)}", lambda value: value in ACTIVATIONS),
}


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Return "; did you mean X?" for the known name nearest to `name`, or the list of known names."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known) or 'none'}"


def check_attributes(where: str, op: str, attributes: Mapping[str, Any]) -> None:
    """Check that `attributes` are exactly those of `op` and have legal values.

    Parameters
    ----------
    where : str
        How the message calls the node.
    op : str
        A key of `OPERATORS`.
    attributes : mapping
        Attribute values by name.

    Raises
    ------
    GraphError
        The op or an attribute is unknown (the message names the nearest), missing or illegal.
    """
    if op not in OPERATORS:
        raise GraphError(f"{where}: there is no operator {op!r}{nearest(op, tuple(OPERATORS))}")
    known = OPERATORS[op][1]
    for name in attributes:
        if name not in known:
            raise GraphError(f"{where}: {op} has no attribute {name!r}{nearest(name, known)}")
    for name in known:
        rule, is_legal = _RULES[name]
        if name not in attributes:
            raise GraphError(f"{where}: {op} needs the attribute {name}, {rule}; it is missing")
        if not is_legal(attributes[name]):
            raise GraphError(f"{where}: {name} must be {rule}; got {attributes[name]!r}")
