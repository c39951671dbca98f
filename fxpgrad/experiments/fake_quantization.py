"""A quantized Graph simulated in float: rounding that gradients pass straight through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, InputError
from fxpgrad.experiments.scopes import last_fully_connected
from fxpgrad.experiments.torch_operators import import_torch
from fxpgrad.graph.check import check_graph, quantization_of
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.quantize import dequantized_float_graph
from fxpgrad.quantize.affine import quantize_array
from fxpgrad.quantize.fold import CHANNEL_AXIS

_KEEPS_STEPS = ("max_pool2d", "reshape", "pad", "concat")  # what they put out is rounded if their input is
_LIMITS = {"int8": (-128, 127), "int16": (-32768, 32767)}


@dataclass(frozen=True, slots=True, eq=False)
class FakeQuantization:
    """The rounding of a quantized Graph, for a `TorchNetwork` of the same tensor names.

    Weights are rounded to the Graph's steps, symmetric and saturated at +-(2**(bits - 1) - 1); their gradient
    passes as it is. Activations are rounded and saturated with the Graph's scales and zero points; their
    gradient passes inside the range and is 0 outside. Biases stay: their steps are too small for float32.

    Attributes
    ----------
    quantized
        Activations int8 or int16, weights int8 or int16.
    round_logits
        Whether the output of the last fully connected layer is rounded as well; the trainer's integer
        objective reads its accumulators, which are not.

    Notes
    -----
    Ties go to even here and away from zero in most integer profiles; sums are float32. Results agree
    with the integer Program's up to a step now and then.
    """

    quantized: Graph
    round_logits: bool = False
    _weights: frozenset[str] = field(init=False)
    _rounded: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.quantized
        if not graph.is_quantized:
            raise GraphError(f"graph {graph.name} is not quantized: there is no rounding to simulate")
        rounded = {node.output for node in graph.nodes if node.op not in _KEEPS_STEPS} | {*graph.inputs}
        if not self.round_logits:
            rounded.discard(last_fully_connected(graph).output)
        object.__setattr__(self, "_rounded", frozenset(rounded))
        object.__setattr__(
            self, "_weights", frozenset(node.inputs[-2] for node in graph.nodes if node.op in CHANNEL_AXIS)
        )

    def constant(self, name: str, value: Any) -> Any:
        """Return rounded weights, float32 of the same shape; a bias as it is."""
        if name not in self._weights:
            return value
        torch, tensor = import_torch(), self.quantized.tensors[name]
        quantization, limit = quantization_of(tensor), _LIMITS[tensor.dtype][1]
        axis = quantization.axis or 0
        scale = torch.as_tensor(quantization.scale.astype(np.float32)).expand(value.shape[axis]).contiguous()
        zero = torch.zeros(len(scale), dtype=torch.int32)
        fixed = value.detach()
        rounded = torch.fake_quantize_per_channel_affine(fixed, scale, zero, axis, -limit, limit)
        return rounded + (value - fixed)  # a zero with the gradient of the identity

    def activation(self, name: str, value: Any) -> Any:
        """Return a rounded activation, float32 of the same shape."""
        if name not in self._rounded:
            return value
        tensor = self.quantized.tensors[name]
        quantization, limits = quantization_of(tensor), _LIMITS[tensor.dtype]
        scale, zero = float(quantization.scale[0]), int(quantization.zero_point[0])
        return import_torch().fake_quantize_per_tensor_affine(value, scale, zero, *limits)


def simulated_graph(graph: Graph, quantized: Graph) -> Graph:
    """Return the float Graph for a `FakeQuantization`: the quantized Graph's nodes, the original weights.

    Parameters
    ----------
    graph
        Float, without batch_norm nodes: what `quantized` was made from (or, its layers trained since).
    quantized
        Layers of the same names.
    """
    result, sources = dequantized_float_graph(quantized), {node.name: node for node in graph.nodes}
    tensors = dict(result.tensors)
    for node in result.nodes:
        if node.op not in CHANNEL_AXIS:
            continue
        source = _same_layer(graph, sources.get(node.name), node)
        for name, original in zip(node.inputs[-2:], source.inputs[-2:], strict=True):
            tensors[name] = replace(tensors[name], data=graph.tensors[original].data)
    made = replace(result, tensors=tensors)
    check_graph(made)
    return made


def _same_layer(graph: Graph, source: Node | None, node: Node) -> Node:
    if source is None or source.op != node.op:
        raise InputError(
            f"graph {graph.name} has no {node.op} {node.name}, but the quantized Graph has; it must be "
            "quantized from this very graph, its batch norms folded"
        )
    return source


def quantized_with(quantized: Graph, parameters: Mapping[str, NDArray[np.floating]]) -> Graph:
    """Return a quantized Graph with real weights and biases rounded to its steps, saturated.

    parameters: by the quantized Graph's tensor names; names left out keep their integers. Scales stay.
    """
    tensors: dict[str, Tensor] = dict(quantized.tensors)
    for name, values in parameters.items():
        tensor = tensors[name]
        data = quantize_array(values, quantization_of(tensor), tensor.dtype)
        if tensor.dtype != "int32":
            limit = _LIMITS[tensor.dtype][1]
            data = np.clip(data, -limit, limit).astype(tensor.dtype)
        tensors[name] = replace(tensor, data=data)
    result = replace(quantized, tensors=tensors)
    check_graph(result)
    return result
