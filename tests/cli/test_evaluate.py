"""`fxpgrad evaluate` counts right answers, and refuses data that does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fxpgrad.experiments.evaluate import wilson_interval
from fxpgrad.program.execute import run_program
from tests.cli.small_models import CLASSES, assert_refused, call, write_data


def test_json_counts_right_answers(tmp_path, classifier):
    data = write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)
    result = call("evaluate", classifier.path, "--data", data, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    right = run_program(classifier.program, classifier.x).argmax(axis=1) == classifier.y
    assert report["n"] == 30
    assert report["accuracy"] == right.mean()
    assert report["ci95"] == list(wilson_interval(int(right.sum()), 30))
    assert [entry["label"] for entry in report["per_class"]] == list(range(CLASSES))
    assert [entry["correct"] for entry in report["per_class"]] == [
        int(right[classifier.y == label].sum()) for label in range(CLASSES)
    ]


def test_real_numbers_and_integers_agree_and_the_table_shows_all_classes(tmp_path, classifier):
    integers = write_data(tmp_path / "i.npz", x=classifier.x, y=classifier.y.astype(np.uint8))
    real = write_data(tmp_path / "r.npz", x=classifier.real, y=classifier.y)
    tables = [
        call("evaluate", classifier.path, "--data", integers),
        call("evaluate", classifier.path, "--data", real, "--real"),
    ]
    assert tables[0].exit_code == tables[1].exit_code == 0
    assert tables[0].stdout == tables[1].stdout
    assert "%" in tables[0].stdout


@pytest.mark.parametrize(
    ("correct", "samples", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(correct, samples, low, high):
    assert wilson_interval(correct, samples) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_refuses_impossible_counts():
    for correct, samples in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="correct must be"):
            wilson_interval(correct, samples)


def bad_data(x, y, real):
    spoiled = real.copy()
    spoiled[0, 0, 0, 0] = np.nan
    return {
        "no x": ({"y": y}, False, "'x'"),
        "no y": ({"x": x, "labels": y}, False, "'y'"),
        "wrong dtype": ({"x": real, "y": y}, False, "--real"),
        "wrong rank": ({"x": x[0], "y": y}, False, "shape"),
        "wrong channels": ({"x": x[..., :1], "y": y}, False, "shape"),
        "empty": ({"x": x[:0], "y": y[:0]}, False, "empty"),
        "nan": ({"x": spoiled, "y": y}, True, "NaN"),
        "lengths differ": ({"x": x, "y": y[:-1]}, False, "as many"),
        "labels real": ({"x": x, "y": y.astype(float)}, False, "integers"),
        "labels boolean": ({"x": x, "y": y > 1}, False, "integers"),
        "labels of rank 2": ({"x": x, "y": y[:, None]}, False, "shape"),
        "label negative": ({"x": x, "y": y - 1}, False, "got -1"),
        "label too large": ({"x": x, "y": y + 1}, False, f"0..{CLASSES - 1}"),
        "label beyond int64": ({"x": x, "y": y.astype(np.uint64) + 2**63}, False, "labels"),
        "pickled x": ({"x": np.array([None] * 30), "y": y}, False, "pickled"),
    }


@pytest.mark.parametrize("case", bad_data(*np.zeros((3, 1, 1, 1, 1))))
@pytest.mark.parametrize("command", ["evaluate", "adapt"])
def test_bad_data_is_refused_and_nothing_is_written(tmp_path, classifier, command, case):
    arrays, real, word = bad_data(classifier.x, classifier.y, classifier.real)[case]
    data = write_data(tmp_path / "d.npz", **arrays)
    output = ["-o", tmp_path / "out.fxp"] if command == "adapt" else []
    result = call(command, classifier.path, "--data", data, *output, *(["--real"] if real else []))
    assert_refused(result, word)
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize("content", [None, b"", b"junk", b"PK\x03\x04junk", "cut", "flip", "npy"])
def test_bad_file_is_refused(tmp_path, classifier, content):
    path = tmp_path / "d.npz"
    whole = write_data(tmp_path / "whole.npz", x=classifier.x, y=classifier.y).read_bytes()
    if content == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "flip":
        path.write_bytes(whole[:300] + bytes([whole[300] ^ 255]) + whole[301:])
    elif content == "npy":
        with path.open("wb") as stream:
            np.save(stream, classifier.x)
    elif content is not None:
        path.write_bytes(content)
    assert_refused(call("evaluate", classifier.path, "--data", path), "d.npz")
