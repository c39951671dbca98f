"""Runs a TFLite file through importer, lowering and executor, and gives its tensors by the file's indices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.importers.tflite_graph import ImportedModel, import_tflite
from fxpgrad.program.execute import Executor, to_inner
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from tests.golden.whole_model_results import FEW, TensorDigests

Array = NDArray[Any]


class FileModel:
    """A model file under one profile, whose tensors are found by their indices in the file."""

    def __init__(self, path: Path, profile: str) -> None:
        self.imported: ImportedModel = import_tflite(path)
        self.program: Program = lower(self.imported.graph, profile)
        (self.input,) = self.program.inputs
        (self.output,) = self.program.outputs

    def compared(self, indices: list[int]) -> list[int]:
        """Return those of the file's tensors that the Program has."""
        return [i for i in indices if self.imported.tensors[i] is not None]

    def batches(self, x: Array, batch: int) -> Iterator[dict[int, Array]]:
        """Run samples in order, the first few as a batch of their own; yield tensors by file index."""
        executor: Executor | None = None
        start = 0
        while start < len(x):
            rows = x[start : start + (FEW if start == 0 else batch)]
            if executor is None or executor.batch != len(rows):
                executor = Executor(self.program, len(rows))
            layers = dict(executor.layers(rows))
            places = enumerate(self.imported.tensors)
            yield {index: layers[name] for index, name in places if name is not None and name in layers}
            start += len(rows)

    def alone(self, given: Mapping[int, Array]) -> dict[int, Array]:
        """Return each tensor as computed from another runtime's inputs of that operator.

        `given` holds that runtime's tensors by file index, [n, ...]. So one operator's difference does not
        show up again in those after it.
        """
        names = {name: index for index, name in enumerate(self.imported.tensors) if name is not None}
        x = given[names[self.input]]
        executor = Executor(self.program, len(x))
        executor.load(x.reshape(len(x), *self.program.tensors[self.input].shape))
        last = {call.output: position for position, call in enumerate(self.program.calls)}
        found: dict[int, Array] = {}
        for position, bound in enumerate(executor.calls):
            bound.run()
            output = bound.call.output
            if output in names and last[output] == position:
                found[names[output]] = executor.value(output)
                info = self.program.tensors[output]
                view = executor.view(output)
                view[...] = to_inner(info, given[names[output]].reshape(view.shape))
        return found

    def digests(self, x: Array, indices: list[int], batch: int = 16) -> tuple[TensorDigests, Array]:
        """Return digests of the tensors `indices` over all samples, and the outputs [n, ...]."""
        digests = TensorDigests()
        outputs = []
        for tensors in self.batches(x, batch):
            digests.add([tensors[i] for i in indices], len(next(iter(tensors.values()))))
            outputs.append(tensors[self.output_index()])
        return digests, np.concatenate(outputs)

    def output_index(self) -> int:
        """Return the output's index in the file."""
        return max(i for i, name in enumerate(self.imported.tensors) if name == self.output)


def first_difference(
    entry: Mapping[str, Any], indices: list[int], found: list[str], kept: tuple[str, str]
) -> str | None:
    """Return the first tensor, in the order of execution, whose digest is not the stored one."""
    order = [row[0] for row in entry["tensors"]]
    stored = dict(zip(order, entry["sets"][kept[0]][kept[1]], strict=True))
    for index, value in zip(indices, found, strict=True):
        if stored[index] != value:
            row = entry["tensors"][order.index(index)]
            return f"tensor {index} ({row[1]}), {row[2]} {row[3]}"
    return None
