"""`fxpgrad probe`: a ladder, a verdict, and an exit code that scripts can use."""

from __future__ import annotations

import json

import pytest

from tests.cli.small_models import assert_refused, call, write_data


@pytest.fixture
def data(tmp_path, classifier):
    return write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)


def test_ladder_epsilon_and_rate_as_json(classifier, data):
    result = call("probe", classifier.path, "--data", data, "--method", "affine", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["method"] == "affine"
    assert 1e-4 < report["epsilon"] < 0.32
    assert report["learning_rate"] in [trial["learning_rate"] for trial in report["rates"]["trials"]]
    assert len(report["window"]["rungs"]) >= 4


def test_tables_name_what_was_chosen(classifier, data):
    result = call("probe", classifier.path, "--data", data, "--no-rate")
    assert result.exit_code == 0, result.output
    assert "agreement" in result.stdout
    assert "epsilon " in result.stdout
    assert "Short runs" not in result.stdout


def test_bad_input_is_one_line(tmp_path, classifier, data):
    assert_refused(call("probe", classifier.path, "--data", tmp_path / "no.npz"), "cannot read")
    assert_refused(call("probe", classifier.path, "--data", data, "--batch", 0), "batch must be in")
    assert_refused(call("probe", classifier.path, "--data", data, "--method", "exact_lp"), "exact_lp")
