"""`fxpgrad inspect` counts what the model does."""

from __future__ import annotations

import hashlib
import json

from fxpgrad.program.plan import plan
from fxpgrad.program.prove import prove_call
from tests.cli.small_models import CLASSES, assert_refused, call


def test_json_counts_multiplications_bytes_and_bits(classifier):
    result = call("inspect", classifier.path, "--batch", 4, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    program = classifier.program
    by_kernel = {row["kernel"].partition("_a8")[0]: row for row in report["calls"]}
    assert by_kernel["conv2d"]["macs"] == 6 * 6 * 8 * 3 * 3 * 2
    assert by_kernel["fully_connected"]["macs"] == 8 * CLASSES
    assert by_kernel["max_pool2d"]["macs"] == 0
    proof = prove_call(program, program.calls[0])
    assert proof is not None
    assert by_kernel["conv2d"]["proved_bits"] == proof.bits
    assert by_kernel["conv2d"]["accumulator_bits"] == 32
    assert report["totals"]["weights_bytes"] == program.weights_bytes
    assert sum(row["weights_bytes"] for row in report["calls"]) == program.weights_bytes
    assert report["totals"]["arena_bytes"] == plan(program, 4).peak_bytes
    assert report["weights_sha256"] == program.constants_sha256()
    assert report["file_sha256"] == hashlib.sha256(classifier.path.read_bytes()).hexdigest()
    assert report["profile"] == "tflite_double"


def test_table_names_every_call_and_the_totals(classifier):
    result = call("inspect", classifier.path)
    assert result.exit_code == 0
    for row in classifier.program.calls:
        assert row.name in result.stdout
    assert f"{classifier.program.weights_bytes:,}" in result.stdout
    assert classifier.program.constants_sha256() in result.stdout


def test_batch_below_one_is_refused(classifier):
    assert_refused(call("inspect", classifier.path, "--batch", 0), "batch must be", "at least 1")


def test_absurd_batch_is_refused(classifier):
    assert call("inspect", classifier.path, "--batch", 2**20).exit_code == 0
    assert_refused(call("inspect", classifier.path, "--batch", 2**20 + 1), "at most 1048576")
    assert_refused(call("inspect", classifier.path, "--batch", 10**30), "at most 1048576")
