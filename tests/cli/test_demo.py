"""`fxpgrad demo` prints what the run found, as a table or as JSON of a fixed shape."""

from __future__ import annotations

import json

import pytest

from fxpgrad.cli import demo_command
from fxpgrad.experiments import backprop_source
from fxpgrad.experiments.demo import DemoReport, DemoSettings, run_demo
from tests.cli.small_models import assert_refused, call

DIGITS = set("0123456789abcdef")


@pytest.fixture(autouse=True)
def quick_baseline(monkeypatch):
    """One step of the baseline; few queries."""

    def quick(settings: DemoSettings, threads: int, progress: object) -> DemoReport:
        fewer = demo_command.dataclasses.replace(settings, queries=3, bp_steps=1)
        return run_demo(fewer, threads, progress)

    monkeypatch.setattr(demo_command, "run_demo", quick)


def test_json_has_the_promised_shape_and_nothing_else_is_printed():
    result = call("demo", "--tasks", 2, "--steps", 1, "--threads", 2, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["tasks"] == 2
    assert [entry["method"] for entry in report["results"]] == ["zero_shot", "ff_lp", "ff_ft", "bp_ft"]
    for entry in report["results"]:
        assert set(entry) == {
            *("method", "weights", "activations", "accuracy", "ci95", "forwards", "weights_sha256")
        }
        if entry["method"].startswith("ff"):
            assert (entry["weights"], entry["activations"]) == ("int16", "int8")
            assert len(entry["weights_sha256"]) == 64
            assert set(entry["weights_sha256"]) <= DIGITS
        else:
            assert entry["weights_sha256"] is None
        if entry["method"] != "bp_ft":
            assert 0 <= entry["accuracy"] <= 1
            assert entry["ci95"] >= 0
    assert set(report["memory"]) == {
        *("ff_scratch_bytes", "bp_scratch_bytes", "inference_arena_bytes", "weights_bytes")
    }
    assert report["seconds"] > 0
    assert report["settings"]["ff_ft"]["epsilon"] > 0
    assert report["provenance"]["bp_ft"]["source"] in {"live", "recorded", "unavailable"}


def test_one_task_is_valid_json_without_an_interval():
    result = call("demo", "--tasks", 1, "--steps", 1, "--json", "--sampling", "all")
    report = json.loads(result.stdout, parse_constant=pytest.fail)
    assert report["results"][0]["ci95"] is None
    assert report["settings"]["sampling"] == "all"


def test_table_names_methods_memory_and_a_missing_baseline(monkeypatch):
    def unavailable(*_arguments: object) -> backprop_source.BackpropSource:
        return backprop_source.BackpropSource("unavailable", reason='no torch: pip install "fxpgrad[torch]"')

    monkeypatch.setattr("fxpgrad.experiments.demo.choose_source", unavailable)
    result = call("demo", "--tasks", 1, "--steps", 1)
    assert result.exit_code == 0
    for word in ("zero_shot", "ff_lp", "ff_ft", "bp_ft", "not available", "fxpgrad[torch]", "MB", "seed 0"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--tasks", 0], "tasks"),
        (["--seed", -1], "seed"),
        (["--threads", 0], "threads"),
        (["--steps", 0], "steps"),
        (["--sampling", "some"], "some"),
    ],
)
def test_bad_options_are_refused(options, word):
    assert_refused(call("demo", *options, "--json"), word)
