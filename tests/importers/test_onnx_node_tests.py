"""The published node tests of ONNX's integer operators, through the importer and a Program."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fxpgrad.errors import ModelFileError  # noqa: E402
from fxpgrad.importers.onnx_graph import import_onnx  # noqa: E402
from tests.importers.onnx_comparison import outputs_of  # noqa: E402

FAMILIES = ("convinteger", "matmulinteger", "qlinearconv", "qlinearmatmul", "quantizelinear")
# The inputs of each operator that a Program takes at run time; all others are constants of a model.
RUN_TIME = {"QLinearMatMul_3D": ("a", "b"), "QLinearMatMul": ("a",), "MatMulInteger": ("A",)}


@functools.cache
def cases() -> dict[str, Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {case.name: case for case in collect_testcases(None)}
    return {name: case for name, case in found.items() if any(family in name for family in FAMILIES)}


SUPPORTED = (
    "test_convinteger_without_padding",
    "test_convinteger_with_padding",
    "test_matmulinteger",
    "test_qlinearconv",
    *(
        f"test_qlinearmatmul_{rank}_{kind}_{scale}"
        for rank in ("2D", "3D")
        for kind in ("uint8", "int8")
        for scale in ("float32", "float16")
    ),
)
# Nothing but an edge of a model: float numbers in or out, which the import converts and no Program computes.
EDGES = ("test_quantizelinear", "test_dequantizelinear")
# Everything else in these families, and the words with which it is refused.
REFUSED = {
    "_int16": "zero point 0",
    "_axis": "per tensor",
    "_blocked": "per tensor|blocked",
    "_e4m3": "element type|no known type|not supported",
    "_e5m2": "element type|no known type|not supported",
    "uint16": "uint16",
    "int4": "element type|no known type|per tensor",
    "int2": "element type|no known type|per tensor",
    "float4": "element type|no known type|per tensor",
    "dynamicquantizelinear": "not supported|axis 0|must be",
}


def run_case(name: str) -> None:
    case = cases()[name]
    op = case.model.graph.node[0].op_type
    for given, expected in case.data_sets:
        names = [entry.name for entry in case.model.graph.input]
        arrays = dict(zip(names, map(np.asarray, given), strict=True))
        first = RUN_TIME.get(f"{op}_3D" if "_3D_" in name else op, (names[0],))
        constants = {key: array for key, array in arrays.items() if key not in first}
        imported = import_onnx(case.model.SerializeToString(), constants=constants)
        got = outputs_of(imported, {key: arrays[key] for key in first})
        for entry, wanted in zip(case.model.graph.output, expected, strict=True):
            np.testing.assert_array_equal(got[entry.name], np.asarray(wanted))
            assert got[entry.name].dtype == np.asarray(wanted).dtype


@pytest.mark.parametrize("name", SUPPORTED)
def test_node_test_passes(name: str) -> None:
    run_case(name)


@pytest.mark.parametrize("name", EDGES)
def test_node_test_of_an_edge_passes(name: str) -> None:
    case = cases()[name]
    for given, expected in case.data_sets:
        names = [entry.name for entry in case.model.graph.input]
        constants = dict(zip(names[1:], map(np.asarray, given[1:]), strict=True))
        place = import_onnx(case.model.SerializeToString(), constants=constants).values["y"]
        x = np.asarray(given[0])
        got = place.quantize(x) if name == "test_quantizelinear" else place.dequantize(x)
        np.testing.assert_array_equal(got, np.asarray(expected[0]))
        assert got.dtype == np.asarray(expected[0]).dtype


def test_every_other_node_test_of_these_families_is_refused_by_name() -> None:
    for name in cases():
        if name in SUPPORTED + EDGES:
            continue
        words = next(words for part, words in REFUSED.items() if part in name)
        with pytest.raises(ModelFileError, match=words):
            run_case(name)
