"""fxpgrad check, and convert: what they print, write and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fxpgrad.program.store import load
from tests.cli.small_models import assert_refused, call


def test_check_without_data_lists_the_proofs(classifier):
    result = call("check", classifier.path, "--accumulator-bits", 16, "--json")
    payload = json.loads(result.stdout)
    assert payload["accumulator_bits"] == 16
    assert payload["samples"] == 0
    assert payload["correct"] is None
    assert all(layer["fits"] == (layer["proved_bits"] <= 16) for layer in payload["layers"])
    assert result.exit_code == int(not all(layer["fits"] for layer in payload["layers"]))


@pytest.mark.parametrize("on_overflow", ["wrap", "saturate"])
def test_check_with_data_counts(tmp_path, classifier, on_overflow):
    np.savez(tmp_path / "d.npz", x=classifier.x, y=classifier.y)
    arguments = ("check", classifier.path, "--data", tmp_path / "d.npz", "--on-overflow", on_overflow)
    result = call(*arguments, "--accumulator-bits", 32, "--json")
    payload = json.loads(result.stdout)
    assert payload["samples"] == len(classifier.x)
    assert payload["differing_samples"] == 0
    assert payload["correct"]["exact"] == payload["correct"]["narrow"]
    assert result.exit_code == 0
    table = call(*arguments, "--accumulator-bits", 16)
    assert "bits proved" in table.stdout
    assert "outputs differ" in table.stdout


def test_check_refuses_bad_requests(tmp_path, classifier):
    assert_refused(call("check", classifier.path, "--accumulator-bits", 31), "31")
    assert_refused(call("check", classifier.path, "--real"), "--data")
    assert_refused(call("check", tmp_path / "no.tflite"), "cannot read")
    (tmp_path / "odd.bin").write_bytes(b"what is this")
    assert_refused(call("check", tmp_path / "odd.bin"), "no model that is known")


def test_convert_keeps_every_integer(tmp_path, classifier):
    result = call("convert", classifier.path, "-o", tmp_path / "copy.fxp", "--json")
    assert result.exit_code == 0
    payload = json.loads(result.stdout)
    assert (tmp_path / "copy.fxp").read_bytes() == classifier.path.read_bytes()
    assert payload["weights_sha256"] == load(classifier.path).constants_sha256()


def test_convert_refuses_another_profile_and_other_files(tmp_path, classifier):
    target = tmp_path / "copy.fxp"
    refused = call("convert", classifier.path, "-o", target, "--profile", "tosa_single")
    assert_refused(refused, "tflite_double", "cannot change")
    assert_refused(call("convert", classifier.path, "-o", tmp_path / "copy.tflite"), ".fxp")
    assert_refused(call("convert", classifier.path, "-o", classifier.path), "itself")
    assert not target.exists()
