"""What is probably wrong with a target: which changed definition explains all that it wrote."""

from __future__ import annotations

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
        Each gives, bit for bit, what the target wrote in every sample of which it says anything.
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
    """Return the causes that explain all samples and that the definition itself does not."""
    until = time.monotonic() + seconds
    ordered = sorted(samples, key=lambda sample: (not sample.fails, sample.size))
    failing = sum(sample.fails for sample in ordered)
    found, tried = [], 0
    for cause in causes_of(spec) if failing else ():
        if time.monotonic() > until:
            break
        tried += 1
        if _explains(cause, ordered, failing):
            found.append(cause)
    return Diagnosis(tuple(found), failing, len(ordered) - failing, tried)


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
