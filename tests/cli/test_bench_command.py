"""`fxpgrad bench`: tables, files and refusals, on the smallest case there is."""

from __future__ import annotations

import json
import sys

import pytest

from fxpgrad.benchmarks import suites
from fxpgrad.errors import StoreError
from tests.cli.small_models import assert_refused, call

SMALLEST = ("bench", "gemm", "--only", "1x640x128", "--rounds", "1", "--seconds", "0.0001")


def test_table_names_candidates_machine_and_means():
    result = call(*SMALLEST, "--peers", "numpy")
    assert result.exit_code == 0, result.output
    for word in ("gemm: 1x640x128", "fxpgrad", "numpy-int32", "multiply-add peak", "exact", "Python"):
        assert word in result.stdout


def test_json_and_files(tmp_path):
    out = tmp_path / "new" / "folder"
    result = call(*SMALLEST, "--peers", "numpy-int32", "--json", "--out", out)
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert json.loads((out / "bench.json").read_text()) == payload
    (suite,) = payload["suites"]
    assert [row["name"] for row in suite["cases"][0]["rows"]] == [
        "fxpgrad",
        "multiply-add peak",
        "numpy-int32",
    ]
    assert "| 1x640x128 | fxpgrad |" in (out / "bench.md").read_text()
    if "matplotlib" in sys.modules:
        assert (out / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_plot_is_left_out_with_the_pip_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = call(*SMALLEST, "--peers", "none", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert 'pip install "fxpgrad[plot]"' in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]


def test_absent_peer_is_left_out_with_the_extra_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call(*SMALLEST, "--peers", "litert-xnnpack")
    assert result.exit_code == 0, result.output
    assert 'pip install "fxpgrad[bench]" installs ai-edge-litert' in result.stderr
    assert "litert" not in result.stdout.partition("gemm:")[2]


def test_no_number_is_cut_on_a_narrow_terminal(monkeypatch):
    monkeypatch.setattr("fxpgrad.cli.terminal._PLAIN_WIDTH", 80)
    result = call(*SMALLEST, "--peers", "numpy")
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_results_are_out_before_files_are_written(tmp_path, monkeypatch):
    def full(path, content):
        raise StoreError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr("fxpgrad.cli.bench_command.write_atomically", full)
    result = call(*SMALLEST, "--peers", "none", "--json", "--out", tmp_path)
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert json.loads(result.stdout)["finished"]


def test_ctrl_c_shows_what_was_measured(monkeypatch):
    measure, seen = suites.run_case, []

    def interrupt(case, options):
        if seen:
            raise KeyboardInterrupt
        seen.append(case)
        return measure(case, options)

    monkeypatch.setattr(suites, "run_case", interrupt)
    result = call(
        "bench", "gemm", "--only", "1x", "--rounds", "1", "--seconds", "0.0001", "--peers", "none", "--json"
    )
    assert result.exit_code == 130
    payload = json.loads(result.stdout)
    assert not payload["finished"]
    assert [len(suite["cases"]) for suite in payload["suites"]] == [1]


def test_a_run_that_measured_nothing_is_no_success(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"....TFL3" + bytes(64))
    assert_refused(call("bench", "nets", "--model", tmp_path / "broken.tflite", "--peers", "none"), "broken")
    result = call("bench", "nets", "--models", tmp_path, "--peers", "none")
    assert result.exit_code == 2
    assert "nothing could be measured" in result.stderr


def test_help_lists_the_suites():
    result = call("bench", "--help")
    for name in ("peak", "gemm", "conv", "pointwise", "depthwise", "nets", "step", "compile"):
        assert f"{name}:" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gem"], ["'gem'", "did you mean gemm"]),
        (["gemm", "--peers", "litert-xnpack"], ["did you mean litert-xnnpack"]),
        (["gemm", "--rounds", "0"], ["rounds"]),
        (["gemm", "--threads", "0"], ["threads"]),
        (["gemm", "--seconds", "nan"], ["seconds"]),
        (["gemm", "--rounds", "many"], ["many", "--help"]),
        (["gemm", "--rounds", "1" + 20 * "0"], ["rounds", "10000"]),
        (["gemm", "--threads", "9" * 20], ["threads", "256"]),
        (["gemm", "--seconds", "7200"], ["seconds", "3600"]),
        (["gemm", "--only", "no such layer"], ["no such layer"]),
        (["gemm", "--only", "1x640x129"], ["did you mean 1x640x128"]),
        (["gemm", "--out", "/dev/null"], ["not a folder"]),
        (["nets"], ["--model"]),
        (["nets", "--model", "missing.tflite"], ["cannot read missing.tflite"]),
        (["nets", "--models", "missing"], ["cannot read missing"]),
    ],
)
def test_bad_input_is_one_line(arguments, words):
    assert_refused(call("bench", *arguments), *words)


def test_out_must_be_a_directory_that_can_be_written(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert_refused(call(*SMALLEST, "--peers", "none", "--out", occupied), "cannot write")
    (tmp_path / "bench.json").mkdir()
    assert_refused(call(*SMALLEST, "--peers", "none", "--out", tmp_path), "bench.json", "directory")
