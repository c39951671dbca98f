"""Tables of an experiment: what a method has reached in the time that another takes."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import pytest

from fxpgrad.cli.experiment_command import payload_of
from fxpgrad.experiments.experiment import ExperimentResult
from fxpgrad.experiments.experiment_page import curves, experiment_page
from fxpgrad.experiments.method_preset import MethodPreset
from fxpgrad.experiments.preset import Preset
from fxpgrad.experiments.stopwatch import Stopwatch
from fxpgrad.experiments.summary import (
    at_equal_seconds,
    gain_shares,
    interval_text,
    paired_differences,
    summarize,
)

BEFORE = MethodPreset("before", times=0.0)
SLOW, QUICK = MethodPreset("slow", rates=[1e-3]), MethodPreset("quick", rates=[1e-3])


def record(method, task, seconds, accuracy, curve=(), **others):
    steps = 0 if method == "before" else 5
    return {
        "method": method, "task": {"task": task}, "seed": 0, "accuracy": accuracy, "seconds": 9.0,
        "cpu_seconds": seconds, "forwards_done": 2.0 * steps, "steps": steps,
        "curve": [list(point) for point in curve], "versions": {"fxpgrad": "0"}, **others,
    }  # fmt: skip


def made(records, methods=(BEFORE, SLOW, QUICK)):
    preset = Preset("p", "A title", "few_shot", {"task": [0, 1]}, methods, compare="slow")
    return ExperimentResult(preset, tuple(records), (), {})


RECORDS = [
    record("before", 0, 0.0, 0.1),
    record("before", 1, 0.0, 0.3),
    record("slow", 0, 8.0, 0.9, [(0, 0.1, 0.1), (4, 3.9, 0.5), (6, 4.1, 0.6)]),
    record("slow", 1, 16.0, 0.7, [(0, 0.1, 0.3), (4, 8.0, 0.5)]),
    record("quick", 0, 1.5, 0.4, [(0, 0.5, 0.1), (4, 0.9, 0.2)]),
    record("quick", 1, 1.5, 0.6, [(0, 0.5, 0.3), (4, 2.0, 0.4)]),
]


def test_methods_are_compared_at_equal_cpu_time_task_by_task():
    rows = {row.title: row.accuracies for row in at_equal_seconds(made(RECORDS))}
    assert rows["before"] == pytest.approx((0.2, 0.2, 0.2, 0.2))
    assert rows["slow"] == pytest.approx((0.2, 0.2, 0.5, 0.8))
    assert rows["quick"] == pytest.approx((0.4, 0.5, 0.5, 0.5))


def test_a_start_that_comes_too_late_has_no_accuracy():
    late = [
        {**r, "curve": [[0, 5.0, 0.1]], "cpu_seconds": 6.0} if r["method"] == "quick" else r for r in RECORDS
    ]
    rows = {row.title: row.accuracies for row in at_equal_seconds(made(late))}
    assert rows["quick"][:3] == (None, None, None)
    assert rows["quick"][3] == pytest.approx(0.5)


def test_results_without_cpu_time_are_not_compared_in_time():
    without = [{key: value for key, value in r.items() if key != "cpu_seconds"} for r in RECORDS]
    assert at_equal_seconds(made(without)) == ()
    rows = summarize(made(without))[0].rows
    assert all(row.cpu_seconds is None for row in rows)
    assert summarize(made(RECORDS))[0].rows[1].cpu_seconds == pytest.approx(12.0)
    some = [r if r["method"] == "slow" else old for r, old in zip(RECORDS, without, strict=True)]
    assert [row.title for row in at_equal_seconds(made(some))] == ["slow"]


def test_shares_of_a_gain_are_those_of_the_means_and_a_small_gain_has_none():
    def at(name, before, slow, quick):
        values = {"before": before, "slow": slow, "quick": quick}
        return [{**record(m, 0, 1.0, v), "task": {"corruption": name}} for m, v in values.items()]

    records = at("fog", 0.2, 0.6, 0.5) + at("snow", 0.5, 0.515, 0.6) + at("rain", 0.1, 0.5, 0.2)
    result = made(records)
    (row,) = gain_shares(result, summarize(result))
    assert row.title == "quick"
    assert row.shares == (pytest.approx(0.75), None, pytest.approx(0.25))
    assert row.mean == pytest.approx(0.5)
    small = made(at("snow", 0.5, 0.515, 0.6))
    assert gain_shares(small, summarize(small)) == ()
    (alone,) = gain_shares(made(RECORDS), summarize(made(RECORDS)))
    assert alone.shares == (pytest.approx((0.5 - 0.2) / (0.8 - 0.2)),)
    preset = replace(result.preset, compare="before")
    assert gain_shares(replace(result, preset=preset), summarize(result)) == ()


def test_pairs_are_differences_on_the_same_task_by_group_and_over_all():
    methods = (BEFORE, SLOW, QUICK)
    tasks = [{"corruption": name, "task": number} for name in ("fog", "snow") for number in range(3)]
    accuracies = {"slow": [0.5, 0.6, 0.7, 0.1, 0.2, 0.3], "quick": [0.6, 0.6, 0.9, 0.1, 0.1, 0.1]}
    records = [
        {**record(method, 0, 1.0, accuracy), "task": task}
        for method, values in accuracies.items()
        for task, accuracy in zip(tasks, values, strict=True)
    ] + [{**record("before", 0, 0.0, 0.1), "task": task} for task in tasks]
    preset = Preset(
        "p", "A title", "few_shot", {"task": [0]}, methods, pairs=[["quick", "slow"], ["slow", "before"]]
    )
    result = ExperimentResult(preset, tuple(records), (), {})
    quick, slow = paired_differences(result)
    assert (quick.first, quick.second) == ("quick", "slow")
    assert quick.differences == pytest.approx((0.1, -0.1, 0.0))
    assert slow.differences == pytest.approx((0.5, 0.1, 0.3))
    assert [math.isfinite(half) for half in quick.ci95] == [True, True, True]
    groups = summarize(result)
    assert [group.name for group in groups] == ["fog", "snow", "all"]
    page = experiment_page(result, groups)
    assert "quick less slow" in page
    assert "10.0 ± " in page
    assert json.loads(json.dumps(payload_of(result, groups)))["pairs"][0]["first"] == "quick"


def test_a_difference_to_what_was_not_trained_is_to_its_one_seed():
    records = [{**record("slow", 0, 1.0, 0.5 + seed / 10), "seed": seed} for seed in range(2)]
    records.append(record("before", 0, 0.0, 0.25))
    preset = Preset(
        "p", "A title", "few_shot", {"task": [0]}, (BEFORE, SLOW), compare="slow", seeds=[0, 1],
        pairs=[["slow", "before"], ["before", "slow"]],
    )  # fmt: skip
    result = ExperimentResult(preset, tuple(records), (), {})
    row, turned = paired_differences(result)
    assert row.differences == pytest.approx((0.3,))
    assert turned.differences == pytest.approx((-0.3,))
    assert row.ci95 == turned.ci95 == (math.inf,)
    assert summarize(result)[0].rows[0].difference == pytest.approx(-0.3)


def test_a_difference_of_nothing_has_no_sign():
    assert interval_text(-1e-17, 0.01) == "0.0 ± 1.0"
    assert interval_text(-0.006, math.inf) == "-0.6"


def test_the_page_is_the_same_text_each_time_and_its_words_are_words():
    pytest.importorskip("matplotlib")
    result = made(RECORDS, (replace(BEFORE, title="nothing is learned"), SLOW, QUICK))
    page = experiment_page(result, summarize(result))
    assert page == experiment_page(result, summarize(result))
    assert page.count("<svg") == 2
    assert page.count(">nothing is learned</text>") >= 1
    assert "DejaVuSans-" not in page  # an outline of a glyph
    left, right = curves(result).axes
    assert [len(line.get_xdata()) for line in left.lines] == [1, 3, 3]
    assert right.lines[2].get_xdata()[-1] == pytest.approx(1.5)
    assert right.get_xlabel() == "CPU seconds"


def test_a_stopwatch_leaves_out_what_is_paused():
    watch = Stopwatch(100.0)
    until = time.process_time() + 0.3
    with watch.paused():
        while time.process_time() < until:
            pass
    assert 100.0 <= watch.seconds < 100.2
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert 100.04 <= watch.seconds < 100.3
