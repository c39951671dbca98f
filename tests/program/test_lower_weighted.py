"""Layers with weights, products and SVDF from Graph to Program, against TFLite-Micro."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph
from fxpgrad.program.execute import Executor, run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.prove import prove
from fxpgrad.program.store import from_bytes, to_bytes
from tests.kernels.test_tflm_weighted import FILTERS_THAT_REMEMBER, LAYERS, PRODUCTS
from tests.kernels.tflm_weighted import formation_cases, weighted_cases
from tests.program.weighted_graphs import graph_of, layer_graph, matmul_graph, quantized, svdf_graph

Array = NDArray[Any]


def run(graph: Graph, feed: Any) -> Array:
    """Run a Graph by kernels and by definitions, stored and read again."""
    program = from_bytes(to_bytes(lower(graph)))
    result = run_program(program, feed)
    np.testing.assert_array_equal(run_reference(program, feed)[program.outputs[0]], result)
    return result


@pytest.mark.parametrize("family", LAYERS)
def test_lowered_layer_equals_tflite_micro(family: str) -> None:
    for case in weighted_cases(family):
        graph = layer_graph(family, case)
        assert len(lower(graph).calls) == 1
        np.testing.assert_array_equal(run(graph, case["input"]), case["output"])


@pytest.mark.parametrize("family", PRODUCTS)
def test_lowered_product_equals_tflite_micro(family: str) -> None:
    for case in weighted_cases(family):
        feed = {name: case[name] for name in ("input_a", "input_b")}
        np.testing.assert_array_equal(run(matmul_graph(case), feed), case["output"])


@pytest.mark.parametrize("family", FILTERS_THAT_REMEMBER)
def test_lowered_svdf_equals_tflite_micro_over_ten_steps(family: str) -> None:
    for case in weighted_cases(family):
        program = from_bytes(to_bytes(lower(svdf_graph(case))))
        executor = Executor(program, case["input"].shape[1])
        outputs = [executor.run(step) for step in case["input"]]
        np.testing.assert_array_equal(outputs, case["output"])
        executor.reset()
        np.testing.assert_array_equal(executor.run(case["input"][0]), case["output"][0])


def test_svdf_runs_the_rows_of_one_stream_in_order() -> None:
    case = weighted_cases("svdf_a8")[0]
    program = lower(svdf_graph(case))
    stream = case["input"][:, 0]
    np.testing.assert_array_equal(run_program(program, stream), case["output"][:, 0])
    first = run_reference(program, stream[:1])
    np.testing.assert_array_equal(first["y"], case["output"][:1, 0])


@pytest.mark.parametrize("operator", ["conv2d", "fully_connected", "fully_connected_per_channel"])
def test_multipliers_are_formed_as_tflite_micro_forms_them(operator: str) -> None:
    for case in formation_cases(operator):
        dense = operator.startswith("fully_connected")
        units, (a, b, c) = len(case["bias"]), case["scales"]
        shape = (units, 4) if dense else (units, 1, 1, 4)
        scale = b if operator == "fully_connected" else np.full(units, b)
        axis = None if operator == "fully_connected" else 0
        attributes: dict[str, Any] = {"activation": "none"}
        if not dense:
            attributes |= {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
        tensors = [
            quantized("x", ((*shape[1:-1], 4), "int8"), a),
            quantized("weights", np.zeros(shape, np.int8), scale, 0, axis),
            quantized("bias", case["bias"], a * scale, 0, axis),
            quantized("y", ((*shape[1:-1], units), "int8"), c),
        ]
        graph = graph_of("fully_connected" if dense else "conv2d", tensors, attributes)
        zeros = np.zeros((1, *shape[1:]), np.int8)
        np.testing.assert_array_equal(run_program(lower(graph), zeros).ravel(), case["output"])


def test_the_bias_says_how_int16_layers_round() -> None:
    (wide,) = lower(layer_graph("conv2d_a16w8_bias64", weighted_cases("conv2d_a16w8_bias64")[0])).calls
    (narrow,) = lower(layer_graph("conv2d_a16w8_bias32", weighted_cases("conv2d_a16w8_bias32")[0])).calls
    assert (wide.parameters["rounding"], narrow.parameters["rounding"]) == (4, 0)


def test_a_runtime_without_wide_sums_refuses_int16() -> None:
    graph = layer_graph("conv2d_a16w8_bias64", weighted_cases("conv2d_a16w8_bias64")[0])
    with pytest.raises(LoweringError, match="of int16: how tosa_double computes it is not known"):
        lower(graph, "tosa_double")


@pytest.mark.parametrize("family", ["depthwise_conv2d_a16w8_bias64", "transpose_conv2d_a16w8_bias64"])
def test_int32_biases_that_runtimes_misread_are_refused(family: str) -> None:
    graph = layer_graph(family, weighted_cases(family)[0], bias_type="int32")
    with pytest.raises(LoweringError, match="need an int64 bias here"):
        lower(graph)


def with_zero_point(graph: Graph, name: str, zero_point: int) -> Graph:
    """Return the Graph with another zero point of one activation."""
    tensor = graph.tensors[name]
    quantization = dataclasses.replace(tensor.quantization, zero_point=np.array([zero_point]))  # type: ignore[type-var]
    changed = dataclasses.replace(tensor, quantization=quantization)
    return dataclasses.replace(graph, tensors={**graph.tensors, name: changed})


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("family", ["conv2d_a16w8_bias64", "transpose_conv2d_a16w8_no_bias"])
def test_zero_points_that_runtimes_ignore_are_refused(family: str, name: str) -> None:
    graph = layer_graph(family, weighted_cases(family)[0])
    with pytest.raises(LoweringError, match="must have zero point 0"):
        lower(with_zero_point(graph, name, 3))
    case = weighted_cases("batch_matmul_a16")[0]
    with pytest.raises(LoweringError, match="must have zero point 0"):
        lower(with_zero_point(matmul_graph(case), "input_a", -1))


def test_int16_activations_with_wide_weights_are_refused() -> None:
    case = weighted_cases("fully_connected_a16w8_bias64")[0]
    case["weights"] = case["weights"].astype(np.int16)
    with pytest.raises(LoweringError, match="need int8 weights"):
        lower(layer_graph("fully_connected_a16w8_bias64", case))


def test_transposed_convolution_has_no_split_form() -> None:
    case = weighted_cases("transpose_conv2d_a8w8")[0]
    case["weights"] = case["weights"].astype(np.int16)
    graph = layer_graph("transpose_conv2d_a8w8", case)
    np.testing.assert_array_equal(run(graph, case["input"]), case["output"])
    with pytest.raises(LoweringError, match="no split form"):
        lower(graph, split=True)


def test_svdf_with_a_state_of_another_type_is_refused() -> None:
    case = weighted_cases("svdf_a8")[0]
    case["time_weights"] = case["time_weights"].astype(np.int8)
    graph = svdf_graph(case)
    wide = dataclasses.replace(graph.tensors["state"], dtype="int16")
    with pytest.raises(LoweringError, match="state of one type"):
        lower(dataclasses.replace(graph, tensors={**graph.tensors, "state": wide}))


def test_sums_of_int16_layers_are_proved_from_their_own_inputs() -> None:
    case = weighted_cases("fully_connected_a16w8_zero_points")[0]
    (proof,) = prove(lower(layer_graph("fully_connected_a16w8_zero_points", case)))
    w = case["weights"].astype(np.int64)
    folded = case["bias"] - case["input_zero_point"] * w.sum(axis=1)
    assert proof.bound == int((32768 * abs(w).sum(axis=1) + abs(folded)).max())


def test_sums_beyond_48_bits_are_refused() -> None:
    case = weighted_cases("fully_connected_a16w8_bias64")[0]
    case["bias"] = np.full_like(case["bias"], 2**46)
    assert lower(layer_graph("fully_connected_a16w8_bias64", case))
    case["bias"][0] = 2**46 + 1
    with pytest.raises(LoweringError):
        lower(layer_graph("fully_connected_a16w8_bias64", case))


def test_sums_of_products_are_proved_from_depth_and_zero_points() -> None:
    case = weighted_cases("batch_matmul_a8")[0]
    (proof,) = prove(lower(matmul_graph(case)))
    a, b = (128 + abs(case[f"input_{side}_zero_point"]) for side in "ab")
    assert proof.bound == case["depth"] * a * b
    (wide,) = prove(lower(matmul_graph(weighted_cases("batch_matmul_a16")[0])))
    assert wide.bound == weighted_cases("batch_matmul_a16")[0]["depth"] * 2**30


def test_a_32_bit_sum_of_int16_inputs_that_saturates_in_sight_is_refused() -> None:
    """An int32 bias means 32-bit sums; with a multiplier below 2**-14 their saturation could be seen."""
    case = weighted_cases("fully_connected_a16w8_bias32")[0]
    units, depth = case["weights"].shape[0], 2000
    case |= {"weights": np.full((units, depth), 127, np.int8), "input": np.zeros((2, depth), np.int16)}
    case["output"] = np.zeros((2, units), np.int16)
    case["output_scale"] = float(case["input_scale"] * case["weights_scale"][0] * 2**13.5)
    assert lower(layer_graph("fully_connected_a16w8_bias32", case))
    case["output_scale"] *= 2
    with pytest.raises(LoweringError, match="too small for the saturated sum"):
        lower(layer_graph("fully_connected_a16w8_bias32", case))
