"""A float Graph in PyTorch: run whole or from a cut on, with gains, and with rounding between its layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError
from fxpgrad.experiments.torch_operators import activate, apply_node, import_torch, scale_and_shift
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.quantize.fold import CHANNEL_AXIS

_CACHE_BYTES = 2**28  # of activations at a cut that are kept for all samples
_CHUNK = 100  # samples at a time where no gradient is taken


class Simulation(Protocol):
    """Changes constants before, and activations after each node, on the way through a network."""

    def constant(self, name: str, value: Any) -> Any:
        """Return what the network computes with in place of a weight or bias."""

    def activation(self, name: str, value: Any) -> Any:
        """Return what the network passes on in place of an activation."""


@dataclass(frozen=True, slots=True, eq=False)
class TorchNetwork:
    """A float Graph without batch_norm nodes that PyTorch runs.

    graph: names, shapes, and the constants for names that a run is not given. simulation: None runs in
    plain float32.
    """

    graph: Graph
    simulation: Simulation | None = None

    def __post_init__(self) -> None:
        require_folded_float(self.graph)

    def run(
        self,
        parameters: Mapping[str, Any],
        values: Mapping[str, Any],
        target: str,
        gains: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute a tensor from some that are known, differentiably.

        Parameters
        ----------
        parameters
            Tensor name to array or torch tensor; names left out take the Graph's own constants. A bias may
            be [n, channels], one for each row.
        values
            Known activations by name, float32 [n, ...]: the input, or what a cut crosses (see `cut`).
        target
            The tensor wanted.
        gains
            Node name to a factor of that layer's sum and bias, [n or 1, channels or 1].

        Returns
        -------
        torch.Tensor
            float32 [n, ...shape of the tensor], images NHWC.
        """
        torch, graph = import_torch(), self.graph
        gains, known = gains or {}, dict(values)
        if self.simulation is not None:
            known |= {
                name: self.simulation.activation(name, known[name]) for name in graph.inputs if name in known
            }
        nodes = self._needed(known, target)
        last_use = {name: index for index, node in enumerate(nodes) for name in node.inputs}
        for index, node in enumerate(nodes):
            inputs = [
                known[name] if name in known else self._constant(parameters, name) for name in node.inputs
            ]
            shape, gain = graph.tensors[node.output].shape, gains.get(node.name)
            if gain is not None or (node.op in CHANNEL_AXIS and inputs[2].ndim == 2):
                bias, inputs[2] = inputs[2], None
                y = scale_and_shift(torch, apply_node(torch, node, inputs, shape), gain, bias)
            else:
                y = apply_node(torch, node, inputs, shape)
            y = activate(torch, y, node)
            known[node.output] = y if self.simulation is None else self.simulation.activation(node.output, y)
            for name in node.inputs:
                if last_use[name] == index and name != target:
                    known.pop(name, None)
        return known[target]

    def _needed(self, known: Mapping[str, Any], target: str) -> list[Node]:
        """Return the nodes between what is known and the target."""
        wanted, nodes = {target}, []
        for node in reversed(self.graph.nodes):
            if node.output in wanted and node.output not in known:
                wanted.update(node.inputs)
                nodes.append(node)
        made = {node.output for node in nodes} | set(known)
        if target not in made:
            raise GraphError(f"graph {self.graph.name} makes no tensor {target!r}")
        return nodes[::-1]

    def _constant(self, parameters: Mapping[str, Any], name: str) -> Any:
        torch = import_torch()
        value = parameters[name] if name in parameters else np.array(self.graph.tensors[name].data)
        value = torch.as_tensor(value)
        return value if self.simulation is None else self.simulation.constant(name, value)

    def cut(self, trained: Iterable[str], target: str, samples: int) -> tuple[str, ...]:
        """Return the activations to compute once, before training, for all samples.

        They are what crosses from the nodes before the first one that reads a trained constant to the
        rest, or the input alone where they take more than 256 MiB.
        """
        names, nodes = set(trained), self._needed({self.graph.inputs[0]: None}, target)
        first = next((i for i, node in enumerate(nodes) if names.intersection(node.inputs)), 0)
        made = {node.output for node in nodes[:first]} | {self.graph.inputs[0]}
        crossing = tuple(
            dict.fromkeys(name for node in nodes[first:] for name in node.inputs if name in made)
        )
        size = sum(4 * samples * math.prod(self.graph.tensors[name].shape) for name in crossing)
        return crossing if crossing and size <= _CACHE_BYTES else (self.graph.inputs[0],)

    def activations(
        self, parameters: Mapping[str, Any], x: NDArray[Any], names: Iterable[str]
    ) -> dict[str, Any]:
        """Return activations for all samples, without gradients, some samples at a time.

        x: [n, ...input shape] (NHWC), any real dtype, n >= 1.
        """
        torch, source = import_torch(), self.graph.inputs[0]
        inputs = torch.as_tensor(np.array(x, np.float32))
        found: dict[str, Any] = {}
        with torch.no_grad():
            for name in names:
                parts = inputs.split(_CHUNK) if name != source else ()
                made = [self.run(parameters, {source: part}, name) for part in parts]
                found[name] = torch.cat(made) if made else inputs
        return found


def require_folded_float(graph: Graph) -> None:
    """Refuse quantized Graphs and those with batch_norm nodes."""
    if any(tensor.dtype != "float32" for tensor in graph.tensors.values()):
        raise GraphError(f"graph {graph.name} must be float to be trained by backpropagation, not quantized")
    for node in graph.nodes:
        if node.op == "batch_norm":
            raise GraphError(f"node {node.name} is a batch_norm; fold it into its convolution first")
