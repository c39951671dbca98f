"""Whole model files under the profiles of LiteRT's fast paths, against their stored results.

The digests were made by tests/golden/make_litert_models.py. Without the data folder these tests skip.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pytest

from tests.golden.whole_model_results import FEW, digest
from tests.golden.whole_models import MODELS

pytest.importorskip("tflite")

from tests.importers.test_whole_models import DATA, ROOT
from tests.importers.whole_model_run import FileModel, first_difference

RUNTIMES = ("optimized", "xnnpack")
STORED = {
    runtime: json.loads((ROOT / "tests" / "golden" / f"litert_{runtime}_models.json").read_text())
    for runtime in RUNTIMES
}
CASES = [
    (runtime, name, inputs)
    for runtime in RUNTIMES
    for name, model in MODELS.items()
    for inputs in model.sets()
]

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no folder {DATA}: the model files and their inputs are not in this repository"
)
every_case = pytest.mark.parametrize(("runtime", "name", "inputs"), CASES)


@functools.cache
def file_model(runtime: str, name: str) -> FileModel:
    return FileModel(DATA / MODELS[name].file, STORED[runtime]["profile"])


def tensor_indices(entry: dict[str, Any]) -> list[int]:
    return [row[0] for row in entry["tensors"]]


@every_case
def test_first_samples_equal_litert_in_every_tensor(runtime: str, name: str, inputs: str) -> None:
    entry = STORED[runtime]["models"][name]
    indices = tensor_indices(entry)
    x, _ = MODELS[name].inputs(inputs, DATA)
    found, outputs = file_model(runtime, name).digests(x[:FEW], indices)
    assert first_difference(entry, indices, found.all(), (inputs, "few")) is None
    stored = [
        np.frombuffer(bytes.fromhex(text), outputs.dtype) for text in entry["sets"][inputs]["few_outputs"]
    ]
    np.testing.assert_array_equal(outputs.reshape(len(outputs), -1), np.stack(stored))


@pytest.mark.deep
@every_case
def test_all_samples_equal_litert_in_every_tensor_and_in_accuracy(
    runtime: str, name: str, inputs: str
) -> None:
    entry = STORED[runtime]["models"][name]
    stored, indices = entry["sets"][inputs], tensor_indices(entry)
    x, labels = MODELS[name].inputs(inputs, DATA)
    assert (len(x), digest(x)) == (stored["samples"], stored["inputs"])
    found, outputs = file_model(runtime, name).digests(x, indices)
    assert first_difference(entry, indices, found.all(), (inputs, "all")) is None
    if labels is not None:
        correct = np.argmax(outputs.reshape(len(outputs), -1), axis=1) == labels
        assert int(correct.sum()) == stored["correct"]
