"""The float baseline: backpropagation through a Graph, by PyTorch (an optional extra).

What forward gradients are measured against, on the very network that the integer engine runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.experiments.descent import Descent, descend
from fxpgrad.experiments.prototypes import features_node, leave_one_out_logits, require_whole_classes
from fxpgrad.experiments.scopes import constant_names, last_fully_connected, nodes_until, trained_nodes
from fxpgrad.experiments.torch_network import Simulation, TorchNetwork, require_folded_float
from fxpgrad.experiments.torch_operators import import_torch, padding_of
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.quantize.fold import CHANNEL_AXIS
from fxpgrad.trainer.objective import require_distance_scale

Parameters = dict[str, NDArray[np.float32]]
OnStep = Callable[[int, Parameters], None]
_SCRATCH_SCOPES = ("lp", "ft")


def graph_parameters(graph: Graph) -> Parameters:
    """Return every weight and bias of a folded float Graph by tensor name (copies, float32)."""
    require_folded_float(graph)
    names = [name for node in graph.nodes for name in node.inputs]
    constants = {name: graph.tensors[name].data for name in names}
    return {name: np.array(data, np.float32) for name, data in constants.items() if data is not None}


def torch_forward(graph: Graph, parameters: Mapping[str, Any], x: Any, until: str | None = None) -> Any:
    """Run a folded float Graph in PyTorch, differentiably.

    Parameters
    ----------
    graph
        A float Graph without batch_norm nodes (fold them first).
    parameters
        Tensor name to array or torch tensor; names left out take the Graph's own constants.
    x
        [n, ...input shape] (NHWC), array or torch tensor of any real dtype; computed in float32.
    until
        The tensor wanted; None means the Graph's first output.

    Returns
    -------
    torch.Tensor
        float32 [n, ...shape of the tensor], images NHWC.
    """
    torch = import_torch()
    values = {graph.inputs[0]: torch.as_tensor(x).to(torch.float32)}
    return TorchNetwork(graph).run(parameters, values, graph.outputs[0] if until is None else until)


def adapt_backprop(
    graph: Graph,
    x: NDArray[Any],
    y: NDArray[np.integer],
    scope: str,
    steps: int,
    learning_rate: float,
    optimizer: str = "adam",
    batch: int | None = None,
    *,
    seed: int = 0,
    momentum: float = 0.9,
    schedule: str = "constant",
    last: int | None = None,
    whole_head: bool = False,
    distance_scale: float | None = None,
    simulation: Simulation | None = None,
    on_step: OnStep | None = None,
) -> Parameters:
    """Minimize the cross-entropy of a linear or a prototype classifier by backpropagation.

    Parameters
    ----------
    graph
        A float Graph without batch_norm nodes; its last fully_connected node makes the logits. With
        distance_scale: a backbone that ends in features [D].
    x
        [n, ...input shape], NHWC.
    y
        Integer [n], labels 0..classes-1.
    scope
        "lp" trains the last fully connected layer, "last_k" the `last` layers with weights, "ft" every weight
        and bias up to the logits, "affine" a factor for each output channel of every such layer, of its sum
        and bias together, and the biases.
    steps, learning_rate, optimizer, batch, seed, momentum, schedule
        See `Descent`.
    last
        For "last_k" only.
    whole_head
        In the scope "affine": train the last layer's weights too, in place of its factors, as the exact head
        of the trainer does.
    distance_scale
        Logits are distances to the class means of the batch, each sample left out of its own, times this
        (`prototypes.leave_one_out_logits`). None: the last fully connected layer makes them.
    simulation
        Rounding that the forward pass goes through (see `FakeQuantization`); None trains in plain float32.
    on_step
        Called after every update with the number of steps done and the parameters so far (copies).

    Returns
    -------
    dict
        Every weight and bias of the Graph, trained or not, by tensor name: pass it to `torch_forward`.
        Factors are multiplied in.

    Raises
    ------
    InputError
        Samples, settings or a distance_scale that do not fit.
    GraphError
        The Graph has no layer that makes logits, or does not end in one vector of features.

    Notes
    -----
    The result is a function of the arguments for one PyTorch build and one thread count.
    """
    torch = import_torch()
    parameters = graph_parameters(graph)
    head = last_fully_connected(graph) if distance_scale is None else features_node(graph)
    nodes = trained_nodes(graph, head, scope, last)
    if whole_head and scope != "affine":
        raise InputError(f"whole_head goes with scope 'affine' alone, not with {scope!r}")
    if simulation is not None and scope == "affine":
        raise InputError("factors cannot be rounded to a quantized Graph's steps; choose another scope")
    check_samples(graph, head if distance_scale is None else None, x, y)
    plan = Descent(steps, learning_rate, optimizer, momentum, schedule, batch, seed)
    if distance_scale is not None:
        if whole_head or scope == "lp":
            raise InputError(
                "a prototype classifier has no weights of its own: whole_head, 'lp' train nothing"
            )
        require_distance_scale(distance_scale)
        require_whole_classes(y, len(y) if batch is None else batch)
    scaled = [node for node in nodes if scope == "affine" and not (whole_head and node is head)]
    kept = {node.inputs[-2] for node in scaled}
    names = constant_names(nodes)
    trained = {name: torch.tensor(parameters[name], requires_grad=True) for name in names if name not in kept}
    gains = {
        node.name: torch.ones((1, len(parameters[node.inputs[-1]])), requires_grad=True) for node in scaled
    }
    network = TorchNetwork(graph, simulation)
    values = network.activations(parameters, x, network.cut(names, head.output, len(y)))
    labels = torch.as_tensor(np.array(y, np.int64))

    def loss(chosen: Any) -> Any:
        own = {name: value[chosen] for name, value in values.items()}
        logits = network.run(trained, own, head.output, gains)
        if distance_scale is not None:
            logits = leave_one_out_logits(logits, labels[chosen], distance_scale)
        return torch.nn.functional.cross_entropy(logits, labels[chosen])

    def now() -> Parameters:
        new = parameters | {name: value.detach().numpy().copy() for name, value in trained.items()}
        return with_gains(graph, new, {name: gain.detach().numpy()[0] for name, gain in gains.items()})

    report = None if on_step is None else lambda step: on_step(step, now())
    descend(plan, [*trained.values(), *gains.values()], len(labels), loss, report)
    return now()


def with_gains(
    graph: Graph, parameters: Mapping[str, NDArray[Any]], gains: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Multiply weights and biases by factors, node name to [channels or 1]; those are float32 then."""
    scaled = dict(parameters)
    for node in graph.nodes:
        if node.name in gains:
            gain, (weights, bias) = gains[node.name], node.inputs[-2:]
            shape = [1] * parameters[weights].ndim
            shape[CHANNEL_AXIS[node.op]] = -1
            scaled[weights] = (parameters[weights] * gain.reshape(shape)).astype(np.float32)
            scaled[bias] = (parameters[bias] * gain).astype(np.float32)
    return scaled


def backprop_scratch_bytes(graph: Graph, batch: int, scope: str = "ft") -> int:
    """Return the bytes that one backpropagation step holds beside the weights.

    Counted: every distinct tensor that PyTorch keeps from the forward to the backward pass (float32: the
    inputs of convolutions, dense layers and poolings, the results of relu, what the other clamps read,
    the log-probabilities; int64: the winners of max pools), and the float32 gradient of every trained
    weight and bias. Not counted: the weights themselves, optimizer state, labels, and the short-lived
    gradients of activations.

    Parameters
    ----------
    graph
        A float Graph without batch_norm nodes.
    batch
        Samples per step, >= 1.
    scope
        "lp" or "ft", as in `adapt_backprop`.
    """
    require_folded_float(graph)
    if scope not in _SCRATCH_SCOPES:
        raise InputError(f"scope must be one of {', '.join(_SCRATCH_SCOPES)}, not {scope!r}")
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    head = last_fully_connected(graph)
    trained = set(constant_names(trained_nodes(graph, head, scope)))
    sizes: dict[str, int] = {}
    differentiable: set[str] = set()
    for node in nodes_until(graph, head):
        if not trained.intersection(node.inputs) and not differentiable.intersection(node.inputs):
            continue
        differentiable.add(node.output)
        sizes |= _kept(graph, node, trained)
    activations = sum(sizes.values()) + 4 * math.prod(graph.tensors[head.output].shape)
    gradients = sum(4 * math.prod(graph.tensors[name].shape) for name in trained)
    return batch * activations + gradients


def _kept(graph: Graph, node: Node, trained: set[str]) -> dict[str, int]:
    """Return bytes per sample of the tensors that autograd keeps for one node, by a name for each."""
    source, output = node.inputs[0], node.output
    result_bytes = 4 * math.prod(graph.tensors[output].shape)
    kept: dict[str, int] = {}
    keeps_input = node.op in ("max_pool2d", "average_pool2d") or trained.intersection(node.inputs)
    if keeps_input:
        shape, name = graph.tensors[source].shape, source
        if node.op != "fully_connected":
            top, bottom, left, right = padding_of(node)
            own_padding = node.op in CHANNEL_AXIS and top == bottom and left == right
            if not own_padding and any((top, bottom, left, right)):
                shape = (shape[0] + top + bottom, shape[1] + left + right, shape[2])
                name = f"{source} padded for {node.name}"
        kept[name] = 4 * math.prod(shape)
    if node.op == "max_pool2d":
        kept[f"{output} winners"] = 2 * result_bytes
    activation = node.attributes.get("activation", "none")
    if activation == "relu":
        kept[output] = result_bytes
    elif activation != "none":
        kept[source if node.op == "activation" else f"{output} before its clamp"] = result_bytes
    return kept


def check_samples(graph: Graph, head: Node | None, x: Any, y: Any) -> None:
    """Refuse samples and labels that a Graph cannot be trained on.

    head: its layer that makes the logits; None where it ends in features, of any number of classes.
    """
    images, labels, shape = np.asarray(x), np.asarray(y), graph.tensors[graph.inputs[0]].shape
    if images.shape[1:] != shape or len(images) == 0:
        raise InputError(f"x must be at least one sample of shape {shape}, not of shape {images.shape}")
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"y must hold {len(images)} integer labels, not {labels.dtype} {labels.shape}")
    classes = len(labels) if head is None else graph.tensors[head.output].shape[0]
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"y must be in 0..{classes - 1}, but goes from {labels.min()} to {labels.max()}")
