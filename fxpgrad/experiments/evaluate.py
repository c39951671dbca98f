"""How often a classifier is right: overall with a confidence interval, and class by class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.program import Program
from fxpgrad.program.threads import run_on_threads

_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Samples of one label, and how many of them were classified rightly."""

    label: int
    samples: int
    correct: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The counts behind an accuracy; `per_class` holds the labels that occur, ascending."""

    per_class: tuple[ClassCount, ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(entry.samples for entry in self.per_class)

    @property
    def correct(self) -> int:
        """Number of samples classified rightly."""
        return sum(entry.correct for entry in self.per_class)

    @property
    def accuracy(self) -> float:
        """Share of samples classified rightly, in 0..1."""
        return self.correct / self.samples

    @property
    def ci95(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval of the accuracy."""
        return wilson_interval(self.correct, self.samples)


def wilson_interval(correct: int, samples: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, JASA 22, 1927): never outside 0..1.

    Parameters
    ----------
    correct, samples
        0 <= correct <= samples, samples >= 1.
    """
    if samples < 1 or not 0 <= correct <= samples:
        raise InputError(f"correct must be in 0..samples and samples positive; got {correct} of {samples}")
    share = correct / samples
    growth = 1 + _Z95**2 / samples
    centre = (share + _Z95**2 / (2 * samples)) / growth
    half = _Z95 / growth * math.sqrt(share * (1 - share) / samples + _Z95**2 / (4 * samples**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def class_count(program: Program) -> int:
    """Return the number of classes of a Program that ends in scores, or raise `InputError`."""
    info = program.tensors[program.outputs[0]]
    if len(info.shape) != 1:
        raise InputError(
            f"program {program.name} gives {info.name} of shape {info.shape}; "
            "a classifier must give one score per class"
        )
    return info.shape[0]


def evaluate(
    program: Program, x: NDArray[Any], y: NDArray[np.int32], batch: int = 32, threads: int = 1
) -> Evaluation:
    """Classify by the largest value of the first output (the first of equal ones) and count.

    Parameters
    ----------
    program
        First output [classes]: int8 logits or int32 accumulators.
    x
        The Program's input type, [n, ...input shape].
    y
        int32 [n], 0..classes-1.
    batch, threads
        Samples per inference, and threads that share the samples; neither changes the result.
    """
    classes = class_count(program)
    right = run_on_threads(program, x, threads, batch).argmax(axis=1) == y
    samples = np.bincount(y, minlength=classes)
    correct = np.bincount(y[right], minlength=classes)
    labels = np.flatnonzero(samples)
    return Evaluation(tuple(ClassCount(int(i), int(samples[i]), int(correct[i])) for i in labels))
