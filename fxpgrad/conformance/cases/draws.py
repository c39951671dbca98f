"""What a case is drawn from: a `numpy.random.Generator`, or Hypothesis behind the same four methods.

One function draws a case for both. So that what Hypothesis finds also shrinks to a small case, these
functions keep two habits:

- what is simplest comes first in `choice`, and nearest to 0 in `integers`;
- ``rng.random() < p`` is true for what is special: shrinking makes it false.
- What is usual is drawn first, and what is special is drawn beside it: shrinking leaves it out, and the rest
  of the case stays as it was.
- Of several ranges the widest comes first, and a number is drawn from it as it is, not as a distance from
  another: so it stays the same while what else was drawn shrinks.
"""

from __future__ import annotations

from typing import Any, Protocol


class Draws(Protocol):
    """The part of `numpy.random.Generator` that cases are drawn with."""

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Return integers in [low, high), or [0, low) without `high`."""

    def choice(self, a: Any, size: Any = None, *, p: Any = None) -> Any:
        """Return one of `a`, or an array of them."""

    def random(self, size: Any = None) -> Any:
        """Return numbers in [0, 1), to be compared with a probability."""

    def permutation(self, x: int) -> Any:
        """Return 0 to `x` - 1 in some order."""
