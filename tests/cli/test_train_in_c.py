"""`fxpgrad export-c --train` and `fxpgrad emulate`: a step in C, and boards that run it; refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fxpgrad.codegen.emulated_boards import BOARDS
from tests.cli.small_models import Model, assert_refused, call, write_data


@pytest.fixture
def project(tmp_path: Path, classifier: Model) -> Path:
    folder = tmp_path / "project"
    result = call("export-c", classifier.path, "-o", folder, "--train", "ft", "--batch", 4)
    assert result.exit_code == 0, result.output
    assert "scope ft" in result.stdout
    return folder


@pytest.mark.parametrize("scope", ["lp", "ft", "affine"])
def test_json_says_what_a_step_needs(scope: str, tmp_path: Path, classifier: Model) -> None:
    words = ("--train", scope, "--batch", 5, "--directions", 5, "--seed", 9, "--json")
    result = call("export-c", classifier.path, "-o", tmp_path / "project", *words)
    assert result.exit_code == 0, result.output
    training = json.loads(result.stdout)["training"]
    assert training["batch"] == 5
    assert training["trained_bytes"] > 0
    assert (training["config"]["scope"], training["config"]["seed"]) == (scope, 9)


def test_settings_of_training_need_training(tmp_path: Path, classifier: Model) -> None:
    assert_refused(
        call("export-c", classifier.path, "-o", tmp_path / "p", "--learning-rate", 0.1), "--learning-rate"
    )
    assert_refused(
        call("export-c", classifier.path, "-o", tmp_path / "p", "--train", "ft", "--epsilon", 1e-9), "epsilon"
    )
    for words in (("--batch", 4), ("--directions", 2), ("--data", "mine.npz")):
        assert_refused(
            call("export-c", classifier.path, "-o", tmp_path / "p", *words), f"{words[0]} is for --train"
        )
    words = ("--train", "ft", "--data", "mine.npz")
    assert_refused(call("export-c", classifier.path, "-o", tmp_path / "p", *words), "--head exact")
    assert not (tmp_path / "p").exists()


def test_a_batch_that_int32_cannot_count_is_refused(tmp_path: Path, classifier: Model) -> None:
    words = ("--train", "ft", "--batch", 2**31 // 72 + 1)
    assert_refused(call("export-c", classifier.path, "-o", tmp_path / "p", *words), "make it smaller")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(("batch", "directions"), [(100, 50), (64, 64), (67, 1)])
def test_affine_directions_fit_the_batch(
    batch: int, directions: int, tmp_path: Path, classifier: Model
) -> None:
    words = ("--train", "affine", "--batch", batch, "--json")
    result = call("export-c", classifier.path, "-o", tmp_path / "p", *words)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["training"]["config"]["num_directions"] == directions


def test_an_exact_head_is_sized_by_data(tmp_path: Path, classifier: Model) -> None:
    words = ["export-c", classifier.path, "-o", tmp_path / "p", "--train", "affine", "--head", "exact"]
    assert_refused(call(*words), "--data")
    data = write_data(tmp_path / "few.npz", x=classifier.x[:3], y=classifier.y[:3])
    assert_refused(call(*words, "--data", data), "3 samples")
    data = write_data(tmp_path / "data.npz", x=classifier.x, y=classifier.y)
    result = call(*words, "--data", data, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["training"]["config"]["head"] == "exact"


def test_features_cannot_be_trained_in_c(tmp_path: Path, features: Model) -> None:
    assert_refused(
        call("export-c", features.path, "-o", tmp_path / "p", "--train", "lp"), "fully connected layer"
    )


@pytest.mark.parametrize("name", ["cortex-m4", "rv32"])
def test_a_project_runs_on_a_board(name: str, project: Path, classifier: Model) -> None:
    if BOARDS[name].missing():
        pytest.skip(f"{BOARDS[name].missing()} not installed")
    result = call("emulate", project, "--board", name)
    assert result.exit_code == 0, result.output
    assert "all equal" in result.stdout
    assert_refused(call("emulate", project, "--board", name, "--program", "train"), "samples.bin")
    (project / "samples.bin").write_bytes(classifier.x.tobytes())
    (project / "labels.bin").write_bytes(classifier.y.astype(np.int32).tobytes())
    words = ("emulate", project, "--board", name, "--program", "train", "--steps", 3, "--json")
    (run,) = json.loads(call(*words).stdout)["runs"]
    assert run["status"] == 0
    assert len(run["said"].splitlines()) == 3
    assert run["ram"] >= run["sizes"]["bss"] > 0
    (project / "labels.bin").write_bytes(np.full(len(classifier.y), 99, np.int32).tobytes())
    failed = call(*words)
    assert failed.exit_code == 1
    assert "labels.bin: a label is out of range" in json.loads(failed.stdout)["runs"][0]["said"]


def test_bad_projects_and_boards_are_named(tmp_path: Path, classifier: Model, monkeypatch) -> None:
    assert_refused(call("emulate", tmp_path, "--board", "cortex-m4"), "fxpgrad export-c")
    assert_refused(call("emulate", tmp_path, "--board", "cortex-m44"), "did you mean cortex-m4")
    assert_refused(call("emulate", tmp_path, "--steps", 3), "--steps is for --program train")
    folder = tmp_path / "inference"
    assert call("export-c", classifier.path, "-o", folder).exit_code == 0
    if not BOARDS["cortex-m4"].missing():
        words = ("emulate", folder, "--board", "cortex-m4", "--program", "train")
        assert_refused(call(*words), "--train")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(call("emulate", folder, "--board", "cortex-m4"), "apt install")
