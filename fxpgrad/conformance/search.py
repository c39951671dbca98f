"""Cases for a judge: drawn by Hypothesis, which makes them small, or by a generator, which is fast."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.strategies import case_strategy
from fxpgrad_kernels.arithmetic.profiles import Profile

Look = Callable[[dict[str, Any]], None]


class Wrong(Exception):  # noqa: N818
    """Tells Hypothesis that something is wrong with a case."""


class Enough(BaseException):
    """Ends a search at once; Hypothesis lets it pass."""


@functools.cache
def wrong(kind: str) -> type[Wrong]:
    """Return the same class for the same kind: by it Hypothesis tells two faults apart."""
    return type(f"Wrong_{kind}", (Wrong,), {})


def by_hypothesis(kernel: str, profile: Profile | None, start: int, cases: int, look: Look) -> None:
    """Call `look` with cases that Hypothesis draws, and where it raises `Wrong`, with ever smaller ones."""
    chosen = settings(
        max_examples=max(cases, 1),
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=True,
        suppress_health_check=list(HealthCheck),
    )
    drawn: Any = given(case_strategy(kernel, profile))
    searched = seed(start)(chosen(drawn(look)))
    try:
        with contextlib.suppress(Wrong, Flaky, Unsatisfiable, Enough):
            searched()
    except ExceptionGroup as group:
        _, others = group.split((Wrong, Flaky))
        if others is not None:
            raise others from None


def by_generator(kernel: str, profile: Profile | None, start: int) -> Iterator[dict[str, Any]]:
    """Yield cases for ever, the same ones for the same `start`."""
    rng = np.random.default_rng(start)
    while True:
        yield legal_case(kernel, rng, profile)


def size_of(case: Case) -> tuple[int, int]:
    """Return how large a case is: its elements, then those that are not 0."""
    arrays = [value for value in case.values() if isinstance(value, np.ndarray)]
    return sum(a.size for a in arrays), sum(int(np.count_nonzero(a)) for a in arrays)


def digest(case: Case) -> bytes:
    """Return the same bytes for the same case."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(case):
        value = case[name]
        state.update(name.encode())
        if isinstance(value, np.ndarray):
            state.update(repr((value.dtype.str, value.shape)).encode() + value.tobytes())
        else:
            state.update(repr(value).encode())
    return state.digest()
