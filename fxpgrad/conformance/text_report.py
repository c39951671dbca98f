"""A verdict for people, as plain text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.conform import Verdict
from fxpgrad.conformance.definition import given_arrays, parameters_of
from fxpgrad.conformance.diagnosis import Diagnosis
from fxpgrad.conformance.examine import KINDS, Finding
from fxpgrad.conformance.reproduction import python_reproduction
from fxpgrad.conformance.trace import steps_at
from fxpgrad_kernels.registry import kernel_named

_MOST_VALUES = 64


def text_report(verdict: Verdict) -> str:
    """Return all that a person needs to know."""
    lines = [headline(verdict), *refusals(verdict)]
    for finding in verdict.findings:
        lines += ["", *summary(verdict, finding), *_details(verdict, finding)]
    return "\n".join(lines) + "\n"


def headline(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    rounding = f" under {verdict.profile}" if verdict.profile else ""
    told = f"{verdict.kernel}{rounding}, {verdict.target}: {_cases(verdict.cases)} in {verdict.seconds:.1f} s"
    if verdict.passed:
        return f"{told}, nothing wrong"
    return f"{told}, {len(verdict.findings)} finding{'s' if len(verdict.findings) > 1 else ''}"


def printable(text: str) -> str:
    """Return text that a terminal and XML can take: what a target says may be anything."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def _cases(count: int) -> str:
    return f"{count:,} case{'' if count == 1 else 's'}"


def refusals(verdict: Verdict) -> list[str]:
    """Return a line that says which cases were drawn and not run."""
    if not verdict.refused:
        return []
    told = ", ".join(f"{reason} ({count:,})" for reason, count in verdict.refused.items())
    return [f"not run, because the signature cannot express them: {told}"]


def summary(verdict: Verdict, finding: Finding) -> list[str]:
    """Return what is wrong, where it shows first, and what is probably the cause."""
    lines = [f"{KINDS[finding.kind]}: {printable(finding.text)}"]
    if finding.output:
        lines.append(f"the first is {place(finding)}: expected {finding.expected}, got {finding.got}")
    return lines + (_causes(verdict.diagnosis) if finding.kind == "values" else [])


def _details(verdict: Verdict, finding: Finding) -> list[str]:
    lines = []
    spec = kernel_named(verdict.kernel)
    if finding.case:
        lines.append("the smallest case found:")
        lines += [f"    {name}  {value}" for name, value in case_rows(verdict.kernel, finding)]
    steps = steps_at(spec, finding.case, finding.output, finding.index)
    if steps:
        lines.append(f"how the definition comes to {place(finding)}:")
        lines += [f"    {step.name}: {step.value}" for step in steps]
    if finding.case:
        again = python_reproduction(spec, finding.case, verdict.place, verdict.setup)
        lines += ["to see it again:", *(f"    {line}" for line in again.splitlines())]
    return lines


def place(finding: Finding) -> str:
    """Return the wrong element as an expression."""
    return f"{finding.output}[{', '.join(str(i) for i in finding.index)}]"


def case_rows(kernel: str, finding: Finding) -> list[tuple[str, str]]:
    """Return a case as rows: arrays with shapes and values, then parameters."""
    spec = kernel_named(kernel)
    rows = [
        (f"{name} {values.dtype} {list(values.shape)}", values_text(values))
        for name, values in given_arrays(spec, finding.case).items()
    ]
    rows += [(f"{name} (shape)", str(list(shape))) for name, shape in finding.case["shapes"].items()]
    return rows + [(name, str(value)) for name, value in parameters_of(spec, finding.case).items()]


def values_text(values: NDArray[Any]) -> str:
    """Return an array's values in C order; of many, the first."""
    flat = values.ravel()
    if flat.size > 1 and (flat == flat[0]).all():
        return f"all {flat[0]}"
    told = " ".join(str(value) for value in flat[:_MOST_VALUES])
    nonzero = int(np.count_nonzero(flat))
    return told if flat.size <= _MOST_VALUES else f"{told} ... ({flat.size} values, {nonzero} of them not 0)"


def _causes(diagnosis: Diagnosis | None) -> list[str]:
    if diagnosis is None:
        return []
    compared = f"all {diagnosis.failing} wrong and {diagnosis.passing} right results compared"
    if not diagnosis.causes:
        return [f"no likely cause: none of {diagnosis.tried} changed definitions explains {compared}"]
    if len(diagnosis.causes) == 1:
        explained = f"(it alone of {diagnosis.tried} changed definitions gives {compared}, bit for bit)"
        return [f"likely cause: {diagnosis.causes[0].sentence}", explained]
    causes = [f"    {cause.sentence}" for cause in diagnosis.causes]
    return [f"likely cause, one of these (each gives {compared}, bit for bit):", *causes]
