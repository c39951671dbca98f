"""What a scope trains of a float Graph that ends in a fully connected layer, or in features."""

from __future__ import annotations

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.quantize.fold import CHANNEL_AXIS

SCOPES = ("lp", "last_k", "ft", "affine")


def last_fully_connected(graph: Graph) -> Node:
    """Return the layer that makes the logits."""
    nodes = [node for node in graph.nodes if node.op == "fully_connected"]
    if not nodes:
        raise GraphError(f"graph {graph.name} has no fully_connected layer for the logits; attach a head")
    return nodes[-1]


def nodes_until(graph: Graph, head: Node) -> list[Node]:
    """Return the nodes that `head` depends on, itself last, in the Graph's order."""
    wanted, nodes = set(head.inputs), [head]
    for node in reversed(graph.nodes[: graph.nodes.index(head)]):
        if node.output in wanted:
            wanted.update(node.inputs)
            nodes.append(node)
    return nodes[::-1]


def weighted_nodes(graph: Graph, head: Node) -> list[Node]:
    """Return the convolutions and dense layers up to `head`, itself last."""
    return [node for node in nodes_until(graph, head) if node.op in CHANNEL_AXIS]


def trained_nodes(graph: Graph, head: Node, scope: str, last: int | None = None) -> list[Node]:
    """Return the layers that a scope trains, in the Graph's order.

    Parameters
    ----------
    graph
        A float Graph without batch_norm nodes.
    head
        Its layer that makes the logits, or its node that makes the features.
    scope
        "lp": the head; "last_k": the last layers with weights, `last` of them; "ft", "affine": all.
    last
        The number of layers for "last_k", from 1 to all; None for the other scopes.

    Raises
    ------
    InputError
        An unknown scope, or a number of layers that does not fit.
    GraphError
        No layer has weights.
    """
    if scope not in SCOPES:
        raise InputError(f"scope must be one of {', '.join(SCOPES)}, not {scope!r}")
    nodes = weighted_nodes(graph, head)
    if not nodes:
        raise GraphError(f"graph {graph.name} has no layer with weights: nothing can be trained")
    if (last is not None) != (scope == "last_k"):
        raise InputError(
            f"last, the number of layers, goes with scope 'last_k' alone; got {last!r} for {scope}"
        )
    if last is not None and not 1 <= last <= len(nodes):
        raise InputError(f"last must be in 1..{len(nodes)}, the number of layers with weights; got {last}")
    return {"lp": [head], "last_k": nodes[-(last or 1) :]}.get(scope, nodes)


def constant_names(nodes: list[Node]) -> list[str]:
    """Return the names of the layers' weights and biases, each once."""
    return list(dict.fromkeys(name for node in nodes for name in node.inputs[-2:]))
