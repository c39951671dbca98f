"""`fxpgrad export-c`: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fxpgrad.codegen.model_text import c_plan
from tests.cli.small_models import Model, assert_refused, call


def test_a_folder_is_written_that_tests_itself(classifier: Model, tmp_path: Path) -> None:
    result = call("export-c", classifier.path, "-o", tmp_path / "out", "--samples", 3)
    assert result.exit_code == 0, result.output
    peak = c_plan(classifier.program).peak_bytes
    assert f"an arena of {peak:,} bytes" in result.stdout
    assert f"{peak:,}" in (tmp_path / "out" / "README.md").read_text()
    if shutil.which("make") and shutil.which("cc"):
        done = subprocess.run(
            ["make", "-s", "check"], cwd=tmp_path / "out", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "selftest: 3 samples" in done.stdout


def test_json(classifier: Model, tmp_path: Path) -> None:
    result = call("export-c", classifier.path, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    written = sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()
    )
    assert payload["files"] == written
    assert payload["arena_bytes"] == c_plan(classifier.program).peak_bytes
    assert payload["constant_bytes"] == classifier.program.weights_bytes
    assert [layer["kernel"] for layer in payload["layers"]] == [c.kernel for c in classifier.program.calls]


def test_what_cannot_be_written_is_refused_before_anything_is(classifier: Model, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("")
    arguments = ("export-c", classifier.path, "-o")
    assert_refused(call(*arguments, full), "not empty", "--force")
    assert_refused(call(*arguments, full / "mine"), "not a folder")
    assert_refused(call(*arguments, tmp_path / "no" / "out"), "no folder")
    assert_refused(call(*arguments, ""), "empty")
    peak = c_plan(classifier.program).peak_bytes
    refused = call(*arguments, tmp_path / "out", "--ram-limit", peak - 1)
    assert_refused(refused, "layer", f"the limit of {peak - 1} is too small by 1")
    assert_refused(call(*arguments, tmp_path / "out", "--samples", 0), "samples")
    assert_refused(call(*arguments, tmp_path / "out", "--profile", "tosa_single"), "cannot change")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def test_force_writes_into_a_folder_that_holds_files(classifier: Model, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "README.md").write_text("old")
    assert call("export-c", classifier.path, "-o", tmp_path, "--force").exit_code == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "README.md").read_text() != "old"


def test_a_folder_without_permission_is_refused(
    classifier: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert_refused(call("export-c", classifier.path, "-o", tmp_path / "out"), "no permission")
    assert list(tmp_path.iterdir()) == []
