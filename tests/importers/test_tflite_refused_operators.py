"""Operators whose shapes, constants or options do not fit together are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_graph import import_tflite
from tests.importers.tflite_builder import one_operator_model

WRONG: list[tuple[str, list[Any], Any, str, dict[str, Any], str]] = [
    ("RESHAPE", [(1, 4), [5]], (1, 5), "", {}, "products must agree"),
    ("RESHAPE", [(1, 4), (1, 2)], (1, 2, 2), "", {}, "computed while running"),
    ("TRANSPOSE", [(1, 4, 6), [0, 1]], (1, 6, 4), "", {}, "must hold 3 integers; got 2"),
    ("TRANSPOSE", [(1, 4, 6), [0, 1, 1]], (1, 4, 4), "", {}, "permutation"),
    ("GATHER", [(1, 4, 6), [6]], (1, 4, 1), "GatherOptions", {"Axis": 2}, r"\[0, 5\]"),
    ("GATHER", [(1, 4, 6), [-1]], (1, 4, 1), "GatherOptions", {"Axis": 2}, r"\[0, 5\]"),
    ("GATHER", [(1, 4), [0]], (1, 1), "GatherOptions", {"Axis": 1, "BatchDims": 1}, "batch_dims"),
    ("PAD", [(1, 4), [[0, 0], [-1, 0]]], (1, 3), "", {}, "padding"),
    ("MIRROR_PAD", [(1, 4), [[0, 0], [4, 0]]], (1, 8), "MirrorPadOptions", {"Mode": 0}, "mirrored"),
    ("MIRROR_PAD", [(1, 4), [[0, 0], [1, 0]]], (1, 5), "MirrorPadOptions", {"Mode": 2}, "mode"),
    ("SLICE", [(1, 4), [0, 3], [1, 2]], (1, 2), "", {}, "leaves axis 1"),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 0], [1, 4], [1, 0]],
        (1, 4),
        "StridedSliceOptions",
        {},
        "stride of axis 1",
    ),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 4], [1, 4], [1, 1]],
        (1, 1),
        "StridedSliceOptions",
        {},
        "nothing of axis 1",
    ),
    (
        "STRIDED_SLICE",
        [(1, 4), [0, 0], [1, 4], [1, 1]],
        (1, 4),
        "StridedSliceOptions",
        {"EllipsisMask": 1},
        "ellipsis_mask",
    ),
    ("SPLIT", [[1], (1, 5)], [(1, 2), (1, 2)], "SplitOptions", {}, "do not fill axis 1"),
    ("SPLIT", [[1], (1, 5)], [(1, 2), (1, 3)], "SplitOptions", {}, "must have one size"),
    ("SPLIT", [[2], (1, 5)], [(1, 2), (1, 3)], "SplitOptions", {}, "not one of 2 axes"),
    ("SPLIT_V", [(1, 5), [1, 4], [1]], [(1, 2), (1, 3)], "SplitVOptions", {}, "do not agree"),
    ("SOFTMAX", [()], (), "SoftmaxOptions", {"Beta": 1.0}, "needs an axis"),
    ("SOFTMAX", [(1, 4)], (1, 4), "SoftmaxOptions", {"Beta": float("nan")}, "beta must be finite"),
    ("L2_NORMALIZATION", [(1, 4)], (1, 4), "L2NormOptions", {"FusedActivationFunction": 1}, "fused"),
    ("TILE", [(), []], (), "", {}, "needs an axis"),
    ("BROADCAST_TO", [(1, 4), (1, 2)], (1, 4), "", {}, "computed while running"),
    ("BATCH_MATMUL", [(4,), (4, 2)], (2,), "BatchMatMulOptions", {}, "must be matrices"),
    ("UNPACK", [(1, 3)], [(1,)] * 2, "UnpackOptions", {"Axis": 1}, "2 outputs"),
    ("MEAN", [(1, 4), []], (1, 4), "ReducerOptions", {}, "reduces no axis"),
    ("MEAN", [(1, 4), [2]], (1, 4), "ReducerOptions", {}, "axis 2 is not one of 2"),
    ("MEAN", [(1, 4), (1, 2)], (1, 4), "ReducerOptions", {}, "int32 or int64"),
    ("ARG_MAX", [(1, 4), [1]], (1,), "ArgMaxOptions", {}, "INT32 or INT64"),
    ("MAX_POOL_2D", [(1, 4, 4)], (1, 4, 4), "Pool2DOptions", {}, "height, width, channels"),
    ("MAX_POOL_2D", [(1, 4, 4, 1)], (1, 4, 4, 1), "Pool2DOptions", {"FilterHeight": 1}, "filter_width"),
    ("RESIZE_BILINEAR", [(1, 3, 4, 2), [7, 6]], (1, 7, 5, 2), "ResizeBilinearOptions", {}, "agree"),
    ("BATCH_MATMUL", [(1, 4, 6), (1, 5, 6)], (1, 4, 5), "BatchMatMulOptions", {}, "6 columns times 5 rows"),
    ("BATCH_MATMUL", [(2, 4, 6), (3, 6, 5)], (2, 4, 5), "BatchMatMulOptions", {}, "leading axes"),
    ("ADD", [(1, 4), (1, 3)], (1, 4), "AddOptions", {}, "broadcast"),
    ("ADD", [(1, 4)], (1, 4), "AddOptions", {}, "input 1 is missing"),
    ("RELU", [(1, 4)], [(1, 4), (1, 4)], "", {}, "one output"),
    ("CONCATENATION", [(1, 4), (1, 4)], (1, 8), "ConcatenationOptions", {"Axis": 5}, "axis 5"),
    ("LSTM", [(1, 4)], (1, 4), "", {}, "it is not supported; supported: ABS, ADD"),
]


@pytest.mark.parametrize(("name", "inputs", "outputs", "kind", "options", "words"), WRONG)
def test_what_does_not_fit_is_refused_by_name(name, inputs, outputs, kind, options, words):
    with pytest.raises(ModelFileError, match=words):
        import_tflite(one_operator_model(name, inputs, outputs, kind, **options))
