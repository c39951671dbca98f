"""Run an imported ONNX model as a Program and give its tensors back as ONNX names and lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.importers.onnx_graph import ImportedOnnx
from fxpgrad.program.execute import Executor, run_reference
from fxpgrad.program.lower import lower

Array = NDArray[Any]


def tensors_of(
    imported: ImportedOnnx, feed: Mapping[str, Array], *, reference: bool = False
) -> dict[str, Array]:
    """Return every tensor of the model by its ONNX name: integers, in ONNX's axes."""
    program = lower(imported.graph, "onnx_float32")
    given = {imported.values[name].tensor: _outer(imported, name, x) for name, x in feed.items()}
    if reference:
        found = run_reference(program, given)
    else:
        rows = next(iter(given.values())).shape[0]
        found = dict(Executor(program, rows).layers(given))
    return {name: place.from_graph(found[place.tensor]) for name, place in imported.values.items()}


def outputs_of(imported: ImportedOnnx, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs by their ONNX names; what is a float in ONNX is dequantized."""
    tensors = tensors_of(imported, feed)
    return {name: real_value(imported, name, tensors[name]) for name in imported.outputs}


def real_value(imported: ImportedOnnx, name: str, integers: Array) -> Array:
    """Return the dequantized value if the ONNX output is a float."""
    declared = {entry.name: entry.dtype for entry in imported.model.outputs}
    return imported.values[name].dequantize(integers) if declared.get(name) == "float32" else integers


def _outer(imported: ImportedOnnx, name: str, x: Array) -> Array:
    place = imported.values[name]
    return place.to_graph(place.quantize(x) if x.dtype == np.float32 else x)
