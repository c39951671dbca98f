"""Quantized Graphs of one layer, from the stored cases of TFLite-Micro."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor

Case = dict[str, Any]


def quantized(
    name: str,
    like: NDArray[Any] | tuple[tuple[int, ...], str],
    scale: Any,
    zero_point: int = 0,
    axis: int | None = None,
) -> Tensor:
    """Return a tensor: a constant from an array, an activation from (shape, dtype)."""
    scales = np.atleast_1d(np.asarray(scale, np.float64))
    quantization = Quantization(scales, np.full(scales.shape, zero_point, np.int64), axis)
    if isinstance(like, tuple):
        return Tensor(name, like[0], like[1], quantization)
    return Tensor(name, like.shape, like.dtype.name, quantization, np.ascontiguousarray(like))


def graph_of(op: str, tensors: list[Tensor], attributes: Case, variables: tuple[str, ...] = ()) -> Graph:
    """Return a Graph of one node; the last tensor is its output, activations come before constants."""
    *inputs, output = tensors
    names = tuple(tensor.name for tensor in inputs)
    node = Node("node", op, names, output.name, attributes)
    fed = tuple(tensor.name for tensor in inputs if tensor.data is None and tensor.name not in variables)
    return Graph(op, {tensor.name: tensor for tensor in tensors}, (node,), fed, (output.name,), variables)


def _window_attributes(op: str, case: Case) -> Case:
    """Return strides and padding; what lies behind the image follows from the output's size."""
    kernel = case["weights"].shape[1:3]
    sizes, given = case["output"].shape[1:3], case["input"].shape[1:3]
    padding: list[int] = []
    for axis, (side, before) in enumerate((("h", "pad_top"), ("w", "pad_left"))):
        stride, reach = case[f"stride_{side}"], (kernel[axis] - 1) * case.get(f"dilation_{side}", 1) + 1
        if op == "transpose_conv2d":
            after = max(0, (given[axis] - 1) * stride + reach - case[before] - sizes[axis])
        else:
            after = max(0, (sizes[axis] - 1) * stride + reach - given[axis] - case[before])
        padding += [case[before], after]
    attributes: Case = {"stride": (case["stride_h"], case["stride_w"]), "padding": tuple(padding)}
    if op != "transpose_conv2d":
        attributes["dilation"] = (case["dilation_h"], case["dilation_w"])
    if op == "conv2d":
        attributes["groups"] = case["groups"]
    return attributes


def layer_graph(family: str, case: Case, **bias_type: Any) -> Graph:
    """Return the Graph of a layer with weights; the bias has the type that the family names."""
    op = next(name for name in ("depthwise_conv2d", "transpose_conv2d", "conv2d", "fully_connected")
              if family.startswith(name))  # fmt: skip
    dtype = case["input"].dtype.name
    wide = dtype == "int16" and "bias32" not in family
    scales = case["weights_scale"]
    if op == "fully_connected" and np.unique(scales).size == 1:
        scales = scales[:1]
    axis = None if scales.size == 1 and len(case["bias"]) > 1 else 3 if op == "depthwise_conv2d" else 0
    weights = case["weights"]
    if case.get("weights_zero_point"):
        weights = weights.astype(np.int16) - case["weights_zero_point"]
    bias = case["bias"].astype(bias_type.get("bias_type", "int64" if wide else "int32"))
    attributes = {} if op == "fully_connected" else _window_attributes(op, case)
    return graph_of(
        op,
        [
            quantized("x", (case["input"].shape[1:], dtype), case["input_scale"], case["input_zero_point"]),
            quantized("weights", weights, scales, 0, axis),
            quantized("bias", bias, case["input_scale"] * scales, 0, None if axis is None else 0),
            quantized(
                "y", (case["output"].shape[1:], dtype), case["output_scale"], case["output_zero_point"]
            ),
        ],
        {**attributes, "activation": "none"},
    )


def matmul_graph(case: Case) -> Graph:
    """Return the Graph of a product of two activations."""
    tensors = [
        quantized(
            name,
            (case[name].shape[1:], case[name].dtype.name),
            case[f"{name}_scale"],
            case.get(f"{name}_zero_point", 0),
        )
        for name in ("input_a", "input_b", "output")
    ]
    attributes = {"adjoint_a": int(case["adjoint_a"]), "adjoint_b": int(case["adjoint_b"])}
    return graph_of("batch_matmul", tensors, attributes)


def svdf_graph(case: Case) -> Graph:
    """Return the Graph of a filter that remembers."""
    state = (case["time_weights"].size,), case["time_weights"].dtype.name
    product = case["state_scale"] * case["time_scale"]
    tensors = [
        quantized("x", (case["input"].shape[2:], "int8"), case["input_scale"], case["input_zero_point"]),
        quantized("state", state, case["state_scale"], case["state_zero_point"]),
        quantized("feature_weights", case["feature_weights"], case["feature_scale"]),
        quantized("time_weights", case["time_weights"], case["time_scale"]),
        quantized("bias", case["bias"], product),
        quantized("y", (case["output"].shape[2:], "int8"), case["output_scale"], case["output_zero_point"]),
    ]
    return graph_of("svdf", tensors, {"rank": case["rank"], "activation": "none"}, ("state",))
