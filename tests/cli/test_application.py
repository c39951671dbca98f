"""Failures look the same from every command: one line, an exit code, no traceback, no half-written file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import fxpgrad.cli
from fxpgrad.cli import adapt_command
from fxpgrad_kernels.errors import UnknownKernelError
from tests.cli.small_models import assert_refused, call, write_data

COMMANDS = ("demo", "inspect", "run", "adapt", "evaluate")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_version_is_printed():
    result = call("--version")
    assert result.exit_code == 0
    assert "fxpgrad" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--bad"], "--bad"),
        (["frob"], "frob"),
        (["run", "x.fxp"], "--input"),
        (["demo", "--tasks", "many"], "many"),
    ],
)
def test_wrong_usage_is_one_line(arguments, word):
    assert_refused(call(*arguments), word, "--help")


def test_no_command_shows_the_help():
    result = call()
    assert "Commands:" in result.output
    assert "inspect" in result.output


@pytest.mark.parametrize("package", ["click", "rich"])
def test_missing_extra_is_one_line_with_the_pip_command(monkeypatch, capsys, package):
    for name in list(sys.modules):
        if name.startswith("fxpgrad.cli.") or name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit) as stopped:
        fxpgrad.cli.main()
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f'fxpgrad: the command line needs {package}: pip install "fxpgrad[cli]"\n'


def test_missing_model_is_refused_by_every_command(tmp_path):
    data = write_data(tmp_path / "d.npz", x=[1], y=[1])
    absent = tmp_path / "absent.fxp"
    for arguments in (
        ("inspect", absent),
        ("run", absent, "--input", data, "--output", tmp_path / "y.npy"),
        ("adapt", absent, "--data", data, "-o", tmp_path / "out.fxp"),
        ("evaluate", absent, "--data", data),
    ):
        assert_refused(call(*arguments), "absent.fxp", "No such file")
    assert sorted(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_damaged_model_is_refused(tmp_path, classifier, damage):
    content = bytearray(classifier.path.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "damaged.fxp"
    path.write_bytes(
        {
            "flip": bytes(content),
            "cut": classifier.path.read_bytes()[:-100],
            "empty": b"",
            "text": b"hello, I am certainly not a model, whatever my name says",
        }[damage]
    )
    assert_refused(call("inspect", path), "damaged.fxp")


def run_with(monkeypatch, tmp_path, classifier, error):
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(adapt_command, "adapt", fail)
    data = write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)
    result = call("adapt", classifier.path, "--data", data, "-o", tmp_path / "out.fxp")
    assert sorted(tmp_path.iterdir()) == [data]
    return result


def test_interruption_gives_130_and_writes_nothing(monkeypatch, tmp_path, classifier):
    result = run_with(monkeypatch, tmp_path, classifier, KeyboardInterrupt())
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "fxpgrad: interrupted\n")


def test_errors_of_the_device_side_and_lack_of_memory_are_one_line(monkeypatch, tmp_path, classifier):
    error = UnknownKernelError("no kernel\nis called so")
    assert_refused(run_with(monkeypatch, tmp_path, classifier, error), "no kernel is called so")
    assert_refused(run_with(monkeypatch, tmp_path, classifier, MemoryError()), "memory")


def test_a_programming_error_is_not_hidden(monkeypatch, tmp_path, classifier):
    result = run_with(monkeypatch, tmp_path, classifier, ZeroDivisionError())
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_control_c_stops_a_running_demo():
    script = """
import os, signal, sys
from fxpgrad.cli import main
from fxpgrad.experiments import demo
run_task = demo._run_task

def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return run_task(*arguments)

demo._run_task = interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
main()
"""
    command = [sys.executable, "-c", script, "demo", "--tasks", "1000", "--json"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "fxpgrad: interrupted\n")
