"""Run a float ONNX network by its own runtime: to check the import, and to calibrate from it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fxpgrad.errors import InputError
from fxpgrad.graph.float_execution import run_float_outputs
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.onnx_file import onnx_package
from fxpgrad.importers.onnx_imported import ImportedOnnx
from fxpgrad.importers.onnx_model import Array
from fxpgrad.quantize.affine import Range
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.quantize.quantize_graph import quantize_graph

Source = str | Path | bytes


def run_onnx(source: Source, feed: Mapping[str, ArrayLike], values: Sequence[str]) -> dict[str, Array]:
    """Return values of an ONNX model by name, as onnxruntime computes them, or else onnx.reference.

    Parameters
    ----------
    source : str or Path or bytes
        The file or its content.
    feed : mapping
        The inputs by name, in ONNX's own axes.
    values : sequence of str
        Names of any values that nodes of the model make.
    """
    onnx = onnx_package()
    model = onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load(str(source))
    known = {entry.name for entry in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values if name not in known)
    arrays = {name: np.asarray(array) for name, array in feed.items()}
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        reference: Any = importlib.import_module("onnx.reference").ReferenceEvaluator(model)
        found = reference.run(list(values), arrays)
    else:
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what fails is said below
        try:
            session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            found = session.run(list(values), arrays)
        except _runtime_errors() as error:
            raise InputError(f"onnxruntime cannot run the network on these inputs: {error}") from error
    return {name: np.asarray(array) for name, array in zip(values, found, strict=True)}


def _runtime_errors() -> tuple[type[BaseException], ...]:
    """Return what onnxruntime raises; its exceptions have no base of their own."""
    state: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
    )
    return (RuntimeError, ValueError, *(getattr(state, name) for name in names if hasattr(state, name)))


def float_deviation(imported: ImportedOnnx, source: Source, data: Mapping[str, ArrayLike]) -> float:
    """Return the largest difference of any output between the runtime and the imported float Graph.

    Relative to the largest output of the network; a few millionths are the roundings of float32.
    """
    expected = run_onnx(source, data, imported.outputs)
    arranged = imported.arrange(data)
    assert isinstance(arranged, dict)
    actual = run_float_outputs(imported.graph, arranged)
    worst = 0.0
    for name, values in zip(imported.outputs, actual, strict=True):
        wanted = expected[name].astype(np.float64)
        scale = max(float(np.abs(wanted).max(initial=0.0)), 1e-30)
        got = imported.values[name].from_graph(values)
        worst = max(worst, float(np.abs(got - wanted).max(initial=0.0)) / scale)
    return worst


def onnx_ranges(
    imported: ImportedOnnx, source: Source, data: Mapping[str, ArrayLike], graph: Graph
) -> dict[str, Range]:
    """Return the least and the greatest value of each activation of `graph`, run by the ONNX runtime.

    `graph` is the imported Graph or that with folded batch norms; all its activations that ONNX has
    too get a range, inputs included.
    """
    fixed = [value.shape[0] for value in imported.model.inputs if value.name in data and value.shape]
    rows = {len(np.asarray(array)) for array in data.values()}
    if len(rows) != 1:
        raise InputError(f"all inputs must have the same number of rows; got {sorted(rows)}")
    (total,) = rows
    step = total if not fixed or fixed[0] is None else fixed[0]
    if total % step:
        raise InputError(f"the file takes {step} rows at a time; {total} rows are no multiple of that")
    ranges: dict[str, Range] = {}
    for start in range(0, total, step):
        part = {name: np.asarray(array)[start : start + step] for name, array in data.items()}
        for tensor, (low, high) in _ranges_of_rows(imported, source, part, graph).items():
            before = ranges.get(tensor, (low, high))
            ranges[tensor] = (min(before[0], low), max(before[1], high))
    return ranges


def _ranges_of_rows(
    imported: ImportedOnnx, source: Source, data: Mapping[str, ArrayLike], graph: Graph
) -> dict[str, Range]:
    names: dict[str, str] = {}
    for name, place in imported.values.items():
        if place.tensor in graph.tensors:
            names[place.tensor] = name  # the last one: behind a fused activation
    made = [name for name in names.values() if name not in imported.inputs]
    found = {**run_onnx(source, data, made), **{name: np.asarray(array) for name, array in data.items()}}
    ranges: dict[str, Range] = {}
    for tensor, name in names.items():
        low, high = float(found[name].min()), float(found[name].max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"{name} is not finite on the calibration data; check the network")
        ranges[tensor] = (low, high)
    return ranges


def quantize_onnx(
    imported: ImportedOnnx, source: Source, data: Mapping[str, ArrayLike], weight_bits: int = 16
) -> Graph:
    """Quantize an imported float network with the ranges that its own runtime shows on `data`.

    Parameters
    ----------
    imported : ImportedOnnx
        Of a float model.
    source : str or Path or bytes
        The same model.
    data : mapping of str to ndarray of float32
        Calibration inputs by name, in ONNX's own axes: images [N, C, H, W].
    weight_bits : int
        16 or 8.

    Returns
    -------
    Graph
        See `fxpgrad.quantize.quantize`; that function takes the Graph alone and runs it in NumPy.
    """
    folded = fold_batch_norm(imported.graph)
    return quantize_graph(folded, onnx_ranges(imported, source, data, folded), weight_bits)
