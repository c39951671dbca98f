"""Legal cases as Hypothesis strategies: what fails shrinks to a small case.

Hypothesis stands in for the random generator that `cases` are drawn with. Integers shrink towards 0, choices
towards their first, `random()` towards 1 (what is special then does not happen), and arrays towards one
value everywhere. Imports Hypothesis: `fxpgrad.testing` does so only when it is asked for a strategy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.roundings import roundings_under, takes_rounding
from fxpgrad.conformance.cases.table import legal_case
from fxpgrad.errors import InputError
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.registry import kernel_named

_PARTS = 100  # of a probability


@functools.lru_cache(maxsize=1000)
def _array(low: int, high: int, shape: tuple[int, ...]) -> Any:
    return arrays(np.int64, shape, elements=st.integers(low, high))


class HypothesisDraws:
    """The methods of `Draws`, each a draw of Hypothesis."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        """Take the function with which a composite strategy draws from others."""
        self._draw = draw

    def _within(self, low: int, high: int, size: Any) -> Any:
        """Return an integer, or an array of them; `high` is inclusive."""
        if size is None:
            return self._draw(st.integers(low, high))
        shape = (size,) if np.ndim(size) == 0 else size
        return self._draw(_array(low, high, tuple(int(n) for n in shape)))

    def integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        """Return integers in [low, high), or [0, low) without `high`; bounds may be arrays."""
        if high is None:
            low, high = 0, low
        if np.ndim(low) == np.ndim(high) == 0:
            return self._within(int(low), int(high) - 1, size)
        bounds = np.broadcast(low, high)
        return np.array([self._within(int(a), int(b) - 1, None) for a, b in bounds]).reshape(bounds.shape)

    def choice(self, a: Sequence[Any] | NDArray[Any], size: Any = None, *, p: Any = None) -> Any:
        """Return one of `a`, or an array of them; `p` for one only."""
        if p is not None:
            ends = np.round(np.cumsum(p) * _PARTS)
            return a[int(np.searchsorted(ends, self._within(0, _PARTS - 1, None), side="right"))]
        places = self._within(0, len(a) - 1, size)
        return a[places] if size is None else np.asarray(a)[places]

    def random(self, size: Any = None) -> Any:
        """Return hundredths in [0, 1) that shrink towards 1."""
        return (_PARTS - 1 - self._within(0, _PARTS - 1, size)) / _PARTS

    def permutation(self, x: int) -> Any:
        """Return 0 to `x` - 1 in some order."""
        return np.array(self._draw(st.permutations(range(x))))


def case_strategy(name: str, profile: Profile | None = None) -> Any:
    """Return the strategy of all legal cases of a kernel, under a profile or all.

    Raises
    ------
    UnknownKernelError
        No kernel has the name.
    InputError
        No Program under the profile calls the kernel.
    """
    spec = kernel_named(name)
    if profile is not None and takes_rounding(spec) and not roundings_under(profile, spec):
        raise InputError(f"no Program under {profile.name} calls {name}: choose another profile")

    def drawn(draw: Callable[[Any], Any]) -> Case:
        return legal_case(name, HypothesisDraws(draw), profile)

    return st.composite(drawn)()
