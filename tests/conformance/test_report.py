"""What a verdict leaves behind: text, JSON, JUnit, a program and a header that hold the case."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.conform import Setup, Verdict, conform
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.examine import KINDS, Finding
from fxpgrad.conformance.report import as_junit, verdict_as_json, write_report
from fxpgrad.conformance.reproduction import c_header, python_reproduction
from fxpgrad.conformance.text_report import text_report
from fxpgrad.errors import StoreError
from fxpgrad_kernels.registry import kernel_named, kernels

TARGET = "tests.conformance.mock_targets"


@pytest.fixture(scope="module")
def wrong() -> Verdict:
    setup = Setup(timeout=2.0)
    return conform(f"{TARGET}:forgets_output_zero_point", "add_a8", cases=40, shrink_seconds=5.0, setup=setup)


@pytest.fixture(scope="module")
def right() -> Verdict:
    return conform(f"{TARGET}:right", "add_a8", cases=3)


def test_text_tells_everything(wrong):
    text = text_report(wrong)
    for told in (
        "1 finding",
        "differ from the definition",
        "the first is output[0]: expected",
        "likely cause: the zero point of the output is left out",
        "output_zero_point",
        "how the definition comes to output[0]:",
        "clamped to [-128, 127]",
        "check_case(",
    ):
        assert told in text


def test_text_of_a_pass_is_one_line(right):
    assert text_report(right).splitlines()[0].endswith("nothing wrong")
    assert len(text_report(right).splitlines()) == 1


def test_json_holds_case_trace_and_causes(wrong):
    told = json.loads(json.dumps(verdict_as_json(wrong), allow_nan=False))
    assert told["passed"] is False
    (finding,) = told["findings"]
    assert finding["kind"] == "values"
    assert finding["index"] == [0]
    assert finding["case"]["arrays"]["input_a"] == {"dtype": "int8", "shape": [1], "values": [0]}
    assert finding["trace"][-1]["value"] == finding["expected"] != finding["got"]
    assert [cause["name"] for cause in told["diagnosis"]["causes"]] == ["output_zero_point dropped"]


def test_junit_has_one_test_for_each_demand(wrong, right):
    for verdict, failures in ((wrong, 1), (right, 0)):
        suite = ElementTree.fromstring(as_junit(verdict)).find("testsuite")
        assert suite is not None
        assert suite.get("failures") == str(failures)
        assert len(suite.findall("testcase")) == int(suite.get("tests")) == 4
        assert len(suite.findall("testcase/failure")) == failures


def test_junit_survives_what_a_target_says(right):
    finding = Finding("crash", "it said: \x00\x1b[31m\ud800 <&>")
    verdict = Verdict("t", "add_a8", None, None, 0, Setup(), 1, {}, (finding,), None, 0.1)
    assert ElementTree.fromstring(as_junit(verdict)).find("testsuite/testcase/failure") is not None


def test_every_kind_of_finding_fails_a_junit_test():
    for kind in KINDS:
        verdict = Verdict("t", "add_a8", None, None, 0, Setup(), 1, {}, (Finding(kind, "x"),), None, 0.1)
        suite = ElementTree.fromstring(as_junit(verdict)).find("testsuite")
        assert suite is not None
        assert suite.get("failures") == "1"


def test_a_folder_holds_a_program_that_shows_it_again(wrong, tmp_path):
    names = {path.name for path in write_report(wrong, tmp_path / "new" / "folder")}
    assert names == {
        *("report.txt", "report.json", "junit.xml", "case_values.npz", "case_values.py", "case_values.h"),
    }
    folder = tmp_path / "new" / "folder"
    with np.load(folder / "case_values.npz") as saved:
        assert saved["expected_output"] != saved["got_output"]
    search = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, folder / "case_values.py"], capture_output=True, text=True, env=search, check=False
    )
    assert done.returncode == 1
    assert "output[0] is 0, must be" in done.stderr


def test_cases_of_an_earlier_report_do_not_stay(wrong, right, tmp_path):
    write_report(wrong, tmp_path)
    (tmp_path / "case_notes.py").write_text("mine")
    write_report(right, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("report.txt", "report.json", "junit.xml", "case_notes.py"),
    }
    (tmp_path / "case_values.py").mkdir()
    with pytest.raises(StoreError, match=r"cannot delete .*case_values\.py"):
        write_report(right, tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(wrong, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write to"):
        write_report(wrong, tmp_path / "file" / "folder")


@pytest.mark.parametrize("name", kernels())
def test_a_program_holds_the_case_of_any_kernel(name):
    spec = kernel_named(name)
    case = legal_case(name, np.random.default_rng(1))
    text = python_reproduction(spec, case, "x:y", Setup(timeout=1.0))
    scope: dict[str, object] = {
        "np": np,
        "Setup": Setup,
        "check_case": lambda *given: scope.update(given=given),
    }
    exec("\n".join(line for line in text.splitlines() if not line.startswith(("import", "from"))), scope)
    target, kernel, again, setup = scope["given"]
    assert (target, kernel, setup) == ("x:y", name, Setup(timeout=1.0))
    for key, values in expected_of(spec, again).items():
        np.testing.assert_array_equal(values, expected_of(spec, case)[key])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize(
    "name", ["conv2d_a8w8", "requantize_a48", "svdf_a8", "cross_entropy_logits", "update_w16"]
)
def test_a_header_compiles(name, tmp_path):
    spec = kernel_named(name)
    case = legal_case(name, np.random.default_rng(1))
    header = tmp_path / "case.h"
    header.write_text(c_header(spec, case, expected_of(spec, case), "a */ comment\nof two lines"))
    source = tmp_path / "case.c"
    source.write_text('#include "case.h"\nint main(void) { return 0; }\n')
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-unused", "-fsyntax-only"]
    done = subprocess.run(["gcc", *flags, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
