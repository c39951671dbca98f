"""The network as a whole: rows and whole shapes, edges, names, known integers, variables, order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.check import quantization_of
from fxpgrad.importers.tflite_graph import ImportedModel, import_tflite
from tests.importers.tflite_builder import TfliteBuilder, one_operator_model


def relu(builder: TfliteBuilder, x: int, **output: Any) -> int:
    y = builder.tensor(**{"shape": builder.tensors[x]["shape"], **output})
    builder.operator("RELU", [x], y)
    return y


def test_rows_leave_the_first_axis_out():
    builder = TfliteBuilder()
    model = import_tflite(builder.content(relu(builder, builder.input((1, 3), signature=(-1, 3)))))
    assert model.has_batch
    assert {name: tensor.shape for name, tensor in model.graph.tensors.items()} == {"t0": (3,), "t1": (3,)}
    assert model.tensors == ("t0", "t1")


WHOLE: list[tuple[str, list[Any], tuple[int, ...], str, dict[str, Any]]] = [
    ("RELU", [(2, 3)], (2, 3), "", {}),
    ("RELU", [()], (), "", {}),
    ("TRANSPOSE", [(1, 3), [1, 0]], (3, 1), "", {}),
    ("CONCATENATION", [(1, 3), (1, 3)], (2, 3), "ConcatenationOptions", {"Axis": 0}),
    ("MEAN", [(1, 3), [0]], (3,), "ReducerOptions", {}),
    ("MEAN", [(1, 3), [0]], (1, 3), "ReducerOptions", {"KeepDims": True}),
    ("PACK", [(1, 3), (1, 3)], (2, 1, 3), "PackOptions", {"Axis": 0}),
    ("BATCH_MATMUL", [(1, 3), (3, 1)], (1, 1), "BatchMatMulOptions", {}),
    ("PAD", [(1, 3), [[1, 0], [0, 0]]], (2, 3), "", {}),
    ("TILE", [(1, 3), [2, 1]], (2, 3), "", {}),
]


@pytest.mark.parametrize(("name", "inputs", "output", "kind", "options"), WHOLE)
def test_what_touches_the_first_axis_keeps_whole_shapes(name, inputs, output, kind, options):
    model = import_tflite(one_operator_model(name, inputs, output, kind, **options))
    assert not model.has_batch
    assert model.graph.tensors[model.graph.outputs[0]].shape == output


@pytest.mark.parametrize(
    ("shape", "row", "whole"),
    [((3,), (3,), False), ((1, 3), (3,), False), ((), (), False), ((4, 3), (), True)],
)
def test_a_constant_operand_becomes_a_node(shape, row, whole):
    builder = TfliteBuilder()
    x, value = builder.input((1, 3)), builder.tensor(shape, data=np.ones(shape), zero_point=5)
    y = builder.tensor((4, 3) if whole else (1, 3))
    builder.operator("ADD", [value, x], y, "AddOptions")
    model = import_tflite(builder.content(y))
    constant, add = model.graph.nodes
    assert model.has_batch != whole
    assert (constant.op, add.inputs) == ("constant", ("t1", "t0"))
    assert model.graph.tensors["t1"].shape == (shape if whole else row)
    assert model.tensors[value] is None


def test_a_constant_that_two_operators_read_is_one_node():
    builder = TfliteBuilder()
    x, value = builder.input((1, 3)), builder.tensor((3,), data=[1, 2, 3])
    a, y = builder.tensor((1, 3)), builder.tensor((1, 3))
    builder.operator("ADD", [x, value], a, "AddOptions")
    builder.operator("MUL", [a, value], y, "MulOptions")
    graph = import_tflite(builder.content(y)).graph
    assert [node.op for node in graph.nodes] == ["constant", "add", "mul"]


def test_known_integers_may_be_computed_with():
    builder = TfliteBuilder()
    x, known = builder.input((1, 2), "INT32"), builder.tensor((2,), "INT32")
    builder.operator("MUL", [builder.integers(2, 3), builder.integers(5, 7)], known, "MulOptions")
    y = builder.tensor((1, 2), "INT32")
    builder.operator("ADD", [x, known], y, "AddOptions")
    graph = import_tflite(builder.content(y)).graph
    constant, _ = graph.nodes
    data = graph.tensors[constant.inputs[0]].data
    assert data is not None
    assert data.tolist() == [10, 21]


def test_uint8_is_int8_less_128():
    builder = TfliteBuilder()
    x = builder.input((1, 3), "UINT8", zero_point=130)
    value = builder.tensor((3,), "UINT8", data=[0, 128, 255], zero_point=128)
    y = builder.tensor((1, 3), "UINT8", zero_point=0)
    builder.operator("ADD", [x, value], y, "AddOptions")
    graph = import_tflite(builder.content(y)).graph
    tensors = [graph.tensors[name] for name in ("t0", "t1", "t2")]
    assert all(tensor.unsigned and tensor.dtype == "int8" for tensor in tensors)
    assert [int(quantization_of(tensor).zero_point[0]) for tensor in tensors] == [2, 0, -128]
    data = graph.tensors[graph.nodes[0].inputs[0]].data
    assert data is not None
    assert data.tolist() == [-128, 0, 127]


def float_edges() -> TfliteBuilder:
    builder = TfliteBuilder()
    x = builder.input((1, 3), "FLOAT32", name="real_in")
    q = builder.tensor((1, 3))
    builder.operator("QUANTIZE", [x], q)
    y = relu(builder, q)
    real = builder.tensor((1, 3), "FLOAT32", name="real_out")
    builder.operator("DEQUANTIZE", [y], real)
    builder.outputs = [real]
    return builder


def test_float_edges_are_dropped_and_remembered():
    model = import_tflite(float_edges().content())
    assert (model.graph.inputs, model.graph.outputs) == (("t1",), ("t2",))
    assert (model.real_inputs, model.real_outputs) == (("t1",), ("t2",))
    assert model.tensors == (None, "t1", "t2", None)
    assert [node.op for node in model.graph.nodes] == ["activation"]


def test_float_anywhere_else_is_refused_by_name():
    builder = float_edges()
    builder.operator("RELU", [3], builder.tensor((1, 3), "FLOAT32"))
    with pytest.raises(ModelFileError, match=r"tensor 3 \(real_out\) is float32; only integer models"):
        import_tflite(builder.content())
    builder = TfliteBuilder()
    x = builder.input((1, 3), "FLOAT32", name="real_in")
    with pytest.raises(ModelFileError, match=r"tensor 0 \(real_in\) is float32"):
        import_tflite(builder.content(relu(builder, x)))
    builder = float_edges()
    builder.operator("QUANTIZE", [0], builder.tensor((1, 3), scale=0.1))
    with pytest.raises(ModelFileError, match="quantized twice"):
        import_tflite(builder.content())


def test_a_float_output_that_is_no_output_of_the_model_is_refused():
    builder = float_edges()
    builder.outputs = [2]
    with pytest.raises(ModelFileError, match=r"tensor 3 \(real_out\) is float32"):
        import_tflite(builder.content())


def test_names_are_unique_and_stable():
    builder = TfliteBuilder()
    x = builder.input((1, 3), name="same")
    y = relu(builder, x, name="same")
    z = relu(builder, y, name="")
    model = import_tflite(builder.content(z), "net")
    assert model.tensors == ("same", "same#1", "tensor_2")
    assert model.graph.name == "net"


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ({"scale": None}, "needs one scale"),
        ({"scale": 0.0}, "needs one scale"),
        ({"scale": float("inf")}, "needs one scale"),
        ({"scale": [0.5, 0.5, 0.5]}, "needs one scale"),
        ({"zero_point": 128}, "zero point 128 is no INT8"),
        ({"dtype": "INT16", "zero_point": 1}, "zero point must be 0"),
        ({"shape": (1, 0)}, "is empty"),
        ({"dtype": "BOOL"}, "has the type BOOL"),
    ],
)
def test_activations_without_a_usable_quantization_are_refused_by_name(quantization, words):
    builder = TfliteBuilder()
    y = relu(builder, builder.input((1, 3)), name="result", **quantization)
    with pytest.raises(ModelFileError, match=words) as caught:
        import_tflite(builder.content(y))
    assert "result" in str(caught.value)


def test_orders_that_cannot_run_are_refused():
    builder = TfliteBuilder()
    x = builder.input((1, 3))
    a, b = builder.tensor((1, 3)), builder.tensor((1, 3))
    builder.operator("ADD", [x, b], a, "AddOptions")
    builder.operator("RELU", [a], b)
    with pytest.raises(ModelFileError, match="before any operator has made it"):
        import_tflite(builder.content(b))
    builder = TfliteBuilder()
    y = relu(builder, builder.input((1, 3)))
    builder.operator("RELU", [0], [y])
    with pytest.raises(ModelFileError, match="gets a value twice"):
        import_tflite(builder.content(y))
    builder = TfliteBuilder()
    y = relu(builder, builder.input((1, 3)), data=np.zeros((1, 3)))
    with pytest.raises(ModelFileError, match="is written, but a constant"):
        import_tflite(builder.content(y))
    builder = TfliteBuilder()
    builder.input((1, 3))
    with pytest.raises(ModelFileError, match="no operator makes it"):
        import_tflite(builder.content(builder.tensor((1, 3), name="orphan")))
    builder = TfliteBuilder()
    with pytest.raises(ModelFileError, match="leaves extents open"):
        import_tflite(builder.content(relu(builder, builder.input((1, 3), signature=(1, -1)))))


def shape_arithmetic(order: tuple[str, ...] = ("SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE")) -> ImportedModel:
    """What a converter writes for reshape(x, (shape(x)[0], 12))."""
    builder = TfliteBuilder()
    x = builder.input((1, 3, 4), signature=(-1, 3, 4))
    shape, first = builder.tensor((3,), "INT32"), builder.tensor((), "INT32")
    both, y = builder.tensor((2,), "INT32"), builder.tensor((1, 12))
    one = [builder.integers(value) for value in (0, 1, 1)]
    twelve = builder.tensor((), "INT32", data=12)
    steps = {
        "SHAPE": lambda: builder.operator("SHAPE", [x], shape, "ShapeOptions", OutType=2),
        "STRIDED_SLICE": lambda: builder.operator(
            "STRIDED_SLICE", [shape, *one], first, "StridedSliceOptions", ShrinkAxisMask=1
        ),
        "PACK": lambda: builder.operator("PACK", [first, twelve], both, "PackOptions", ValuesCount=2),
        "RESHAPE": lambda: builder.operator("RESHAPE", [x, both], y, "ReshapeOptions"),
    }
    for name in order:
        steps[name]()
    return import_tflite(builder.content(y))


def test_shape_arithmetic_is_done_while_importing():
    model = shape_arithmetic()
    assert [node.op for node in model.graph.nodes] == ["reshape"]
    assert model.has_batch
    assert model.tensors[1:4] == (None, None, None)


def test_shape_arithmetic_out_of_order_is_refused():
    with pytest.raises(ModelFileError):
        shape_arithmetic(("STRIDED_SLICE", "SHAPE", "PACK", "RESHAPE"))


def test_a_known_integer_that_contradicts_its_shape_is_refused():
    builder = TfliteBuilder()
    builder.operator(
        "ADD", [builder.integers(1, 2), builder.integers(1, 2, 3)], builder.tensor((2,), "INT32")
    )
    with pytest.raises(ModelFileError, match="do not fit together"):
        import_tflite(builder.content(relu(builder, builder.input((1, 3)))))
