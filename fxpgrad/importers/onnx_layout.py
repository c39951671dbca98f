"""A Graph whose inputs and outputs have the axes of the ONNX file: images [C, H, W] at both ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.importers.onnx_imported import ImportedOnnx


def in_file_layout(imported: ImportedOnnx, graph: Graph | None = None) -> Graph:
    """Return the Graph with transposes at its ends, named as the file names its inputs and outputs.

    Inside, images stay [H, W, C]: the tensor that the file calls `x` becomes `x#nhwc` where a transpose
    stands before or behind it. Elsewhere nothing changes.

    Parameters
    ----------
    imported : ImportedOnnx
    graph : Graph, optional
        Another form of the imported Graph with the same tensor names, such as its quantized one.
    """
    graph = imported.graph if graph is None else graph
    places = {imported.values[name].tensor: name for name in (*imported.inputs, *imported.outputs)}
    moved = {
        tensor: imported.values[name].order
        for tensor, name in places.items()
        if imported.values[name].order != tuple(range(len(imported.values[name].order)))
    }
    if not moved:
        return graph
    inner = {tensor: f"{tensor}#nhwc" for tensor in moved}
    tensors = {
        inner.get(name, name): replace(tensor, name=inner.get(name, name))
        for name, tensor in graph.tensors.items()
    }
    nodes = [
        replace(
            node,
            inputs=tuple(inner.get(name, name) for name in node.inputs),
            output=inner.get(node.output, node.output),
        )
        for node in graph.nodes
    ]
    for name, order in moved.items():
        back = tuple(int(axis) for axis in np.argsort(order))
        own = graph.tensors[name]
        tensors[name] = replace(own, shape=tuple(own.shape[axis] for axis in back))
        if name in graph.inputs:
            nodes.insert(0, Node(inner[name], "transpose", (name,), inner[name], {"permutation": order}))
        else:
            nodes.append(Node(f"{name}#nchw", "transpose", (inner[name],), name, {"permutation": back}))
    result = replace(graph, tensors=tensors, nodes=tuple(nodes))
    check_graph(result)
    return result
