"""QDQ networks against ONNX Runtime, every integer tensor; and what QDQ models may not do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.onnx_graph import import_onnx
from tests.importers.onnx_comparison import outputs_of, tensors_of
from tests.importers.onnx_models import model, node, run, value
from tests.importers.onnx_networks import integer_tensors, network_inputs, residual_network


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_every_tensor_of_an_int8_network_equals_onnxruntime(seed: int, per_channel: bool, ties: bool) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    made = residual_network(seed, "int8", ties, per_channel)
    feed = {"x": network_inputs(seed)}
    imported = import_onnx(made.SerializeToString())
    assert imported.notes == ()
    actual = tensors_of(imported, feed)
    for name in integer_tensors(made):  # one by one: a further output must not undo a fusion elsewhere
        expected = run(made, feed, [name])[name]
        if name in actual:  # movement that the Graph does without has no tensor
            np.testing.assert_array_equal(actual[name], expected, name)
    np.testing.assert_array_equal(outputs_of(imported, feed)["y"], run(made, feed)["y"])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_execution_equals_reference(dtype: str) -> None:
    imported = import_onnx(residual_network(0, dtype, True, True).SerializeToString())
    feed = {"x": network_inputs(1, 2)}
    actual, expected = tensors_of(imported, feed), tensors_of(imported, feed, reference=True)
    for name, wanted in expected.items():
        np.testing.assert_array_equal(actual[name], wanted, name)


def test_uint8_keeps_its_own_integers() -> None:
    imported = import_onnx(residual_network(0, "uint8", True, True).SerializeToString())
    place = imported.values["r1_q"]
    tensor = imported.graph.tensors[place.tensor]
    assert (place.dtype, place.zero_point, tensor.unsigned, tensor.dtype) == ("uint8", 0, True, "int8")
    assert tensor.quantization is not None
    assert tensor.quantization.zero_point[0] == -128


def one_operator(op: str, *, scale: float = 0.5, after: str | None = None, **attributes: Any) -> bytes:
    """Return x -> Q -> DQ -> op -> (after) -> Q -> DQ."""
    constants = {"s": np.float32(0.25), "z": np.int8(3), "t": np.float32(scale), "u": np.int8(-2)}
    last = "f" if after is None else "g"
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node(op, ["d"], ["f"], **attributes),
        *([node(after, ["f"], ["g"])] if after else []),
        node("QuantizeLinear", [last, "t", "u"], ["r"]),
        node("DequantizeLinear", ["r", "t", "u"], ["y"]),
    ]
    shape = [None, 2, 4, 4]
    return model(
        nodes, [value("x", "float32", shape)], [value("y", "float32", None or shape)], constants
    ).SerializeToString()


REFUSED = {
    "an operator without integers": (
        lambda: one_operator("Sin"),
        r"Sin\) is not supported; supported op.*Conv",
    ),
    "two floats in a row": (lambda: one_operator("Sigmoid", after="Tanh"), "not quantized by one"),
    "rescaling average": (
        lambda: one_operator("AveragePool", kernel_shape=[2, 2]),
        "another scale than its input",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_integers_is_refused_by_name(case: str) -> None:
    content, message = REFUSED[case]
    with pytest.raises(ModelFileError, match=message):
        import_onnx(content())


def test_a_relu_with_another_scale_quantizes_before_it_clamps() -> None:
    imported = import_onnx(one_operator("Relu"))
    assert [entry.op for entry in imported.graph.nodes] == ["quantize", "activation"]


def test_images_are_channels_last_and_flatten_keeps_onnx_order() -> None:
    imported = import_onnx(residual_network(0, "int8", True, True).SerializeToString())
    assert imported.graph.tensors["x"].shape == (9, 9, 3)
    assert imported.values["x"].order == (1, 2, 0)
    assert sum(entry.op == "transpose" for entry in imported.graph.nodes) == 1  # Flatten; not Transpose
    x = network_inputs(0)
    np.testing.assert_array_equal(imported.values["x"].from_graph(imported.arrange(x)), x)


def test_the_rest_behind_named_outputs_is_dropped() -> None:
    content = residual_network(0, "int8", True, True).SerializeToString()
    imported = import_onnx(content, outputs=["a1_q"])
    assert imported.outputs == ("a1_q",)
    assert [entry.op for entry in imported.graph.nodes] == ["conv2d", "depthwise_conv2d", "add"]


def dense(weights: str, after: str | None = None, output_zero: int = -2) -> bytes:
    """Return Q -> DQ -> MatMul -> Add of a float bias -> (after) -> Q -> DQ."""
    rng = np.random.default_rng(0)
    constants = {
        "s": np.float32(0.25),
        "z": np.int8(3),
        "w": rng.integers(-100, 100, (6, 4)).astype(weights),
        "sw": np.float32(0.01),
        "zw": np.zeros((), weights),
        "bias": rng.normal(size=4).astype(np.float32),
        "t": np.float32(0.1),
        "u": np.int8(output_zero),
    }
    last = "g" if after is None else "h"
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["wd"]),
        node("MatMul", ["d", "wd"], ["f"]),
        node("Add", ["f", "bias"], ["g"]),
        *([node(after, ["g"], ["h"])] if after else []),
        node("QuantizeLinear", [last, "t", "u"], ["r"]),
        node("DequantizeLinear", ["r", "t", "u"], ["y"]),
    ]
    inputs, outputs = [value("x", "float32", [None, 6])], [value("y", "float32", [None, 4])]
    return model(nodes, inputs, outputs, constants, 21).SerializeToString()


def test_a_product_and_its_bias_are_one_layer() -> None:
    imported = import_onnx(dense("int8", "Relu"))
    (layer,) = imported.graph.nodes
    assert (layer.op, layer.attributes["activation"]) == ("fully_connected", "relu")
    bias = imported.graph.constants_of(layer)["bias"].data
    assert bias is not None
    real = np.random.default_rng(0)
    real.integers(-100, 100, (6, 4))
    np.testing.assert_array_equal(bias, np.rint(real.normal(size=4).astype(np.float32) / (0.25 * 0.01)))


def test_what_the_runtime_computes_in_float_is_noted() -> None:
    (note,) = import_onnx(dense("int8")).notes
    assert "the bias is no int32 tensor" in note
    notes = " ".join(import_onnx(dense("int16")).notes)
    assert "16-bit weights" in notes


def test_weights_with_a_zero_point_keep_8_bits_where_they_fit() -> None:
    from fxpgrad.importers.onnx_model import OnnxNode
    from fxpgrad.importers.onnx_qdq import symmetric

    entry = OnnxNode(0, "n", "Conv", (), (), {})
    every = np.arange(256).astype(np.uint8)
    assert symmetric(entry, every, np.array(128, np.uint8), None).dtype == np.int8
    wide = symmetric(entry, every, np.array(100, np.uint8), None)
    assert wide.dtype == np.int16
    np.testing.assert_array_equal(wide, np.arange(256) - 100)
