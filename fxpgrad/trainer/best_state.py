"""The best values of a run so far: what a run that turns hopeless goes back to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fxpgrad.trainer.report import StepReport


class BestState:
    """Copies the values at the end of every `window` steps whose mean loss is lower than any before.

    Parameters
    ----------
    arrays : sequence of ndarray
        The trained values themselves; `restore` writes to them.
    window : int >= 1
        Steps whose mean is compared: a single step's loss says more of its batch than of the values.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]], window: int) -> None:
        self._arrays, self._window = arrays, window
        self._copies: list[NDArray[Any]] = []
        self._losses: list[float] = []
        self._first = self._lowest = float("inf")
        self.step = -1

    def observe(self, report: StepReport) -> None:
        """Take in a step that has been taken."""
        self._losses.append(report.mean_loss)
        if len(self._losses) < self._window:
            return
        mean = sum(self._losses) / len(self._losses)
        self._losses.clear()
        if self._first == float("inf"):
            self._first = mean
        if mean < self._lowest:
            self._lowest, self.step = mean, report.step
            self._copies = [array.copy() for array in self._arrays]

    @property
    def is_better_than_first(self) -> bool:
        """Whether there are values to go back to that were better than the run's first steps."""
        return self._lowest < self._first

    def restore(self) -> None:
        """Write the best values back."""
        for array, copy in zip(self._arrays, self._copies, strict=True):
            array[:] = copy
