"""`fxpgrad probe`: a ladder, a verdict, and an exit code that scripts can use."""

from __future__ import annotations

import json

import pytest

from fxpgrad.trainer.first_rate import FirstRate, RateTrial
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
    assert report["learning_rate"] in [trial["rate"] for trial in report["rates"]["trials"]]
    assert len(report["window"]["rungs"]) >= 4
    assert report["head_rate"] == report["head_rates"]["rate"]


def test_exact_head_alone_has_a_rate_and_no_epsilon(classifier, data):
    result = call("probe", classifier.path, "--data", data, "--method", "exact_lp", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["epsilon"], report["window"], report["rates"]) == (None, None, None)
    trials = report["head_rates"]["trials"]
    assert [trial["rate"] for trial in trials] == [1, 3, 10, 30, 100]
    best = min(trial["after"] for trial in trials if trial["after"] is not None)
    assert report["head_rate"] == next(trial["rate"] for trial in trials if trial["after"] == best)
    shown = call("probe", classifier.path, "--data", data, "--method", "exact_lp").stdout
    assert f"head rate: {report['head_rate']:g} " in shown
    assert "epsilon" not in shown


def test_exact_head_that_no_rate_helps_is_exit_code_2(classifier, data, monkeypatch):
    none = FirstRate((RateTrial(1.0, 0.5, 0.5), RateTrial(3.0, 0.5, None)), None, 3)
    monkeypatch.setattr("fxpgrad.cli.probe_command.measure_head_rate", lambda *_: none)
    result = call("probe", classifier.path, "--data", data, "--method", "exact_lp")
    assert result.exit_code == 2
    assert "none lowers the loss" in result.stdout
    assert "unstable" in result.stdout
    assert "no rate of the ladder lowered" in result.stderr


def test_tables_name_what_was_chosen(classifier, data):
    result = call("probe", classifier.path, "--data", data, "--no-rate")
    assert result.exit_code == 0, result.output
    assert "agreement" in result.stdout
    assert "epsilon " in result.stdout
    assert "Short runs" not in result.stdout


def test_bad_input_is_one_line(tmp_path, classifier, data):
    assert_refused(call("probe", classifier.path, "--data", tmp_path / "no.npz"), "cannot read")
    assert_refused(call("probe", classifier.path, "--data", data, "--batch", 0), "batch must be in")
    nothing = ("--method", "exact_lp", "--no-rate")
    assert_refused(call("probe", classifier.path, "--data", data, *nothing), "--no-rate", "exact_lp")
