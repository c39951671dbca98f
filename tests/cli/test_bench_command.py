"""`fxpgrad bench`: tables, files and refusals, on the smallest case there is."""

from __future__ import annotations

import json
import sys

import pytest

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
    assert 'pip install "fxpgrad[bench]"' in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json", "bench.md"]


def test_absent_peer_is_left_out_with_the_extra_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call(*SMALLEST, "--peers", "litert-xnnpack")
    assert result.exit_code == 0, result.output
    assert 'pip install "fxpgrad[bench]" installs ai-edge-litert' in result.stderr
    assert "litert" not in result.stdout.partition("gemm:")[2]


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
        (["gemm", "--only", "no such layer"], ["no such layer"]),
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
