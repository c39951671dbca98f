"""Where a target that crashes leaves its arrays."""

from __future__ import annotations

from dataclasses import replace

from fxpgrad.conformance.examine import Finding
from fxpgrad.conformance.guarded_memory import SIDES
from fxpgrad.conformance.target import Placement, Target

_WHERE = {"end": "behind the end", "start": "before the start"}


def with_bounds(target: Target, finding: Finding, arrays: tuple[str, ...]) -> Finding:
    """Return the finding with the array that the target leaves, if a crash is due to a protected page.

    Parameters
    ----------
    arrays : tuple of str
        The names of the arrays that lie between such pages.
    """
    if finding.kind != "crash" or target.sides[0] is None:
        return finding
    free = target.run(finding.case, Placement())
    if free.failure:
        return finding
    left = []
    for side in SIDES:
        if not target.run(finding.case, Placement(side)).failure:
            continue
        for name in arrays:
            if target.run(finding.case, Placement(side, only=name)).failure:
                left.append(f"{_WHERE[side]} of {name}")
    written = [f"{name} {where}" for name, where in free.outside]
    places = ", ".join(left) or "outside its arrays"
    text = f"touches memory {places} ({finding.text})"
    if written:
        text += f"; it writes {', '.join(written)}"
    return replace(finding, kind="bounds", text=text)
