"""From timings to rows, means, JSON and the figure."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fxpgrad.benchmarks.candidate import OURS, PEAK, Built, Candidate, Case
from fxpgrad.benchmarks.environment import Environment, record_environment
from fxpgrad.benchmarks.markdown import report_as_markdown, time_text
from fxpgrad.benchmarks.plot import plot_report
from fxpgrad.benchmarks.report import FORMAT, Report, SuiteResult, make_case_result
from fxpgrad.benchmarks.timing import Timing

MACHINE = Environment("a processor", 2, (0.5,), "a system", "3.11", "2024-01-01", {"fxpgrad": "0"})


def result(label: str = "case", slower: float = 2.0):
    candidates = (
        Candidate("peer", lambda: None, 1000, "inexact: 1 % of sums, by ≤ 1"),
        Candidate(OURS, lambda: None, 1000, "exact"),
        Candidate(PEAK, lambda: None, 4000),
        Candidate("update", lambda: None, units=50),
    )
    timings = {
        "peer": Timing((slower * 1e-6, slower * 2e-6), "thread"),
        OURS: Timing((1e-6, 2e-6), "thread"),
        PEAK: Timing((2e-6, 4e-6), "thread"),
        "update": Timing((1e-6,), "process"),
    }
    built = Built(candidates, ("a remark",), derived=lambda t: {"twice": 2 * t[OURS].minimum})
    return make_case_result(Case(label, lambda: built), built, timings)


def test_rows_are_related_to_the_base_which_comes_first():
    case = result()
    rows = {row.name: row for row in case.rows}
    assert case.rows[0].name == OURS
    assert rows[OURS].ratio == 1.0
    assert rows["peer"].ratio == pytest.approx(2.0)
    assert rows["peer"].ratio_of_minima == pytest.approx(2.0)
    assert rows[OURS].gmacs == pytest.approx(1000 / 1.5e-6 * 1e-9)
    assert rows[OURS].peak_share == pytest.approx(0.5)  # 1000 in 1 against 4000 in 2
    assert rows["peer"].peak_share == pytest.approx(0.25)
    assert rows[PEAK].ratio is None
    assert rows[PEAK].peak_share is None
    assert rows["update"].nanoseconds_per_unit == pytest.approx(20.0)
    assert rows["update"].gmacs is None
    assert case.derived == {"twice": pytest.approx(2e-6)}


def test_geometric_means_over_cases_leave_base_and_peak_out():
    suite = SuiteResult("gemm", (result(slower=2.0), result(slower=8.0)))
    means = suite.geometric_means()
    assert means["peer"] == (pytest.approx(4.0), 2)
    assert OURS not in means
    assert PEAK not in means
    assert SuiteResult("step", suite.cases, averaged=False).geometric_means() == {}


def test_means_of_large_products_go_over_suites():
    large = [dataclasses.replace(result(slower=slower), large=True) for slower in (2.0, 8.0)]
    suites = (SuiteResult("gemm", (large[0], result(slower=100.0))), SuiteResult("conv", (large[1],)))
    report = Report(MACHINE, 2, 0.1, 1, suites)
    assert report.large_means()["peer"] == (pytest.approx(4.0), 2)
    assert report.as_json()["large_products"]["peer"] == {"ratio": pytest.approx(4.0), "cases": 2}
    assert "| peer | 4.00 | 2 |" in report_as_markdown(report)


def report() -> Report:
    suites = (SuiteResult("gemm", (result("first"), result("second"))), SuiteResult("peak", ()))
    return Report(MACHINE, 2, 0.1, 1, suites, ("a note",))


def test_json_survives_a_round_trip_and_has_the_promised_fields():
    payload = report().as_json()
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    assert payload["format"] == FORMAT
    assert payload.keys() == {
        "format", "environment", "rounds", "seconds", "threads", "suites", "notes",
        "large_products", "finished",
    }  # fmt: skip
    assert payload["environment"].keys() == {
        "cpu", "cores", "load_average", "system", "python", "date", "versions", "instructions",
    }  # fmt: skip
    suite = payload["suites"][0]
    assert suite.keys() == {"name", "cases", "averaged", "geometric_means"}
    assert suite["geometric_means"]["peer"] == {"ratio": pytest.approx(2.0), "cases": 2}
    case = suite["cases"][0]
    assert case.keys() == {"label", "base", "rows", "notes", "derived", "large"}
    assert case["rows"][0].keys() == {
        "name", "median_seconds", "minimum_seconds", "samples", "clock", "ratio", "ratio_of_minima",
        "gmacs", "peak_share", "nanoseconds_per_unit", "result",
    }  # fmt: skip


def test_figure_has_a_panel_for_each_suite_and_a_dot_for_each_ratio():
    pytest.importorskip("matplotlib")
    figure = plot_report(report())
    (panel,) = figure.axes
    assert panel.get_title() == "gemm"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["peer", "update"]
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert sum(len(line.get_xdata()) for line in dots) == 4  # two candidates in two cases
    assert any(line.get_markerfacecolor() == "white" and len(line.get_xdata()) for line in dots)


def test_markdown_has_a_line_a_case_and_marks_what_is_inexact():
    text = report_as_markdown(report())
    assert "| case | base | time | GMAC/s | of peak | peer | update |" in text
    assert "| first | fxpgrad | 1.5 µs | 0.7 | 50% | 2.00† | 1.00 (20.00 ns) |" in text
    assert "| geometric mean |  |  |  |  | 2.00† | 1.00 |" in text
    assert "- peer: inexact in 2 of 2 cases (in first 1 % of sums, by ≤ 1)" in text
    assert "- first: a remark" in text
    assert "a processor" in text
    assert "### peak" not in text


def test_markdown_of_unlike_cases_has_a_table_for_each_kind():
    other = dataclasses.replace(result("other"), rows=result().rows[:2])
    unlike = SuiteResult("step", (result("one"), other, result("two")), averaged=False)
    text = report_as_markdown(dataclasses.replace(report(), suites=(unlike,)))
    assert text.count("| case | base |") == 2
    assert text.index("| two |") < text.index("| other |")
    assert "geometric mean" not in text


def test_figure_of_nothing_is_empty():
    pytest.importorskip("matplotlib")
    assert plot_report(Report(MACHINE, 1, 0.1, 1, ())).axes == []


def test_environment_is_recorded():
    found = record_environment()
    assert found.cores >= 1
    assert found.cpu
    assert {"fxpgrad", "numpy", "numba"} <= found.versions.keys()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.5 s"), (0.00123, "1.23 ms"), (4.5e-6, "4.5 µs"), (0.0123456, "12.3 ms"), (7e-9, "7 ns")],
)
def test_times_have_units_that_suit_them(seconds, text):
    assert time_text(seconds) == text
