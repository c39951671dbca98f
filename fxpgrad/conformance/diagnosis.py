"""What is probably wrong with a target: which changed definition explains all that it wrote."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.causes.arguments import argument_causes
from fxpgrad.conformance.causes.cause import Cause
from fxpgrad.conformance.causes.elementwise import elementwise_causes
from fxpgrad.conformance.causes.layers import layer_causes
from fxpgrad.conformance.causes.pooling import pooling_causes
from fxpgrad.conformance.definition import Arrays
from fxpgrad_kernels.spec import KernelSpec

_ENOUGH_FOR_PAIRS = 5  # wrong results: two changes can explain a few of them by chance
_MOST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """A case in which the target came back: what it must write and what it wrote."""

    case: Case
    expected: Arrays
    got: Arrays

    @property
    def fails(self) -> bool:
        """Whether the target is wrong."""
        return not _same(self.got, self.expected)

    @property
    def size(self) -> int:
        """The number of elements of all arrays."""
        return sum(value.size for value in self.case.values() if isinstance(value, np.ndarray))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The causes that explain a target's results.

    Attributes
    ----------
    causes : tuple of Cause
        Each gives, bit for bit, what the target wrote in every sample of which it says anything. A pair of
        causes, one thing and another at once, is a cause too.
    failing, passing : int
        Samples, wrong and right ones.
    tried : int
        Causes that were checked.
    """

    causes: tuple[Cause, ...]
    failing: int
    passing: int
    tried: int


def causes_of(spec: KernelSpec) -> Iterator[Cause]:
    """Yield every cause that is known for a kernel."""
    for family in (argument_causes, layer_causes, elementwise_causes, pooling_causes):
        yield from family(spec)


def diagnose(spec: KernelSpec, samples: Iterable[Sample], seconds: float = 20.0) -> Diagnosis:
    """Return the causes that explain all samples, or if none does, the pairs of causes that do."""
    until = time.monotonic() + seconds
    ordered = sorted(samples, key=lambda sample: (not sample.fails, sample.size))
    failing = sum(sample.fails for sample in ordered)
    tried = 0

    def explaining(causes: Iterable[Cause]) -> Iterator[Cause]:
        nonlocal tried
        for cause in causes:
            if time.monotonic() > until:
                return
            tried += 1
            if _explains(cause, ordered, failing):
                yield cause

    found: list[Cause] = []
    if failing:
        found = list(explaining(causes_of(spec)))
    if failing >= _ENOUGH_FOR_PAIRS and not found:
        found = list(itertools.islice(explaining(_pairs(spec)), _MOST_PAIRS))
    return Diagnosis(tuple(found), failing, len(ordered) - failing, tried)


def _pairs(spec: KernelSpec) -> Iterator[Cause]:
    """Yield every two causes of which one is a change of arguments, those of one family last."""
    causes = list(causes_of(spec))
    pairs = [(one, other) for one, other in itertools.combinations(causes, 2) if one.edit is not None]
    pairs.sort(key=lambda pair: pair[0].name.split()[0] == pair[1].name.split()[0])
    for one, other in pairs:
        yield other.after(one)


def _explains(cause: Cause, samples: list[Sample], failing: int) -> bool:
    explained = 0
    for place, sample in enumerate(samples):
        outputs = cause.outputs(sample.case)
        if outputs is None:
            continue
        if not _same(outputs, sample.got):
            return False
        explained += place < failing
    return explained * 2 >= failing


def _same(one: Arrays, other: Arrays) -> bool:
    pairs: list[tuple[Any, Any]] = [(one[name], other[name]) for name in other]
    return all(np.array_equal(a, b) for a, b in pairs)
