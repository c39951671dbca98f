"""From a float Graph and ranges to a quantized Graph, and back to real constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fxpgrad.errors import GraphError
from fxpgrad.graph.check import check_graph, quantization_of, same_quantization
from fxpgrad.graph.float_execution import Feed
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.quantize.affine import Range, asymmetric_int8, dequantize_array, quantize_array
from fxpgrad.quantize.calibrate import calibrate
from fxpgrad.quantize.fold import (
    CHANNEL_AXIS,
    constant_name,
    drop_unused_constants,
    fold_batch_norm,
    fresh_name,
)
from fxpgrad.quantize.ties import tie_groups
from fxpgrad.quantize.weights import quantize_layer


def quantize(
    graph: Graph,
    calibration_data: Feed,
    weight_bits: int = 16,
    method: str = "min_max",
    *,
    percentile: float = 99.9,
    per_channel: bool = True,
    headroom: float = 1.0,
) -> Graph:
    """Fold batch norms, calibrate and quantize: a float Graph becomes a quantized one.

    Parameters
    ----------
    graph : Graph
        A float Graph.
    calibration_data : ndarray of float32 [N, ...] or mapping of such
        Representative inputs; a few hundred suffice.
    weight_bits : int
        16 (int16 weights) or 8.
    method, percentile
        See `calibrate`.
    per_channel : bool
        One weight scale a channel, or one a layer.
    headroom : float >= 1
        Room above the largest weight of each channel, for networks that will be trained.

    Returns
    -------
    Graph
        int8 activations (logits too), int8 or int16 weights, int32 biases.
    """
    folded = fold_batch_norm(graph)
    ranges = calibrate(folded, calibration_data, method, percentile=percentile)
    return quantize_graph(folded, ranges, weight_bits, per_channel=per_channel, headroom=headroom)


def quantize_graph(
    graph: Graph,
    ranges: Mapping[str, Range],
    weight_bits: int = 16,
    *,
    per_channel: bool = True,
    headroom: float = 1.0,
) -> Graph:
    """Give every tensor of a folded float Graph a quantization.

    Parameters
    ----------
    graph : Graph
        A float Graph without batch_norm.
    ranges : mapping of str to (low, high)
        Real range of each activation, as `calibrate` returns it. Activations that share their
        input's quantization (see `tie_groups`) need none.
    weight_bits : int
        8 or 16.
    per_channel : bool
        One weight scale a channel, or one a layer.
    headroom : float >= 1
        Room above the largest weight of each channel, for networks that will be trained.

    Returns
    -------
    Graph
        Activations int8, asymmetric, per tensor, 0 exactly representable; weights symmetric (see
        `quantize_layer`); bias scale = input scale * weight scale. Names are kept; `quantize` nodes
        are added in front of a concat where an input cannot share its quantization.

    Raises
    ------
    GraphError
        The graph is quantized already, holds a batch_norm, or has scales that no multiplier expresses.
    InputError
        A range is missing or not finite, or weight_bits is neither 8 nor 16.
    """
    check_graph(graph)
    if graph.is_quantized:
        raise GraphError(f"graph {graph.name} is quantized already")
    for node in graph.nodes:
        if node.op == "batch_norm":
            raise GraphError(f"node {node.name} is a batch_norm; call fold_batch_norm before quantizing")
    groups = tie_groups(graph, ranges)
    chosen = {leader: asymmetric_int8(*bounds) for leader, bounds in groups.range_of.items()}
    tensors: dict[str, Tensor] = {
        name: replace(graph.tensors[name], dtype="int8", quantization=chosen[leader])
        for name, leader in groups.leader_of.items()
    }
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op in CHANNEL_AXIS:
            nodes.append(_quantize_constants(graph, node, tensors, weight_bits, per_channel, headroom))
        elif node.op == "concat":
            nodes += _requantize_inputs(graph, node, tensors)
        elif node.op == "pad":
            zero = int(quantization_of(tensors[node.output]).zero_point[0])
            nodes.append(replace(node, attributes={**node.attributes, "value": zero}))
        elif node.op == "constant":
            _quantize_value(graph, node, tensors)
            nodes.append(node)
        else:
            nodes.append(node)
    quantized = replace(graph, tensors=tensors, nodes=tuple(nodes))
    check_graph(quantized)
    return quantized


def _quantize_constants(
    graph: Graph,
    node: Node,
    tensors: dict[str, Tensor],
    weight_bits: int,
    per_channel: bool,
    headroom: float,
) -> Node:
    """Add the node's integer weights and bias to `tensors` and return the node that reads them."""
    constants = graph.constants_of(node)
    layer = quantize_layer(
        f"node {node.name} ({node.op})",
        np.asarray(constants["weights"].data, np.float32),
        np.asarray(constants["bias"].data, np.float32),
        CHANNEL_AXIS[node.op],
        weight_bits,
        quantization_of(tensors[node.inputs[0]]),
        float(quantization_of(tensors[node.output]).scale[0]),
        per_channel,
        headroom,
    )
    names = [constant_name(graph, node, role, tensor.name) for role, tensor in constants.items()]
    parts = ((layer.weights, layer.weight_quantization), (layer.bias, layer.bias_quantization))
    for name, (data, quantization) in zip(names, parts, strict=True):
        tensors[name] = Tensor(name, data.shape, str(data.dtype), quantization, data)
    return replace(node, inputs=(node.inputs[0], *names))


def _quantize_value(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> None:
    """Add the integers of a constant among the activations, at its tensor's own quantization."""
    (value,) = graph.constants_of(node).values()
    quantization = quantization_of(tensors[node.output])
    data = quantize_array(np.asarray(value.data, np.float32), quantization)
    tensors[value.name] = Tensor(value.name, data.shape, "int8", quantization, data)


def _requantize_inputs(graph: Graph, node: Node, tensors: dict[str, Tensor]) -> list[Node]:
    """Return the concat, after quantize nodes for the inputs whose quantization is not the output's."""
    target = quantization_of(tensors[node.output])
    taken = {*graph.tensors, *tensors, *(other.name for other in graph.nodes)}
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    for index, name in enumerate(node.inputs):
        if name in renamed or same_quantization(quantization_of(tensors[name]), target):
            continue
        renamed[name] = fresh_name(taken, f"{node.name}/input_{index}")
        tensors[renamed[name]] = Tensor(renamed[name], tensors[name].shape, "int8", target)
        nodes.append(Node(renamed[name], "quantize", (name,), renamed[name], {}))
    return [*nodes, replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))]


def dequantized_float_graph(graph: Graph) -> Graph:
    """Return the float Graph whose constants are the real values of a quantized Graph's integers.

    Activations are not rounded in it, clamps are those of the fused activations only, and `quantize`
    nodes stay as identities, so that tensor names match one to one.

    Raises
    ------
    GraphError
        The graph is not quantized.
    """
    if not graph.is_quantized:
        raise GraphError(f"graph {graph.name} is not quantized; it already speaks in real numbers")
    tensors: dict[str, Tensor] = {}
    for name, tensor in graph.tensors.items():
        data = None
        if tensor.data is not None:
            data = dequantize_array(tensor.data, quantization_of(tensor)).astype(np.float32)
        tensors[name] = Tensor(name, tensor.shape, "float32", None, data)
    nodes = [
        replace(node, attributes={**node.attributes, "value": 0}) if node.op == "pad" else node
        for node in graph.nodes
    ]
    result = drop_unused_constants(replace(graph, tensors=tensors, nodes=tuple(nodes)))
    check_graph(result)
    return result
