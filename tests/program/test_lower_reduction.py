"""Softmax, reductions, pools and resizing from Graph to bits, against TFLite-Micro."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.lower import lower
from tests.program.reduction_graphs import BUILDERS, graph_of, stored_graphs

every_operator = pytest.mark.parametrize("operator", BUILDERS)


@every_operator
def test_program_equals_tflite_micro(operator: str) -> None:
    for graph, x, expected in stored_graphs(operator):
        program = lower(graph)
        np.testing.assert_array_equal(run_program(program, x), expected)


@every_operator
def test_reference_execution_equals_tflite_micro(operator: str) -> None:
    for graph, x, expected in list(stored_graphs(operator))[:6]:
        np.testing.assert_array_equal(run_reference(lower(graph), x)["y"], expected)


@every_operator
def test_rows_run_one_by_one_or_together(operator: str) -> None:
    graph, x, expected = next(stored_graphs(operator))
    np.testing.assert_array_equal(run_program(lower(graph), x, batch=1), expected)


def image(shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray[Any, Any]:
    return np.zeros((1, *shape), dtype)


def one(
    op: str, shape: tuple[int, ...], result: tuple[int, ...], attributes: dict[str, Any], **kinds: Any
) -> Graph:
    case = {
        "input": image(shape, kinds.get("source", "int8")),
        "output": image(result, kinds.get("target", "int8")),
    }
    source, target = kinds.get("scales", ((0.5, 3), (0.5, 3)))
    return graph_of(op, case, source, target, attributes)


def kernels_of(graph: Graph, profile: str = "tflite_double") -> list[str]:
    return [call.kernel for call in lower(graph, profile).calls]


def test_parted_axes_are_moved_together_first() -> None:
    reduced = {"axes": (0, 2), "keep_dims": 1}
    assert kernels_of(one("reduce_max", (3, 4, 5), (1, 4, 1), reduced)) == ["rearrange_a8", "reduce_max_a8"]
    assert kernels_of(one("reduce_max", (3, 1, 5), (1, 1, 1), reduced)) == ["reduce_max_a8"]
    assert kernels_of(one("reduce_max", (1, 4, 5), (1, 4, 1), reduced)) == ["reduce_max_a8"]


def test_global_average_pooling_is_the_mean_over_height_and_width() -> None:
    scales = ((0.5, 3), (0.3, -7))
    x = np.random.default_rng(0).integers(-128, 128, (3, 5, 4, 3), np.int8)
    pooled = one("global_average_pool2d", (5, 4, 3), (3,), {}, scales=scales)
    mean = one("mean", (5, 4, 3), (3,), {"axes": (0, 1), "keep_dims": 0}, scales=scales)
    assert lower(pooled).calls == lower(mean).calls
    np.testing.assert_array_equal(run_program(lower(pooled), x), run_program(lower(mean), x))


def test_extremes_of_16_bits_have_kernels() -> None:
    kinds = {"source": "int16", "target": "int16", "scales": ((0.5, 0), (0.5, 0))}
    graph = one("reduce_min", (3, 2), (2,), {"axes": (0,), "keep_dims": 0}, **kinds)
    x = np.array([[[5, -7], [-300, 8], [2, 32767]]], np.int16)
    np.testing.assert_array_equal(run_program(lower(graph), x), [[-300, -7]])


SOFTMAX = {"scales": ((0.1, 0), (2.0**-8, -128))}


@pytest.mark.parametrize(
    ("graph", "profile", "message"),
    [
        (one("softmax", (4,), (4,), {"beta": 1.0}), "tflite_double", "scale 0.00390625 and zero point -128"),
        (one("softmax", (9000,), (9000,), {"beta": 1.0}, **SOFTMAX), "tflite_double", "at most 8191"),
        (one("softmax", (4,), (4,), {"beta": 1e-9}, **SOFTMAX), "tflite_double", r"above 2\*\*-26"),
        (one("softmax", (4,), (4,), {"beta": 1.0}, **SOFTMAX), "onnx_float32", "under onnx_float32"),
        (one("softmax", (4,), (4,), {"beta": 1.0}, source="int16"), "tflite_double", "int16 to int8"),
        (one("log_softmax", (4,), (4,), {}), "tflite_double", "zero point 127"),
        (one("l2_normalization", (4,), (4,), {}), "tflite_double", "scale 0.0078125"),
        (
            one("sum", (2**16,), (), {"axes": (0,), "keep_dims": 0}, source="int16", target="int16"),
            "tflite_double",
            "65536 int16 values; at most 65535",
        ),
        (one("arg_max", (4,), (), {"axis": 0}), "tflite_double", "int32 places"),
        (
            one("resize_bilinear", (2, 2, 1), (4, 4, 1), {"align_corners": 1, "half_pixel_centers": 1}),
            "tflite_double",
            "exclude each other",
        ),
        (
            one("resize_bilinear", (3, 2, 1), (5000, 2, 1), {"align_corners": 0, "half_pixel_centers": 0}),
            "tflite_double",
            "outside the image",
        ),
        (
            one(
                "average_pool2d", (300, 2, 1), (1, 2, 1),
                {"size": (300, 1), "stride": (1, 1), "padding": (0, 0, 0, 0), "activation": "none"},
                source="int16", target="int16",
            ),
            "tflite_double",
            "at most 255 pixels",
        ),
    ],
)  # fmt: skip
def test_what_has_no_exact_form_is_refused(graph: Graph, profile: str, message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        lower(graph, profile)


_LEFT_ALONE = {"rounding", "inner", "reduced", "depth", "diff_min"}


@pytest.mark.parametrize(
    "operator", ["softmax_a8", "softmax_a16", "mean_a8", "l2_normalization", "reduce_max"]
)
def test_vectors_tell_a_wrong_parameter(operator: str) -> None:
    """Every number that lowering makes is needed: another one changes some output.

    What lies below diff_min is too small to count anyway; it bounds the shifted differences.
    """
    changed = set()
    for graph, x, expected in stored_graphs(operator):
        program = lower(graph)
        call = program.calls[-1]
        for name, value in call.parameters.items():
            if name in _LEFT_ALONE:
                continue
            other = value - 1 if name != "multiplier" else value - value // 64
            try:
                broken = replace(
                    program,
                    calls=(*program.calls[:-1], replace(call, parameters={**call.parameters, name: other})),
                )
                if (run_program(broken, x) != expected).any():
                    changed.add(name)
            except LoweringError:
                changed.add(name)
    names = set(call.parameters) - _LEFT_ALONE
    assert changed == names
