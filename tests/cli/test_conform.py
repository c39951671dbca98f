"""`fxpgrad conform`: exit codes, what is printed, what is written."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from fxpgrad.cli import conform_command
from fxpgrad.errors import StoreError
from tests.cli.small_models import assert_refused, call

MOCK = "tests.conformance.mock_targets"
QUICK = ("--cases", 30, "--timeout", 2)


def test_a_right_target_exits_0():
    result = call("conform", f"{MOCK}:right", "--op", "add_a8", *QUICK)
    assert result.exit_code == 0
    assert "30 cases" in result.stdout
    assert "nothing wrong" in result.stdout


def test_a_wrong_target_exits_1_and_leaves_reports(tmp_path):
    junit, folder = tmp_path / "junit.xml", tmp_path / "report"
    target = f"{MOCK}:forgets_output_zero_point"
    result = call("conform", target, "--op", "add_a8", *QUICK, "--junit", junit, "--report", folder)
    assert result.exit_code == 1
    for told in (
        "likely cause: the zero point of the output is left out",
        "the smallest case found",
        "case = {",
    ):
        assert told in result.stdout
    assert ElementTree.parse(junit).find("testsuite/testcase/failure") is not None
    assert (folder / "case_values.py").exists()


def test_names_and_words_of_a_target_are_printed_as_they_are():
    result = call("conform", f"{MOCK}:date", "--op", "add_a8", "--cases", 1, "--timeout", 2)
    assert f"add_a8, {MOCK}:date: 1 case in" in " ".join(result.stdout.split())  # no picture of a calendar
    assert "ValueError: [b]?[31mred" in result.stdout


def test_a_verdict_is_told_even_if_no_file_takes_it(tmp_path, monkeypatch):
    def full(path, content):
        raise StoreError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(conform_command, "write_atomically", full)
    result = call("conform", f"{MOCK}:right", "--op", "add_a8", *QUICK, "--junit", tmp_path / "j.xml")
    assert result.exit_code == 2
    assert "nothing wrong" in result.stdout
    assert "No space left" in result.stderr


def test_json_is_all_that_is_printed():
    result = call("conform", f"{MOCK}:is_too_wide", "--op", "add_a8", *QUICK, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [finding["kind"] for finding in told["findings"]] == ["shape"]
    assert told["diagnosis"] is None


def test_what_cannot_be_loaded_exits_1():
    result = call("conform", f"{MOCK}:nothing", "--op", "add_a8", *QUICK)
    assert result.exit_code == 1
    assert "cannot be loaded" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mine.so", "--op", "add_a8"), "there is no file mine.so"),
        (("a:b", "--op", "add_a9"), "did you mean add_a8"),
        (("a:b", "--op", "zzzz"), "print(*kernels())' prints all names"),
        (("a:b", "--op", "add_a8", "--timeout", "nan"), "timeout must be"),
        (("a:b", "--op", "add_a8", "--seconds", "nan"), "seconds must be"),
        (("a:b",), "--op"),
        (("--op", "add_a8"), "name a target"),
        ((f"{MOCK}:right", "--op", "add_a8", "--profile", "none"), "--profile"),
        ((f"{MOCK}:right", "--op", "conv2d_a16w8", "--profile", "tosa_single"), "tosa_single"),
        ((f"{MOCK}:right", "--op", "add_a8", "--cases", "0"), "--cases"),
        ((f"{MOCK}:right", "--op", "add_a8", "--junit", "/no/such/folder/x.xml"), "cannot write"),
        (("--op", "add_a8", "--command", "cat {in}"), "must hold"),
    ],
)
def test_bad_usage_exits_2_with_one_line(arguments, told):
    result = call("conform", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert_refused(result)
