"""Operators element by element from Graph to Program: against TFLite-Micro and LiteRT; refusals."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, LoweringError
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.program.execute import Executor, run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.store import from_bytes, to_bytes
from tests.kernels.elementwise_vectors import ACTIVATIONS, ALL_INT8, stored_rows
from tests.program.one_node_graphs import quantization

Array = NDArray[Any]
FUSED = ("add", "sub", "mul")
RENAMED = {"relu": "activation", "relu6": "activation"}


def graph_of(
    op: str,
    inputs: list[tuple[tuple[int, ...], str, float, int]],
    output: tuple[tuple[int, ...], str, float, int],
    attributes: Mapping[str, Any] | None = None,
) -> Graph:
    """Return a Graph of one node; tensors are (shape, dtype, scale, zero point)."""
    tensors = {
        name: Tensor(name, shape, dtype, quantization(zero, scale))
        for name, (shape, dtype, scale, zero) in [
            *((f"x{i}", given) for i, given in enumerate(inputs)),
            ("y", output),
        ]
    }
    names = tuple(f"x{i}" for i in range(len(inputs)))
    return Graph(op, tensors, (Node("y", op, names, "y", attributes or {}),), names, ("y",))


def run(graph: Graph, *x: Array, profile: str = "tflite_double") -> Array:
    """Run a Graph by kernels, stored and read again; and by definitions."""
    program = from_bytes(to_bytes(lower(graph, profile)))
    feed = dict(zip(graph.inputs, x, strict=True))
    result = run_program(program, feed)
    np.testing.assert_array_equal(run_reference(program, feed)["y"], result)
    return result


def stored_graph(stored: str, row: dict[str, Any], result: str = "output") -> tuple[Graph, list[Array]]:
    """Return the Graph of a stored case, and its inputs as one row; `result` names the stored output."""
    name, *_ = stored.replace("_int", "/int").removesuffix("_clamped").split("/")
    inputs = [row["input_a"], row["input_b"]] if "input_a" in row else [row.get("input", ALL_INT8)]
    described = [
        ((array.size,), array.dtype.name, float(scale), int(zero))
        for array, (scale, zero) in zip([*inputs, row[result]], row["quantization"], strict=True)
    ]
    op, attributes = RENAMED.get(name, name), {}
    if name in FUSED:
        attributes = {"activation": ACTIVATIONS[int(row["attribute"])]}
    elif name in RENAMED:
        attributes = {"activation": name}
    elif name == "leaky_relu":
        attributes = {"alpha": float(row["attribute"])}
    return graph_of(op, described[:-1], described[-1], attributes), [array[None] for array in inputs]


STORED = (
    *(f"{op}_int{bits}" for op in ("add", "sub", "mul", "squared_difference", "prelu") for bits in (8, 16)),
    *(f"{op}_int{bits}" for op in ("maximum", "minimum") for bits in (8, 16, 32)),
    *(f"{op}_int{bits}" for op in ("relu", "relu6", "abs", "leaky_relu") for bits in (8, 16)),
    *(f"{op}_int8" for op in ("hard_swish", "logistic", "tanh", "elu", "rsqrt")),
    *(f"quantize_int{a}_int{b}" for a in (8, 16, 32) for b in (8, 16, 32) if (a, b) != (32, 32)),
)


@pytest.mark.parametrize("stored", STORED)
def test_a_lowered_operator_equals_tflite_micro(stored: str) -> None:
    for row in stored_rows(stored):
        graph, inputs = stored_graph(stored, row)
        if stored == "rsqrt_int8":
            inputs = [np.maximum(inputs[0], graph.tensors["x0"].quantization.zero_point.astype(np.int8))]  # type: ignore[union-attr]
        np.testing.assert_array_equal(run(graph, *inputs)[0], row["output"])


@pytest.mark.parametrize("function", ["logistic", "tanh"])
def test_the_sixteen_bit_functions_equal_tflite_micro(function: str) -> None:
    x = np.arange(-(2**15), 2**15).astype(np.int16)
    for row in stored_rows(f"{function}_int16"):
        source, output = (((x.size,), "int16", float(s), int(z)) for s, z in row["quantization"])
        program = lower(graph_of(function, [source], output))
        result = run_program(program, x[None])
        assert hashlib.sha256(result.tobytes()).digest() == row["sha256"].tobytes()


@pytest.mark.parametrize("operator", ["mul", "leaky_relu", "relu", "quantize", "abs"])
def test_real_multipliers_are_formed_as_tflite_micro_forms_them(operator: str) -> None:
    for row in stored_rows(f"{operator}_formation"):
        count = 2 if operator == "mul" else 1
        quantizations = [*row["quantization"][:count], row["quantization"][2]]
        described = [((1,), "int16", float(scale), int(zero)) for scale, zero in quantizations]
        attributes: dict[str, Any] = {}
        if operator in ("mul", "relu"):
            attributes = {"activation": "none" if operator == "mul" else "relu"}
        elif operator == "leaky_relu":
            attributes = {"alpha": float(row["attribute"])}
        graph = graph_of(RENAMED.get(operator, operator), described[:-1], described[-1], attributes)
        inputs = [np.array([[row[key]]]) for key in ("input_a", "input_b")[:count]]
        assert run_program(lower(graph), dict(zip(graph.inputs, inputs, strict=True)))[0, 0] == row["output"]


LITERT = (
    *(f"{op}_int{bits}" for op in ("add", "sub", "mul", "relu", "abs", "leaky_relu") for bits in (8, 16)),
    *(f"{op}_int8" for op in ("squared_difference", "prelu", "relu6", "hard_swish")),
    "quantize_int8_int8",
    "quantize_int16_int16",
)


@pytest.mark.parametrize(
    ("result", "profile"), [("optimized", "tflite_x86_optimized"), ("xnnpack", "xnnpack_float32")]
)
@pytest.mark.parametrize("stored", LITERT)
def test_a_lowered_operator_equals_litert(stored: str, result: str, profile: str) -> None:
    rows = stored_rows(stored, "litert_elementwise.npz")
    assert len(rows) == 15
    for row in rows:
        graph, inputs = stored_graph(stored, row, result)
        np.testing.assert_array_equal(run(graph, *inputs, profile=profile)[0], row[result])


@pytest.mark.parametrize("stored", ["add_clamped", "mul_clamped"])
def test_bounds_half_way_between_two_steps_are_rounded_as_each_runtime_does(stored: str) -> None:
    differing = 0
    for row in stored_rows(stored, "litert_elementwise.npz"):
        for result, profile in (("optimized", "tflite_x86_optimized"), ("xnnpack", "xnnpack_float32")):
            graph, inputs = stored_graph(stored, row, result)
            np.testing.assert_array_equal(run(graph, *inputs, profile=profile)[0], row[result])
        differing += int((row["optimized"] != row["xnnpack"]).sum())
    assert differing > 0


@pytest.mark.parametrize("stored", ["add_int8", "mul_int8", "leaky_relu_int8", "quantize_int8_int8"])
def test_the_stored_results_tell_the_runtimes_apart(stored: str) -> None:
    rows = stored_rows(stored, "litert_elementwise.npz")
    assert any((row["optimized"] != row["xnnpack"]).any() for row in rows)
    for profile in ("tflite_double", "tflite_x86_optimized"):
        differing = 0
        for row in rows:
            graph, inputs = stored_graph(stored, row, "xnnpack")
            differing += int((run(graph, *inputs, profile=profile)[0] != row["xnnpack"]).sum())
        assert differing > 0


@pytest.mark.parametrize("function", ["logistic", "tanh", "elu", "exp", "gelu", "gelu_approximate", "rsqrt"])
@pytest.mark.parametrize("profile", ["tflite_x86_optimized", "xnnpack_float32"])
def test_functions_of_litert_are_lowered_to_its_tables(function: str, profile: str) -> None:
    compared = 0
    for row in stored_rows(function, "litert_tables.npz"):
        source, output = (((256,), "int8", float(scale), int(zero)) for scale, zero in row["quantization"])
        gelu = {"approximate": int(function == "gelu_approximate")} if "gelu" in function else {}
        try:
            result = run(
                graph_of(function.removesuffix("_approximate"), [source], output, gelu),
                ALL_INT8[None],
                profile=profile,
            )
        except LoweringError:  # beside a tie
            continue
        np.testing.assert_array_equal(result[0], row["output"])
        compared += 1
    assert compared >= 12


SHAPES = [
    ((2, 3, 4), (4,)),
    ((4,), (2, 3, 4)),
    ((2, 1, 4), (1, 3, 1)),
    ((), (3, 2)),
    ((1,), (5,)),
    ((2, 3), (2, 3)),
]


@pytest.mark.parametrize("op", ["add", "sub", "mul", "squared_difference", "maximum", "minimum", "prelu"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_operands_broadcast_as_in_numpy(op: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(3)
    rows, target = 3, np.broadcast_shapes(*shapes)
    tied = op in ("maximum", "minimum")
    unit = [(0.5, -3), (0.5, -3), (0.5, -3)] if tied else [(0.05, -3), (0.03, 5), (0.07, 2)]
    attributes = {"activation": "none"} if op in FUSED else {}
    described = [(shape, "int8", *pair) for shape, pair in zip((*shapes, target), unit, strict=True)]
    whole = [(target, "int8", *pair) for pair in unit]
    x = [rng.integers(-128, 128, (rows, *shape)).astype(np.int8) for shape in shapes]
    wide = [
        np.broadcast_to(a.reshape(rows, *(1,) * (len(target) - a.ndim + 1), *a.shape[1:]), (rows, *target))
        for a in x
    ]
    expected = run(graph_of(op, whole[:2], whole[2], attributes), *wide)
    np.testing.assert_array_equal(run(graph_of(op, described[:2], described[2], attributes), *x), expected)


def test_one_tensor_may_be_both_operands() -> None:
    graph = graph_of("mul", [((4,), "int8", 0.1, 2)] * 2, ((4,), "int8", 0.5, 0), {"activation": "none"})
    twice = dataclasses.replace(
        graph,
        tensors={name: tensor for name, tensor in graph.tensors.items() if name != "x1"},
        nodes=(dataclasses.replace(graph.nodes[0], inputs=("x0", "x0")),),
        inputs=("x0",),
    )
    x = ALL_INT8.reshape(-1, 4)
    np.testing.assert_array_equal(run(twice, x), run(graph, x, x))


def test_a_constant_slope_is_a_constant_node() -> None:
    graph = graph_of("prelu", [((2, 3), "int8", 0.1, 2), ((3,), "int8", 0.01, 0)], ((2, 3), "int8", 0.1, 2))
    value = np.array([10, -20, 30], np.int8)
    constant = Tensor("slope", (3,), "int8", graph.tensors["x1"].quantization, value)
    fixed = dataclasses.replace(
        graph,
        tensors={**graph.tensors, "slope": constant},
        nodes=(Node("s", "constant", ("slope",), "x1"), *graph.nodes),
        inputs=("x0",),
    )
    x = ALL_INT8[:252].reshape(-1, 2, 3)
    np.testing.assert_array_equal(run(fixed, x), run(graph, x, np.tile(value, (len(x), 1))))


def test_an_activation_of_one_quantization_is_one_clamp() -> None:
    for activation in ("relu", "relu6", "relu_n1_to_1", "relu_0_to_1", "none"):
        graph = graph_of(
            "activation", [((4,), "int8", 0.1, 2)], ((4,), "int8", 0.1, 2), {"activation": activation}
        )
        assert [call.kernel for call in lower(graph).calls] == ["clamp_a8"]


def test_relu6_between_quantizations_differs_by_runtime() -> None:
    """TFLite-Micro clamps at the input's quantization and never rescales; LiteRT rescales."""
    graph = graph_of(
        "activation", [((4,), "int8", 0.1, 0)], ((4,), "int8", 0.05, -10), {"activation": "relu6"}
    )
    x = np.array([[-5, 0, 30, 127]], np.int8)
    np.testing.assert_array_equal(run(graph, x), [[0, 0, 30, 60]])
    np.testing.assert_array_equal(run(graph, x, profile="tflite_x86_optimized"), [[-10, -10, 50, 110]])


ONE = ((4,), "int8", 0.1, 2)
WIDE = ((4,), "int16", 0.1, 0)
REFUSED: dict[str, tuple[Graph, str, str]] = {
    "mixed types": (
        graph_of("add", [ONE, WIDE], ONE, {"activation": "none"}),
        "tflite_double",
        r"node y \(add\) must have activations of one type",
    ),
    "int16 zero point": (
        graph_of("mul", [((4,), "int16", 0.1, 1), WIDE], WIDE, {"activation": "none"}),
        "tflite_double",
        r"node y \(mul\): int16 activations must have zero point 0.*input_a_zero_point 1",
    ),
    "int16 slope": (graph_of("prelu", [WIDE, WIDE], WIDE), "tflite_double", r"node y \(prelu\) must have"),
    "negation": (graph_of("neg", [ONE], ONE), "tflite_double", r"node y \(neg\): neither"),
    "elu of int16": (graph_of("elu", [WIDE], WIDE), "tflite_double", r"node y \(elu\) must have"),
    "logistic output": (
        graph_of("logistic", [ONE], ONE),
        "tflite_double",
        r"node y: logistic of int8 must have the output scale",
    ),
    "logistic of another runtime": (
        graph_of("logistic", [ONE], ((4,), "int8", 2.0**-8, -128)),
        "tosa_single",
        r"node y \(logistic\): the arithmetic of tosa_single is not pinned",
    ),
    "negative slope": (
        graph_of("leaky_relu", [ONE], ONE, {"alpha": -0.5}),
        "tflite_double",
        r"node y \(leaky_relu\): alpha must be above 0",
    ),
    "hard swish output": (
        graph_of("hard_swish", [ONE], ((4,), "int8", 0.0001, 0)),
        "tflite_double",
        r"node y \(hard_swish\): the ratio",
    ),
    "a sum beyond 16 bits": (
        graph_of("add", [ONE, ONE], ((4,), "int8", 0.001, 2), {"activation": "none"}),
        "tflite_x86_optimized",
        r"node y \(add\): sums may reach 51000 output steps",
    ),
    "int16 powers of two": (
        graph_of("sub", [((4,), "int16", 0.5, 0)] * 2, ((4,), "int16", 0.5, 0), {"activation": "none"}),
        "xnnpack_float32",
        r"node y \(sub\): with scales that are powers of two",
    ),
    "a power of two in LiteRT": (
        graph_of("tanh", [((4,), "int16", 2.0**-11, 0)], ((4,), "int16", 2.0**-15, 0)),
        "tflite_x86_optimized",
        r"node y \(tanh\): at the input scale 0.00048828125 LiteRT",
    ),
    "a ratio beyond XNNPACK": (
        graph_of("quantize", [ONE], ((4,), "int8", 100.0, 2)),
        "xnnpack_float32",
        r"node y \(quantize\): XNNPACK takes ratios",
    ),
    "int32 to int32": (
        graph_of("quantize", [((4,), "int32", 0.1, 0)], ((4,), "int32", 0.2, 0)),
        "tflite_double",
        r"node y \(quantize\) cannot go from int32 to int32",
    ),
    "multiplier": (
        graph_of("quantize", [((4,), "int8", 1e30, 0)], ((4,), "int8", 1e-10, 0)),
        "tflite_double",
        r"node y: real multiplier",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_runtime_defines_is_refused_by_name(case: str) -> None:
    graph, profile, message = REFUSED[case]
    with pytest.raises(LoweringError, match=message):
        lower(graph, profile)


def test_a_maximum_of_two_quantizations_is_refused() -> None:
    with pytest.raises(GraphError, match="must share one quantization"):
        lower(graph_of("maximum", [ONE, ((4,), "int8", 0.2, 2)], ONE))


def test_every_row_of_a_batch_stands_alone() -> None:
    graph = graph_of(
        "sub",
        [((3, 2), "int8", 0.1, 2), ((2,), "int8", 0.2, -7)],
        ((3, 2), "int8", 0.3, 1),
        {"activation": "relu"},
    )
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (7, *shape)).astype(np.int8) for shape in ((3, 2), (2,)))
    program = lower(graph)
    whole = Executor(program, 7).run({"x0": a, "x1": b})
    for row in range(7):
        single = run_program(program, {"x0": a[row : row + 1], "x1": b[row : row + 1]})
        np.testing.assert_array_equal(single[0], whole[row])
