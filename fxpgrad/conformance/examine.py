"""One case on one target: what is wrong with it, if anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import Arrays
from fxpgrad.conformance.target import Outcome, Placement, Target

# What can be wrong, in the words of a report.
KINDS: Mapping[str, str] = {
    "load": "the target cannot be loaded",
    "crash": "the target crashed",
    "bounds": "the target leaves its arrays",
    "hang": "the target does not come back",
    "exception": "the target raised an exception",
    "status": "the target returned an error code",
    "shape": "the target returned arrays of another shape or type",
    "modified": "the target wrote to what it must only read",
    "unwritten": "the target left outputs unwritten",
    "unstable": "the target's results change from call to call",
    "values": "the target's results differ from the definition",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a target.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    text : str
        What is known, in one sentence.
    case : mapping
        The case in which it happens; empty for "load".
    output : str
        The array with the first wrong element, if one is wrong.
    index : tuple of int
        Where that element is.
    expected, got : int or None
    wrong, compared : int
        Elements that differ, of how many.
    results : dict
        What the target wrote.
    """

    kind: str
    text: str
    case: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    index: tuple[int, ...] = ()
    expected: int | None = None
    got: int | None = None
    wrong: int = 0
    compared: int = 0
    results: Arrays = field(default_factory=dict)


def examine(target: Target, case: Case, expected: Arrays) -> Finding | None:
    """Run a case in every placement of the target and compare all that it did with what it must do."""
    outcomes = []
    for noise, side in enumerate(target.sides):
        outcome = target.run(case, Placement(side, noise))
        found = _failed(outcome, case) or _unlike(outcome, expected, case)
        if found is not None:
            return found
        outcomes.append(outcome)
    found = _unwritten(target, outcomes, expected, case)
    if found is not None:
        return found
    for outcome in outcomes:
        found = _wrong(outcome.results, expected, case)
        if found is not None:
            return found
    return None


def _failed(outcome: Outcome, case: Case) -> Finding | None:
    """Return what a call did beside computing."""
    if outcome.failure:
        return Finding(outcome.failure, outcome.text, case)
    if outcome.outside:
        name, where = outcome.outside[0]
        return Finding("bounds", f"writes {name} {where}", case)
    if outcome.modified:
        return Finding("modified", f"writes to {', '.join(outcome.modified)}", case)
    return None


def _unlike(outcome: Outcome, expected: Arrays, case: Case) -> Finding | None:
    for name, wanted in expected.items():
        got = outcome.results[name]
        if got.dtype != wanted.dtype or got.shape != wanted.shape:
            text = f"{name} is {got.dtype} {got.shape} instead of {wanted.dtype} {wanted.shape}"
            return Finding("shape", text, case)
    return None


def _unwritten(target: Target, outcomes: list[Outcome], expected: Arrays, case: Case) -> Finding | None:
    """Tell elements that hold what they held before, and results that are another every time."""
    for name in expected:
        values = [outcome.results[name] for outcome in outcomes]
        differ = np.zeros(values[0].shape, bool)
        for other in values[1:]:
            differ |= other != values[0]
        if not differ.any():
            continue
        untouched = differ.copy()
        for outcome in outcomes:
            if name not in outcome.before:
                untouched[...] = False
                break
            untouched &= outcome.results[name] == outcome.before[name]
        if untouched.any():
            index = first_index(untouched)
            text = f"{int(untouched.sum())} of {differ.size} elements of {name} are not written"
            return _at(Finding("unwritten", text, case), name, index, expected[name], values[0], untouched)
        again = [target.run(case, Placement(target.sides[0], 0)) for _ in range(2)]
        same = all(not one.failure and np.array_equal(one.results[name], values[0]) for one in again)
        text = (
            f"{name} depends on what the output held before, or on where the arrays lie"
            if same
            else f"{name} is another when the same call is made again"
        )
        return _at(
            Finding("unstable", text, case), name, first_index(differ), expected[name], values[0], differ
        )
    return None


def _wrong(results: Arrays, expected: Arrays, case: Case) -> Finding | None:
    for name, wanted in expected.items():
        differ = results[name] != wanted
        if differ.any():
            index = first_index(differ)
            finding = Finding(
                "values", f"{int(differ.sum())} of {differ.size} elements of {name} differ", case
            )
            return replace(_at(finding, name, index, wanted, results[name], differ), results=results)
    return None


def _at(
    finding: Finding,
    name: str,
    index: tuple[int, ...],
    expected: NDArray[Any],
    got: NDArray[Any],
    differ: NDArray[np.bool_],
) -> Finding:
    return replace(
        finding,
        output=name,
        index=index,
        expected=int(expected[index]),
        got=int(got[index]),
        wrong=int(differ.sum()),
        compared=differ.size,
    )


def first_index(where: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the first place in C order at which `where` is true."""
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))
