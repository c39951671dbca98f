"""Whole model files, bit for bit as TFLite-Micro computes every one of their tensors.

The stored digests were made by tests/golden/make_tflm_models.py. The model files and the real inputs are too
large for this repository: without the data folder beside the checkout these tests skip.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden.whole_model_results import FEW, digest
from tests.golden.whole_models import MODELS

pytest.importorskip("tflite")

from tests.importers.whole_model_run import FileModel, first_difference

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
STORED = json.loads((ROOT / "tests" / "golden" / "tflm_models.json").read_text())
SETS = [(name, inputs) for name, model in MODELS.items() for inputs in model.sets()]

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no folder {DATA}: the model files and their inputs are not in this repository"
)
every_model = pytest.mark.parametrize("name", MODELS)
every_set = pytest.mark.parametrize(("name", "inputs"), SETS)


@functools.cache
def file_model(name: str, profile: str = STORED["profile"]) -> FileModel:
    return FileModel(DATA / MODELS[name].file, profile)


def tensor_indices(entry: dict[str, Any]) -> list[int]:
    return [row[0] for row in entry["tensors"]]


@every_model
def test_the_file_is_the_one_that_was_run(name: str) -> None:
    content = (DATA / MODELS[name].file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == STORED["models"][name]["file_sha256"]


@every_model
def test_every_tensor_of_the_file_is_compared(name: str) -> None:
    indices = tensor_indices(STORED["models"][name])
    assert file_model(name).compared(indices) == indices
    assert set(STORED["models"][name]["sets"]) == set(MODELS[name].sets())


@every_set
def test_first_samples_equal_tflite_micro_in_every_tensor(name: str, inputs: str) -> None:
    entry = STORED["models"][name]
    model, indices = file_model(name), tensor_indices(entry)
    x, _ = MODELS[name].inputs(inputs, DATA)
    found, outputs = model.digests(x[:FEW], indices)
    assert first_difference(entry, indices, found.all(), (inputs, "few")) is None
    stored = [
        np.frombuffer(bytes.fromhex(text), outputs.dtype) for text in entry["sets"][inputs]["few_outputs"]
    ]
    np.testing.assert_array_equal(outputs.reshape(len(outputs), -1), np.stack(stored))


def whole_set(name: str, inputs: str) -> None:
    entry = STORED["models"][name]
    stored = entry["sets"][inputs]
    x, labels = MODELS[name].inputs(inputs, DATA)
    assert (len(x), digest(x)) == (stored["samples"], stored["inputs"])
    indices = tensor_indices(entry)
    found, outputs = file_model(name).digests(x, indices)
    assert first_difference(entry, indices, found.few(), (inputs, "few")) is None
    assert first_difference(entry, indices, found.all(), (inputs, "all")) is None
    if labels is not None:
        correct = np.argmax(outputs.reshape(len(outputs), -1), axis=1) == labels
        assert int(correct.sum()) == stored["correct"]


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("mobilenet")])
def test_random_samples_equal_tflite_micro_in_every_tensor(name: str) -> None:
    whole_set(name, MODELS[name].sets()[0])


@pytest.mark.deep
@every_set
def test_all_samples_equal_tflite_micro_in_every_tensor_and_in_accuracy(name: str, inputs: str) -> None:
    whole_set(name, inputs)


@pytest.mark.parametrize("profile", ["tflite_single", "tflite_x86_optimized"])
def test_digests_tell_a_wrong_rounding(profile: str) -> None:
    name = "pretrainedResnet_quant"
    entry = STORED["models"][name]
    x, _ = MODELS[name].inputs("random", DATA)
    found, _ = file_model(name, profile).digests(x[:FEW], tensor_indices(entry))
    assert first_difference(entry, tensor_indices(entry), found.all(), ("random", "few")) is not None
