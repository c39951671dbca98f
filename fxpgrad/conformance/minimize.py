"""Makes a failing case small and its numbers simple, while the same thing stays wrong with the target.

Hypothesis shrinks what a case was drawn from; this goes on with the case itself: indices of axes are left
out, parameters take their simplest value, elements become 0, whatever is still legal and still fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.codegen.signature import array_arguments
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.examine import Finding
from fxpgrad_kernels.spec import KernelSpec

Check = Callable[[Case], Finding | None]

# Parameters that may change without the shapes; all else says a shape, a place or a formula.
_SIMPLE_PARAMETERS = (
    *("stride_h", "stride_w", "dilation_h", "dilation_w", "pad_top", "pad_left"),
    *(
        "input_zero_point",
        "input_a_zero_point",
        "input_b_zero_point",
        "output_zero_point",
        "slope_zero_point",
    ),
    *("clamp_low", "clamp_high"),
)
# Arrays whose values name places.
_PLACES = frozenset(
    ("indices", "labels", "extents", "input_strides", "output_strides", "table", "counts", "amount")
)
# Parameters that say how a flat array is read: its length is bound to them.
_LAYOUT = frozenset(
    (
        *("rows", "depth", "columns", "reduced", "inner", "rank", "extent", "input_elements", "input_row"),
        *("first_index", "count"),
    )
)
_AXES = ("B", "O", "OH", "OW", "H", "W", "KH", "KW", "C", "I", "N")
_SIMPLE_VALUES = {"multiplier": 2**30}


class Minimizer:
    """Reduces one finding.

    Parameters
    ----------
    check : callable
        Returns what is wrong in a case; None if nothing, or if the case is not legal.
    seconds : float
        When to stop.
    """

    def __init__(self, spec: KernelSpec, finding: Finding, check: Check, seconds: float) -> None:
        self._spec, self._check = spec, check
        self._until = time.monotonic() + seconds
        self.best = finding

    def run(self) -> Finding:
        """Return the finding of the smallest case found."""
        while self._time() and any([self._parameters(), self._axes(), self._arrays(), self._values()]):
            pass
        return self.best

    def _time(self) -> bool:
        return time.monotonic() < self._until

    def _attempt(self, changed: dict[str, Any]) -> bool:
        """Keep a change if what was wrong is still wrong."""
        if not self._time():
            return False
        found = self._check({**self.best.case, **changed})
        if found is None or found.kind != self.best.kind:
            return False
        self.best = found
        return True

    def _parameters(self) -> bool:
        kept = False
        ranges = {a.name: (a.low, a.high) for a in self._spec.of_role("parameter")}
        for name in _SIMPLE_PARAMETERS:
            if name not in ranges:
                continue
            low, high = ranges[name]
            simplest = {"clamp_low": low, "clamp_high": high}.get(name, min(max(0, low), high))
            value = int(self.best.case[name])
            for candidate in (simplest, *_between(value, simplest)):
                if candidate != value and self._attempt({name: candidate}):
                    kept = True
                    break
        return kept

    def _axes(self) -> bool:
        """Leave out indices of axes, in pieces of half their length down to one."""
        names = {a.name for a in self._spec.arguments}
        if names & (_LAYOUT | _PLACES) or self.best.case.get("groups", 1) != 1:
            return False
        kept = False
        for letter in _AXES:
            length = _length(self._spec, self.best.case, letter)
            size = length // 2
            while size:
                start = 0
                while start < _length(self._spec, self.best.case, letter):
                    if self._attempt_without(letter, start, size):
                        kept = True
                    else:
                        start += size
                size //= 2
        return kept

    def _attempt_without(self, letter: str, start: int, size: int) -> bool:
        length = _length(self._spec, self.best.case, letter)
        if size >= length:
            return False
        gone = np.arange(start, min(start + size, length))
        changed = _without(self._spec, self.best.case, letter, gone)
        return changed is not None and self._attempt(changed)

    def _arrays(self) -> bool:
        """Set elements to their simplest value, in pieces of all down to one."""
        kept = False
        for name, simplest in self._simplifiable():
            size = self.best.case[name].size
            while size and self._time():
                start = 0
                while start < self.best.case[name].size:
                    values = self.best.case[name].ravel().copy()
                    piece = values[start : start + size]
                    if (piece != simplest).any():
                        piece[...] = simplest
                        kept |= self._attempt({name: values.reshape(self.best.case[name].shape)})
                    start += size
                size //= 2
        return kept

    def _values(self) -> bool:
        """Bring single elements nearer to their simplest value."""
        kept = False
        for name, simplest in self._simplifiable():
            for place in np.flatnonzero(self.best.case[name].ravel() != simplest)[:40]:
                old = int(self.best.case[name].ravel()[place])
                for candidate in _between(old, simplest):
                    values = self.best.case[name].ravel().copy()
                    values[place] = candidate
                    if self._attempt({name: values.reshape(self.best.case[name].shape)}):
                        kept = True
                        break
        return kept

    def _simplifiable(self) -> Iterator[tuple[str, int]]:
        for argument in array_arguments(self._spec):
            if argument.role != "output" and argument.name not in _PLACES:
                simplest = _SIMPLE_VALUES.get(argument.name, min(max(0, argument.low), argument.high))
                yield argument.name, simplest


def _between(value: int, simplest: int) -> list[int]:
    """Return what is simpler than `value`, the simplest first: one step from the goal, then halfway."""
    step = 1 if value > simplest else -1
    found = [simplest + step, simplest + 2 * step, simplest + (value - simplest) // 2, value - step]
    return [v for v in dict.fromkeys(found) if abs(v - simplest) < abs(value - simplest) and v != simplest]


def _length(spec: KernelSpec, case: Case, letter: str) -> int:
    """Return an axis's length; 0 if the kernel has none of that name."""
    for argument in array_arguments(spec):
        if letter in argument.shape:
            shape = case["shapes"][argument.name] if argument.role == "output" else case[argument.name].shape
            return int(shape[argument.shape.index(letter)])
    return 0


def _without(spec: KernelSpec, case: Case, letter: str, gone: NDArray[np.int64]) -> dict[str, Any] | None:
    """Return what changes when indices of an axis are left out; None where that cannot be said."""
    changed: dict[str, Any] = {"shapes": dict(case["shapes"])}
    for argument in array_arguments(spec):
        axes = ["C" if axis == "C/G" else axis for axis in argument.shape]
        if letter not in axes:
            continue
        for place in (i for i, axis in enumerate(axes) if axis == letter):
            if argument.role == "output":
                shape = list(changed["shapes"][argument.name])
                shape[place] -= len(gone)
                changed["shapes"][argument.name] = tuple(shape)
            else:
                values = np.asarray(changed.get(argument.name, case[argument.name]))
                changed[argument.name] = np.delete(values, gone, axis=place)
    if "before" in case:
        return None
    if isinstance(case.get("output_size"), tuple) and letter in {"OH", "OW"}:
        size = list(case["output_size"])
        size[("OH", "OW").index(letter)] -= len(gone)
        changed["output_size"] = tuple(size)
    elif "output_size" in case and letter not in {"B", "O", "H", "W", "C", "KH", "KW", "I"}:
        return None
    return changed
