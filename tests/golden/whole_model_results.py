"""How the results of whole models are kept: one SHA-256 for each tensor, the first outputs, accuracies.

A digest is of a tensor's values in C order, little endian, all samples one after the other. NumPy only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tests.golden.whole_models import SEED, WholeModel

Array = NDArray[Any]
FEW = 4  # samples of a set whose digests are kept apart, for a quick comparison


class TensorDigests:
    """Digests of tensors that come sample by sample or in batches, the first few samples kept apart."""

    def __init__(self) -> None:
        self.samples = 0
        self._running: list[Any] = []
        self._few: list[str] = []

    def add(self, tensors: Iterable[Array], samples: int = 1) -> None:
        """Add the values of all tensors for the next samples, the tensors always in one order."""
        values = [np.ascontiguousarray(tensor) for tensor in tensors]
        if not self._running:
            self._running = [hashlib.sha256() for _ in values]
        for running, value in zip(self._running, values, strict=True):
            running.update(value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes())
        self.samples += samples
        if self.samples == FEW:
            self._few = self.all()

    def few(self) -> list[str]:
        """Return one digest a tensor, of the first few samples; of all where there are no more."""
        return self._few or self.all()

    def all(self) -> list[str]:
        """Return one digest a tensor, of all samples so far."""
        return [running.hexdigest() for running in self._running]


def digest(array: Array) -> str:
    """Return the SHA-256 of an array's values in C order, little endian."""
    digests = TensorDigests()
    digests.add([array], len(array))
    return digests.all()[0]


class Runtime(Protocol):
    """A model in another runtime: tensor indices in order, their names, the output's index."""

    indices: list[int]
    names: list[str]
    output: int

    def run(self, sample: Array) -> list[Array]:
        """Return all tensors, in the order of `indices`, for one sample without batch axis."""


def set_results(runtime: Runtime, x: Array, labels: Array | None) -> dict[str, Any]:
    """Run a set of samples and return its entry."""
    digests = TensorDigests()
    outputs = []
    for sample in x:
        tensors = runtime.run(sample)
        digests.add(tensors)
        outputs.append(np.array(tensors[runtime.indices.index(runtime.output)]).reshape(-1))
    entry: dict[str, Any] = {"samples": len(x), "inputs": digest(x)}
    if labels is not None:
        entry["correct"] = int(np.sum(np.argmax(outputs, axis=1) == labels))
    entry["few_outputs"] = [output.tobytes().hex() for output in outputs[:FEW]]
    return entry | {"few": digests.few(), "all": digests.all()}


def model_results(name: str, model: WholeModel, runtime: Runtime, data: Path) -> dict[str, Any]:
    """Run all sets of a model and return its entry."""
    tensors = runtime.run(model.inputs(model.sets()[0], data)[0][0])
    entry: dict[str, Any] = {
        "file": model.file,
        "file_sha256": hashlib.sha256((data / model.file).read_bytes()).hexdigest(),
        "tensors": [
            [index, label, tensor.dtype.name, list(tensor.shape)]
            for index, label, tensor in zip(runtime.indices, runtime.names, tensors, strict=True)
        ],
        "sets": {},
    }
    for set_name in model.sets():
        x, labels = model.inputs(set_name, data)
        result = set_results(runtime, x, labels)
        entry["sets"][set_name] = result
        print(name, set_name, len(tensors), "tensors", result["samples"], result.get("correct"), flush=True)
    return entry


def dump(runtime: Runtime, source: Path, target: Path) -> None:
    """Write all tensors, by index, for an .npy file of samples."""
    x = np.load(source, allow_pickle=False)
    samples = [[np.array(tensor) for tensor in runtime.run(sample)] for sample in x]
    columns = zip(*samples, strict=True)
    np.savez(target, **{str(i): np.stack(column) for i, column in zip(runtime.indices, columns, strict=True)})


def store(path: Path, head: dict[str, Any], models: dict[str, Any], order: Iterable[str]) -> None:
    """Write results, keeping the stored entries of models that were not renewed."""
    old = json.loads(path.read_text())["models"] if path.exists() else {}
    models = old | models
    kept = {name: models[name] for name in order if name in models}
    content = head | {"seed": SEED, "few": FEW, "models": kept}
    path.write_text(_compact(content) + "\n")


def _compact(value: Any, depth: int = 0) -> str:
    """Return JSON with one line for each thing inside a set or a list of tensors."""
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_compact(item, depth + 1)}" for key, item in value.items()]
    elif isinstance(value, list) and len(value) > 1 and isinstance(value[0], list):
        inner = [json.dumps(item) for item in value]
    else:
        return json.dumps(value)
    pad = "\n" + " " * (depth + 1)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{pad}{f',{pad}'.join(inner)}\n{' ' * depth}{closing}"
