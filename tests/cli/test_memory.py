"""`fxpgrad memory`: tables, JSON, a figure, and refusals."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.small_models import assert_refused, call


def test_table_and_json_agree(classifier):
    result = call("memory", classifier.path, "--batch", 4, "--layers")
    assert result.exit_code == 0, result.output
    for word in ("inference", "affine", "bp_ft float32", "By layer", "logits"):
        assert word in result.stdout
    report = json.loads(call("memory", classifier.path, "--batch", 4, "--json").stdout)
    assert report["batch"] == 4
    assert {method["name"] for method in report["methods"]} >= {"inference", "affine", "exact_lp"}


def test_figure_is_written_whole(tmp_path, classifier):
    pytest.importorskip("matplotlib")
    result = call("memory", classifier.path, "--plot", tmp_path / "m.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_one_line(tmp_path, classifier, monkeypatch):
    assert_refused(call("memory", tmp_path / "no.fxp"), "cannot read")
    assert_refused(call("memory", classifier.path, "--batch", 0), "batch")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert_refused(call("memory", classifier.path, "--plot", tmp_path / "m.png"), "fxpgrad[plot]")
