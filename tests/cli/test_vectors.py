"""`fxpgrad vectors` writes everything or nothing, and the same bytes each time."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest

from fxpgrad.testing import load_vectors
from tests.cli.small_models import assert_refused, call


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_runs_give_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        assert call("vectors", "mul_a8", "-o", name, "--cases", 3).exit_code == 0
    first = contents(tmp_path / "a")
    assert first == contents(tmp_path / "b")
    assert {"mul_a8.npz", "mul_a8.json", "mul_a8.h", "mul_a8_ties.bin"} <= set(first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_report_says_what_was_written(tmp_path):
    out = tmp_path / "out"
    result = call("vectors", "mul_a8", "-o", out, "--cases", 2, "--profile", "tflite_single", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert set(report["files"]) == set(contents(out))
    assert report["provenance"]["command"] == (
        "fxpgrad vectors mul_a8 --profile tflite_single --cases 2 --seed 0 --format npz,bin,h"
    )
    loaded = load_vectors(out / "mul_a8.json")
    assert loaded.provenance == report["provenance"]
    assert [case.name for case in loaded.cases] == [case["name"] for case in report["cases"]]
    shown = call("vectors", "mul_a8", "-o", tmp_path / "other", "--cases", 2)
    assert "directed cases and 2 others" in shown.stdout


@pytest.mark.parametrize("chosen", ["npz", "bin", "h", "h, npz"])
def test_only_the_formats_that_are_asked_for(chosen, tmp_path):
    assert call("vectors", "abs_a8", "-o", tmp_path / "out", "--cases", 1, "--format", chosen).exit_code == 0
    endings = {path.suffix for path in (tmp_path / "out").iterdir()}
    wanted = {f".{name.strip()}" for name in chosen.split(",")}
    assert endings == (wanted | {".json"} if "bin" in chosen else wanted)


def test_a_models_layers(tmp_path, classifier):
    out = tmp_path / "out"
    result = call("vectors", classifier.path, "-o", out, "--cases", 2, "--json")
    assert result.exit_code == 0, result.output
    assert {path.suffix for path in out.iterdir()} == {".npz", ".json", ".bin"}
    assert len(json.loads(result.stdout)["cases"]) == 6
    np.savez(tmp_path / "data.npz", image=classifier.x[:3])
    np.save(tmp_path / "data.npy", classifier.x[:3])
    for name in ("data.npz", "data.npy"):
        again = call("vectors", classifier.path, "-o", out, "--data", tmp_path / name, "--force", "--json")
        assert [case["name"] for case in json.loads(again.stdout)["cases"]] == [
            "row_0000",
            "row_0001",
            "row_0002",
        ]
        assert f"--data {name}" in json.loads(again.stdout)["provenance"]["command"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["conv2d_a8w9"], ["did you mean conv2d_a8w8"]),
        (["mul_a8", "--cases", 0], ["cases must be at least 1; got 0"]),
        (["mul_a8", "--seed", -3], ["seed must be at least 0; got -3"]),
        (["mul_a8", "--format", "npz,txt"], ["--format takes npz, bin and h"]),
        (["mul_a8", "--data", "x.npz"], ["--data holds inputs of a model"]),
        (["batch_matmul_a16", "--profile", "tosa_single"], ["no Program under tosa_single"]),
        (["nowhere.tflite"], ["cannot read nowhere.tflite"]),
        (["mul_a8", "--profile", "tflite"], ["--profile"]),
    ],
)
def test_bad_wishes_are_refused_and_nothing_is_written(arguments, words, tmp_path):
    assert_refused(call("vectors", *arguments, "-o", tmp_path / "out"), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_model_under_another_profile_than_its_own_is_refused(tmp_path, classifier):
    result = call("vectors", classifier.path, "-o", tmp_path / "out", "--profile", "tosa_single")
    assert_refused(result, "cannot change to tosa_single")
    assert_refused(call("vectors", classifier.path, "-o", tmp_path / "out", "--data", tmp_path / "x.npz"))
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written_are_refused_first(tmp_path):
    assert_refused(call("vectors", "mul_a8", "-o", tmp_path / "no" / "out"), "there is no folder")
    (tmp_path / "file").write_text("x")
    assert_refused(call("vectors", "mul_a8", "-o", tmp_path / "file"), "it exists and is not a folder")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    assert_refused(call("vectors", "mul_a8", "-o", full), "is not empty", "--force")
    assert contents(full) == {"mine.txt": b"mine"}
    (full / "mul_a8.npz").write_text("old")
    assert call("vectors", "mul_a8", "-o", full, "--cases", 1, "--format", "npz", "--force").exit_code == 0
    assert set(contents(full)) == {"mine.txt", "mul_a8.npz"}
    assert contents(full)["mine.txt"] == b"mine"
    load_vectors(full / "mul_a8.npz")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call("vectors", "mul_a8", "-o", empty, "--cases", 1, "--format", "h").exit_code == 0


@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_nothing_half_written(existing, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if existing:
        out.mkdir()
        (out / "mul_a8.npz").write_text("old")
    before = contents(out) if existing else None
    written = []

    def full(handle):
        written.append(handle)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fxpgrad.files.os.fsync", full)
    result = call("vectors", "mul_a8", "-o", out, "--cases", 2, "--force")
    assert_refused(result, "cannot write", "No space left")
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if existing else [])
    assert before is None or contents(out) == before
