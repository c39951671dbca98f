"""Whether a Graph is well formed: every rule that later stages rely on is checked here once."""

from __future__ import annotations

import numpy as np

from fxpgrad.errors import GraphError
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.graph.operators.table import OPERATORS, check_attributes, output_shape

DTYPES: tuple[str, ...] = ("float32", "int8", "int16", "int32", "int64")
# An importer's bias scale comes from a file in float32; a larger deviation is a wrong bias.
BIAS_SCALE_TOLERANCE = 0.02


def check_graph(graph: Graph) -> None:
    """Check that `graph` is well formed: a float Graph or a quantized one, nothing between.

    Raises
    ------
    GraphError
        One sentence that names the node or tensor, the rule and the value.
    """
    for key, tensor in graph.tensors.items():
        _check_tensor(key, tensor)
    _check_kinds(graph)
    ready = _check_inputs(graph)
    names: set[str] = set()
    quantized = graph.is_quantized
    for node in graph.nodes:
        where = f"node {node.name} ({node.op})"
        if node.name in names:
            raise GraphError(f"two nodes are called {node.name}; names must be unique")
        names.add(node.name)
        check_attributes(where, node.op, node.attributes)
        _check_node_tensors(graph, node, where, ready)
        _check_node_shape(graph, node, where)
        if quantized:
            _check_node_quantization(graph, node, where)
        ready.add(node.output)
    _check_produced(graph, ready)


def _check_tensor(key: str, tensor: Tensor) -> None:
    where = f"tensor {tensor.name}"
    if key != tensor.name:
        raise GraphError(f"{where} is filed under the other name {key!r}")
    if tensor.dtype not in DTYPES:
        raise GraphError(f"{where}: dtype must be one of {', '.join(DTYPES)}; got {tensor.dtype!r}")
    if any(extent < 1 for extent in tensor.shape):
        raise GraphError(f"{where}: every extent must be >= 1; got the shape {list(tensor.shape)}")
    if tensor.data is not None:
        if tensor.data.dtype != np.dtype(tensor.dtype) or tensor.data.shape != tensor.shape:
            raise GraphError(
                f"{where} declares {tensor.dtype}{list(tensor.shape)}, but its data are "
                f"{tensor.data.dtype}{list(tensor.data.shape)}"
            )
        if tensor.dtype == "float32" and not np.isfinite(tensor.data).all():
            raise GraphError(f"{where}: constants must be finite; the data hold NaN or infinity")
    if tensor.quantization is not None:
        _check_quantization(where, tensor, tensor.quantization)


def _check_quantization(where: str, tensor: Tensor, quantization: Quantization) -> None:
    if tensor.dtype == "float32":
        raise GraphError(f"{where} is float32 and cannot carry a quantization; choose an integer dtype")
    scale, zero_point, axis = quantization.scale, quantization.zero_point, quantization.axis
    if axis is not None and not 0 <= axis < len(tensor.shape):
        raise GraphError(f"{where}: the quantization axis {axis} is not an axis of {list(tensor.shape)}")
    count = 1 if axis is None else tensor.shape[axis]
    if scale.shape != (count,) or zero_point.shape != (count,):
        raise GraphError(
            f"{where}: scale and zero_point must have the shape [{count}]; "
            f"got {list(scale.shape)} and {list(zero_point.shape)}"
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise GraphError(f"{where}: every scale must be finite and > 0")
    limits = np.iinfo(tensor.dtype)
    if (zero_point < limits.min).any() or (zero_point > limits.max).any():
        raise GraphError(f"{where}: every zero_point must be a value of {tensor.dtype}")


def _check_kinds(graph: Graph) -> None:
    quantized = [name for name, tensor in graph.tensors.items() if tensor.quantization is not None]
    floats = [name for name, tensor in graph.tensors.items() if tensor.dtype == "float32"]
    if quantized and floats:
        raise GraphError(
            f"a Graph is float or quantized as a whole: {quantized[0]} is quantized, {floats[0]} is float32"
        )
    if len(quantized) + len(floats) != len(graph.tensors):
        bare = next(name for name in graph.tensors if name not in quantized and name not in floats)
        raise GraphError(f"tensor {bare} is {graph.tensors[bare].dtype} and carries no quantization")


def _check_inputs(graph: Graph) -> set[str]:
    if not graph.inputs or not graph.outputs:
        raise GraphError(f"graph {graph.name} needs at least one input and one output")
    for kind, names in (("input", graph.inputs), ("output", graph.outputs)):
        for name in names:
            if name not in graph.tensors:
                raise GraphError(f"{kind} {name} of graph {graph.name} is not among its tensors")
            if graph.tensors[name].data is not None:
                raise GraphError(f"{kind} {name} of graph {graph.name} is a constant")
        if len(set(names)) != len(names):
            raise GraphError(f"graph {graph.name} names one {kind} twice")
    for name in graph.variables:
        if name not in graph.tensors or graph.tensors[name].data is not None or name in graph.inputs:
            raise GraphError(f"variable {name} of graph {graph.name} must be an activation, and no input")
    return {*graph.inputs, *graph.variables}


def _check_node_tensors(graph: Graph, node: Node, where: str, ready: set[str]) -> None:
    for name in (*node.inputs, node.output):
        if name not in graph.tensors:
            raise GraphError(f"{where}: there is no tensor {name!r}")
    is_constant = [graph.tensors[name].data is not None for name in node.inputs]
    if is_constant != sorted(is_constant):
        raise GraphError(f"{where}: activations come first in inputs, then constants; got {node.inputs}")
    for name, constant in zip(node.inputs, is_constant, strict=True):
        if not constant and name not in ready:
            raise GraphError(f"{where} reads {name} before any node has made it; nodes must be in order")
    if graph.tensors[node.output].data is not None:
        raise GraphError(f"{where} writes {node.output}, which is a constant")
    if (node.op == "assign") != (node.output in graph.variables):
        raise GraphError(f"{where} writes {node.output}: assign, and nothing else, writes variables")
    if node.op != "assign" and node.output in ready:
        raise GraphError(f"{where} writes {node.output}, which already has a value")
    if node.op == "svdf" and graph.activations_of(node)[-1] not in graph.variables:
        raise GraphError(f"{where}: its state must be a variable of the graph")
    roles = OPERATORS[node.op].constants
    if sum(is_constant) != len(roles):
        raise GraphError(f"{where} needs the constants {roles}; got {sum(is_constant)} of them")


def _check_node_shape(graph: Graph, node: Node, where: str) -> None:
    declared = graph.tensors[node.output].shape
    inputs = [graph.tensors[name].shape for name in graph.activations_of(node)]
    constants = {role: tensor.shape for role, tensor in graph.constants_of(node).items()}
    try:
        shape = output_shape(node.op, inputs, constants, node.attributes, declared)
    except GraphError as error:
        raise GraphError(f"{where}: {error}") from None
    if shape != declared:
        raise GraphError(f"{where} makes {list(shape)}, but {node.output} declares {list(declared)}")


def _check_produced(graph: Graph, ready: set[str]) -> None:
    for name, tensor in graph.tensors.items():
        if tensor.data is None and name not in ready:
            raise GraphError(f"tensor {name} is neither an input nor a constant, and no node makes it")


def quantization_of(tensor: Tensor) -> Quantization:
    """Return the tensor's quantization, or raise `GraphError` if it has none."""
    if tensor.quantization is None:
        raise GraphError(f"tensor {tensor.name} carries no quantization")
    return tensor.quantization


def same_quantization(first: Quantization | None, second: Quantization | None) -> bool:
    """Return whether two quantizations mean the same real numbers, exactly."""
    if first is None or second is None:
        return first is second
    return (
        first.axis == second.axis
        and np.array_equal(first.scale, second.scale)
        and np.array_equal(first.zero_point, second.zero_point)
    )


def _check_node_quantization(graph: Graph, node: Node, where: str) -> None:
    if not OPERATORS[node.op].quantized:
        raise GraphError(f"{where}: a quantized Graph has no {node.op}; fold it before quantizing")
    activations = [graph.tensors[name] for name in (*graph.activations_of(node), node.output)]
    for tensor in activations:
        if tensor.quantization is not None and tensor.quantization.axis is not None:
            raise GraphError(
                f"{where}: activation {tensor.name} must be quantized per tensor, not per channel"
            )
    if OPERATORS[node.op].tied:
        for tensor in activations[:-1]:
            if not same_quantization(tensor.quantization, activations[-1].quantization):
                raise GraphError(
                    f"{where}: {tensor.name} and {node.output} must share one quantization; "
                    f"insert a quantize node"
                )
    constants = graph.constants_of(node)
    if "weights" in constants:
        _check_weights(where, node, activations[0], constants["weights"], constants["bias"])
    if node.op == "constant" and not same_quantization(
        constants["value"].quantization, activations[-1].quantization
    ):
        raise GraphError(f"{where}: the constant and {node.output} must share one quantization")


def _check_weights(where: str, node: Node, source: Tensor, weights: Tensor, bias: Tensor) -> None:
    of_weights, of_bias = quantization_of(weights), quantization_of(bias)
    channel_axis = 3 if node.op == "depthwise_conv2d" else 0
    if weights.dtype not in ("int8", "int16"):
        raise GraphError(f"{where}: weights must be int8 or int16; got {weights.dtype}")
    if of_weights.axis not in (None, channel_axis):
        raise GraphError(
            f"{where}: weights must be quantized along axis {channel_axis}; got {of_weights.axis}"
        )
    widths = ("int32", "int64") if source.dtype == "int16" else ("int32",)
    if bias.dtype not in widths or of_bias.zero_point.any():
        raise GraphError(f"{where}: bias must be {' or '.join(widths)} with zero_point 0; got {bias.dtype}")
    expected = quantization_of(source).scale * of_weights.scale
    if not np.allclose(of_bias.scale, expected, rtol=BIAS_SCALE_TOLERANCE, atol=0):
        raise GraphError(
            f"{where}: the bias scale must be input scale times weight scale, channel by channel"
        )
