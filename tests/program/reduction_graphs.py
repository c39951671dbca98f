"""TFLite-Micro's stored results for softmax, reductions, pools and resizing, as Graphs of one node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor

STORED = Path(__file__).resolve().parents[1] / "golden" / "tflm_reduction.npz"
Array = NDArray[Any]
Case = dict[str, Any]


def stored_cases(operator: str) -> list[Case]:
    """Return the cases of one operator: arrays and numbers by name."""
    cases: dict[str, Case] = {}
    with np.load(STORED) as stored:
        for key in stored.files:
            name, case, argument = key.split("/")
            if name == operator:
                given = json.loads(stored[key].item()) if argument == "numbers" else {argument: stored[key]}
                cases.setdefault(case, {}).update(given)
    return list(cases.values())


def graph_of(
    op: str, case: Case, source: tuple[float, int], target: tuple[float, int], attributes: dict[str, Any]
) -> Graph:
    """Return the Graph of a node "y" that reads "x"."""
    tensors = {
        name: Tensor(
            name,
            array.shape[1:],
            array.dtype.name,
            Quantization(np.array([scale]), np.array([zero], np.int64)),
        )
        for name, array, (scale, zero) in (("x", case["input"], source), ("y", case["output"], target))
    }
    return Graph(op, tensors, (Node("y", op, ("x",), "y", attributes),), ("x",), ("y",))


def _softmax(case: Case) -> Graph:
    wide = case["output"].dtype == np.int16
    target = (2.0**-16, -32768) if wide else (2.0**-8, -128)
    if case["input"].dtype == np.int16:
        target = (2.0**-15, 0)
    return graph_of("softmax", case, (case["scale"], 3), target, {"beta": case["beta"]})


def _log_softmax(case: Case) -> Graph:
    return graph_of("log_softmax", case, (case["scale"], 3), (1 / 16, 127), {})


def _reduction(op: str, case: Case) -> Graph:
    source = case["input_scale"], case["input_zero_point"]
    target = case["output_scale"], case["output_zero_point"]
    attributes = {"axes": tuple(case["axes"].tolist()), "keep_dims": case["keep_dims"]}
    return graph_of(op, case, source, target, attributes)


def _pool(op: str, case: Case) -> Graph:
    extents, counts = case["input"].shape[1:3], case["output"].shape[1:3]
    padding: list[int] = []
    for axis, (side, pad) in enumerate((("h", "top"), ("w", "left"))):
        before, size, stride = case[f"pad_{pad}"], case[f"size_{side}"], case[f"stride_{side}"]
        padding += [before, max((counts[axis] - 1) * stride + size - extents[axis] - before, 0)]
    attributes = {
        "size": (case["size_h"], case["size_w"]),
        "stride": (case["stride_h"], case["stride_w"]),
        "padding": tuple(padding),
        "activation": "relu" if case["clamp_low"] == 0 else "none",
    }
    return graph_of(op, case, (0.5, 0), (0.5, 0), attributes)


def _resize(case: Case) -> Graph:
    modes = {key: case[key] for key in ("align_corners", "half_pixel_centers")}
    return graph_of("resize_bilinear", case, (0.5, 9), (0.5, 9), modes)


def _l2_normalization(case: Case) -> Graph:
    return graph_of("l2_normalization", case, (0.1, case["input_zero_point"]), (2.0**-7, 0), {})


def _arg(op: str, case: Case) -> Graph:
    return graph_of(op, case, (0.5, 3), (1.0, 0), {"axis": case["axis"]})


BUILDERS: dict[str, Callable[[Case], Graph]] = {
    **dict.fromkeys(("softmax_a8", "softmax_a8_a16", "softmax_a16"), _softmax),
    "log_softmax": _log_softmax,
    **dict.fromkeys(("mean_a8", "mean_a16"), partial(_reduction, "mean")),
    **dict.fromkeys(("sum_a8", "sum_a16"), partial(_reduction, "sum")),
    "reduce_max": partial(_reduction, "reduce_max"),
    "arg_max": partial(_arg, "arg_max"),
    "arg_min": partial(_arg, "arg_min"),
    "l2_normalization": _l2_normalization,
    "resize_bilinear": _resize,
    "average_pool2d_a16": partial(_pool, "average_pool2d"),
    "max_pool2d_a16": partial(_pool, "max_pool2d"),
}


def stored_graphs(operator: str) -> Iterator[tuple[Graph, Array, Array]]:
    """Yield (Graph, input, what TFLite-Micro returned) for every case of an operator."""
    for case in stored_cases(operator):
        yield BUILDERS[operator](case), case["input"], case["output"]
