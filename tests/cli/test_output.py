"""Standard output and files that cannot be written: one line, exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fxpgrad.cli.application import application
from tests.cli.small_models import assert_refused, call

FULL = Path("/dev/full")
MAIN = (sys.executable, "-c", "from fxpgrad.cli import main; main()")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["inspect"], ["inspect", "--json"], ["inspect", "--help"], ["--help"]])
def test_full_output_is_one_line(monkeypatch, capsys, classifier, arguments):
    if arguments[0] == "inspect":
        arguments = [*arguments, str(classifier.path)]
    monkeypatch.setattr(sys, "stdout", FULL.open("w"))
    with pytest.raises(SystemExit) as stopped:
        application(arguments)
    assert stopped.value.code == 2
    assert sys.stdout.closed
    error = capsys.readouterr().err
    assert error == "fxpgrad: cannot write to standard output: No space left on device\n"


def test_an_error_of_another_file_is_not_blamed_on_the_output(monkeypatch, classifier):
    def fail(*_arguments: object) -> None:
        raise OSError("something else")

    monkeypatch.setattr("fxpgrad.cli.inspect_command.plan", fail)
    assert str(call("inspect", classifier.path).exception) == "something else"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_output_of_a_process_is_one_line(unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("w") as full:
        process = subprocess.run(
            [*MAIN, "--help"], stdout=full, stderr=subprocess.PIPE, env=environment, check=False
        )
    assert process.returncode == 2
    assert process.stderr.count(b"\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="sets a POSIX locale")
def test_ascii_output_replaces_what_it_lacks(classifier):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = subprocess.run(
        [*MAIN, "inspect", str(classifier.path)],
        capture_output=True,
        env={**os.environ, **locale},
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    assert b"6?6?2" in process.stdout


def run_to(classifier, folder, *outputs):
    np.save(folder / "x.npy", classifier.x)
    return call("run", classifier.path, "--input", folder / "x.npy", "--output", *outputs)


def test_too_long_a_name_is_refused(tmp_path, classifier):
    assert_refused(run_to(classifier, tmp_path, tmp_path / ("a" * 300)), "cannot write", "too long")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_regular_file_is_refused(tmp_path, classifier):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("pipe", "link"):
        assert_refused(run_to(classifier, tmp_path, tmp_path / name), name, "not a regular file")
    assert_refused(run_to(classifier, tmp_path, os.devnull), "not a regular file")
    assert_refused(run_to(classifier, tmp_path, tmp_path / "circle"), "cannot write", "circle")
    assert_refused(run_to(classifier, tmp_path, tmp_path / "x.npy" / "y.npy"), "no directory")


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_to_a_regular_file_is_written_through(tmp_path, classifier):
    (tmp_path / "y.npy").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "y.npy")
    assert run_to(classifier, tmp_path, tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert len(np.load(tmp_path / "y.npy")) == len(classifier.x)


def test_one_file_under_two_names_is_refused(tmp_path, classifier, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(run_to(classifier, tmp_path, "o.npy", "--dump", "./o.npy"), "different")
    assert_refused(run_to(classifier, tmp_path, "o.npy", "--dump", tmp_path / "o.npy"), "different")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_empty_names_are_refused(tmp_path, classifier):
    assert_refused(run_to(classifier, tmp_path, ""), "--output", "empty")
    assert_refused(run_to(classifier, tmp_path, "y.npy", "--dump", ""), "--dump", "empty")
    assert_refused(call("inspect", ""), "MODEL", "empty")
    assert_refused(call("evaluate", classifier.path, "--data", ""), "--data", "empty")
    assert_refused(call("adapt", "", "--data", "d.npz", "-o", "o.fxp"), "MODEL", "empty")
