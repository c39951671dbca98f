"""A verdict for machines and for files: JSON, JUnit, a folder with everything that a person needs next."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fxpgrad.conformance.calls import Case, keywords
from fxpgrad.conformance.conform import Verdict
from fxpgrad.conformance.definition import expected_of, given_arrays, parameters_of
from fxpgrad.conformance.examine import KINDS, Finding
from fxpgrad.conformance.reproduction import c_header, python_reproduction
from fxpgrad.conformance.text_report import printable, text_report
from fxpgrad.conformance.trace import steps_at
from fxpgrad.files import make_folder, remove_file, write_atomically
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

# What a JUnit file has a test for, and the kinds of findings that fail it.
_TESTS = {
    "loads": ("load",),
    "returns": ("crash", "hang", "exception", "status", "shape"),
    "keeps to its arrays": ("bounds", "modified", "unwritten"),
    "equals the definition": ("values", "unstable"),
}


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as a JSON object."""
    spec = kernel_named(verdict.kernel)
    diagnosis = verdict.diagnosis
    return {
        "target": verdict.target,
        "kernel": verdict.kernel,
        "profile": verdict.profile,
        "passed": verdict.passed,
        "cases": verdict.cases,
        "seed": verdict.seed,
        "seconds": round(verdict.seconds, 3),
        "not_expressible": dict(verdict.refused),
        "findings": [_finding(spec, finding, verdict) for finding in verdict.findings],
        "diagnosis": diagnosis
        and {
            "causes": [{"name": c.name, "sentence": c.sentence} for c in diagnosis.causes],
            "failing_cases": diagnosis.failing,
            "passing_cases": diagnosis.passing,
            "causes_tried": diagnosis.tried,
        },
    }


def _finding(spec: KernelSpec, finding: Finding, verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": finding.kind, "title": KINDS[finding.kind], "text": finding.text}
    if finding.output:
        told |= {
            **{"output": finding.output, "index": list(finding.index)},
            **{"expected": finding.expected, "got": finding.got},
            **{"wrong_elements": finding.wrong, "compared_elements": finding.compared},
        }
    if finding.case:
        told["case"] = _case(spec, finding.case)
        told["trace"] = [
            {"name": step.name, "value": step.value}
            for step in steps_at(spec, finding.case, finding.output, finding.index)
        ]
        told["reproduction"] = reproduction_of(verdict, finding)
    return told


def _case(spec: KernelSpec, case: Case) -> dict[str, Any]:
    extra = keywords(spec, case)
    return {
        "arrays": {
            name: {"dtype": values.dtype.name, "shape": list(values.shape), "values": values.tolist()}
            for name, values in given_arrays(spec, case).items()
        },
        "parameters": parameters_of(spec, case),
        "keywords": {name: np.asarray(value).tolist() for name, value in extra.items()},
        "output_shapes": {name: [int(n) for n in shape] for name, shape in case["shapes"].items()},
    }


def reproduction_of(verdict: Verdict, finding: Finding) -> str:
    """Return a Python program that shows a finding again."""
    return python_reproduction(kernel_named(verdict.kernel), finding.case, verdict.place, verdict.setup)


def as_junit(verdict: Verdict) -> bytes:
    """Return a verdict as a JUnit file: one test suite, one test for each thing that is asked of a target."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"fxpgrad conform {verdict.kernel}",
        tests=str(len(_TESTS)),
        failures=str(sum(any(f.kind in kinds for f in verdict.findings) for kinds in _TESTS.values())),
        errors="0",
        time=f"{verdict.seconds:.3f}",
    )
    for name, kinds in _TESTS.items():
        test = ElementTree.SubElement(suite, "testcase", classname=verdict.kernel, name=name, time="0")
        found = [finding for finding in verdict.findings if finding.kind in kinds]
        if found:
            failure = ElementTree.SubElement(test, "failure", message=printable(found[0].text))
            failure.text = printable(text_report(verdict))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text


def write_report(verdict: Verdict, folder: str | Path) -> list[Path]:
    """Write report.txt, report.json, junit.xml and, for every finding, a case as .npz, .py and .h.

    Cases that an earlier report left in the folder, of findings that this one has not, are deleted.

    Raises
    ------
    StoreError
        The folder cannot be made or written.
    """
    target = make_folder(folder)
    files = {
        "report.txt": text_report(verdict).encode(),
        "report.json": (json.dumps(verdict_as_json(verdict), indent=2, allow_nan=False) + "\n").encode(),
        "junit.xml": as_junit(verdict),
    }
    spec = kernel_named(verdict.kernel)
    for finding in verdict.findings:
        if not finding.case:
            continue
        start, case = f"case_{finding.kind}", finding.case
        expected = expected_of(spec, case)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            **given_arrays(spec, case),
            **{name: np.int64(value) for name, value in parameters_of(spec, case).items()},
            **{f"expected_{name}": values for name, values in expected.items()},
            **{f"got_{name}": values for name, values in finding.results.items()},
        }
        np.savez(buffer, **arrays)
        files[f"{start}.npz"] = buffer.getvalue()
        files[f"{start}.py"] = reproduction_of(verdict, finding).encode()
        files[f"{start}.h"] = c_header(
            spec, case, expected, f"{KINDS[finding.kind]}: {finding.text}"
        ).encode()
    for name, content in files.items():
        write_atomically(target / name, content)
    for name in (f"case_{kind}.{ending}" for kind in KINDS for ending in ("npz", "py", "h")):
        if name not in files:
            remove_file(target / name)
    return [target / name for name in files]
