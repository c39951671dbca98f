"""Remove what inference does not need: batch norms and stand-alone clamps go into their producer."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node, Tensor

# op -> the axis of its weights that counts output channels
CHANNEL_AXIS: dict[str, int] = {"conv2d": 0, "depthwise_conv2d": 3, "fully_connected": 0}
_FUSES_ACTIVATION = (*CHANNEL_AXIS, "add", "max_pool2d", "average_pool2d")


def fold_batch_norm(graph: Graph) -> Graph:
    """Return the same function without batch_norm nodes and with clamps fused where possible.

    A batch_norm that directly follows conv2d, depthwise_conv2d or fully_connected scales that
    producer's weights and replaces its bias: with g = gamma / sqrt(variance + epsilon), w becomes
    w * g and b becomes (b - mean) * g + beta (computed in float64). A stand-alone `activation` whose
    producer (a weighted op, add or a pool) has no clamp of its own and no other consumer becomes
    that producer's attribute. The surviving tensor keeps the later name: a conv2d followed by
    batch_norm "bn" makes the tensor "bn".

    Raises
    ------
    GraphError
        The graph is quantized, or a batch_norm cannot be folded; the message names it and says why.
    """
    check_graph(graph)
    if graph.is_quantized:
        raise GraphError(f"graph {graph.name} is quantized; fold batch norms in the float graph")
    for op in ("batch_norm", "activation"):
        for node in [node for node in graph.nodes if node.op == op]:
            if op == "batch_norm":
                graph = _fold_one(graph, node)
            elif node.attributes["activation"] != "none":
                graph = _fuse_one(graph, node)
    graph = drop_unused_constants(graph)
    check_graph(graph)
    return graph


def consumers(graph: Graph, name: str) -> list[Node]:
    """Return the nodes that read tensor `name`."""
    return [node for node in graph.nodes if name in node.inputs]


def producer(graph: Graph, name: str) -> Node | None:
    """Return the node that makes tensor `name`; None for a graph input or a constant."""
    return next((node for node in graph.nodes if node.output == name), None)


def drop_unused_constants(graph: Graph) -> Graph:
    """Return the graph without constants that no node reads."""
    used = {name for node in graph.nodes for name in node.inputs}
    tensors = {name: tensor for name, tensor in graph.tensors.items() if tensor.data is None or name in used}
    return replace(graph, tensors=tensors)


def constant_name(graph: Graph, node: Node, role: str, current: str) -> str:
    """Return the name for a constant rewritten for one node: the current one unless nodes share it."""
    if len(consumers(graph, current)) == 1:
        return current
    return fresh_name(graph.tensors, f"{node.name}/{role}")


def fresh_name(taken: Container[str], wanted: str) -> str:
    """Return `wanted`, or it with the first number that makes it new."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _merge(graph: Graph, first: Node, second: Node, merged: Node, constants: dict[str, Tensor]) -> Graph:
    """Return the graph where `merged`, at the place of `first`, stands for both nodes."""
    nodes = tuple(merged if node is first else node for node in graph.nodes if node is not second)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name != first.output}
    return replace(graph, nodes=nodes, tensors={**tensors, **constants})


def _fold_one(graph: Graph, norm: Node) -> Graph:
    source = norm.inputs[0]
    layer = producer(graph, source)
    why = None
    if layer is None or layer.op not in CHANNEL_AXIS:
        made_by = "a graph input" if layer is None else f"{layer.name} ({layer.op})"
        why = f"its input comes from {made_by}, not from a convolution or fully_connected"
    elif layer.attributes["activation"] != "none":
        why = f"its producer {layer.name} applies {layer.attributes['activation']} first"
    elif len(consumers(graph, source)) > 1 or source in graph.outputs:
        why = f"the output of its producer {layer.name} is used elsewhere too"
    if why is not None or layer is None:
        raise GraphError(f"batch_norm {norm.name} cannot be folded: {why}")
    parameters = {
        role: np.asarray(tensor.data, np.float64) for role, tensor in graph.constants_of(norm).items()
    }
    variance = parameters["variance"] + float(norm.attributes["epsilon"])  # type: ignore[arg-type]
    if (variance <= 0).any():
        raise GraphError(
            f"batch_norm {norm.name} cannot be folded: variance + epsilon must be > 0 everywhere"
        )
    gain = parameters["gamma"] / np.sqrt(variance)
    old = {role: np.asarray(tensor.data, np.float64) for role, tensor in graph.constants_of(layer).items()}
    shape = [1] * old["weights"].ndim
    shape[CHANNEL_AXIS[layer.op]] = -1
    new = {
        "weights": old["weights"] * gain.reshape(shape),
        "bias": (old["bias"] - parameters["mean"]) * gain + parameters["beta"],
    }
    names = [
        constant_name(graph, layer, role, current)
        for role, current in zip(new, layer.inputs[1:], strict=True)
    ]
    constants = {
        name: _float_constant(name, value, norm) for name, value in zip(names, new.values(), strict=True)
    }
    merged = replace(layer, inputs=(layer.inputs[0], *names), output=norm.output)
    return _merge(graph, layer, norm, merged, constants)


def _float_constant(name: str, value: NDArray[np.float64], norm: Node) -> Tensor:
    if np.abs(value).max(initial=0.0) > np.finfo(np.float32).max:
        raise GraphError(f"batch_norm {norm.name} cannot be folded: the result exceeds float32")
    return Tensor(name, value.shape, "float32", data=np.ascontiguousarray(value, np.float32))


def _fuse_one(graph: Graph, clamp: Node) -> Graph:
    source = clamp.inputs[0]
    layer = producer(graph, source)
    if (
        layer is None
        or layer.op not in _FUSES_ACTIVATION
        or layer.attributes["activation"] != "none"
        or len(consumers(graph, source)) > 1
        or source in graph.outputs
    ):
        return graph
    attributes = {**layer.attributes, "activation": clamp.attributes["activation"]}
    return _merge(graph, layer, clamp, replace(layer, output=clamp.output, attributes=attributes), {})
