"""The float baseline: backpropagation through a Graph, by PyTorch (an optional extra).

What forward gradients are measured against, on the very network that the integer engine runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, InputError
from fxpgrad.experiments.torch_operators import activate, apply_node, import_torch, padding_of
from fxpgrad.graph.graph import Graph, Node

SCOPES = ("lp", "ft")
OPTIMIZERS = ("sgd", "adam")
_WEIGHTED = ("conv2d", "depthwise_conv2d", "fully_connected")
Parameters = dict[str, NDArray[np.float32]]
OnStep = Callable[[int, Parameters], None]


def graph_parameters(graph: Graph) -> Parameters:
    """Return every weight and bias of a folded float Graph by tensor name (copies, float32)."""
    _require_folded_float(graph)
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
    _require_folded_float(graph)
    target = graph.outputs[0] if until is None else until
    values: dict[str, Any] = {graph.inputs[0]: torch.as_tensor(x).to(torch.float32)}
    for name, tensor in graph.tensors.items():
        if tensor.data is not None:
            values[name] = torch.as_tensor(parameters[name] if name in parameters else np.array(tensor.data))
    for node in graph.nodes:
        if target in values:
            break
        inputs = [values[name] for name in node.inputs]
        shape = graph.tensors[node.output].shape
        values[node.output] = activate(torch, apply_node(torch, node, inputs, shape), node)
    if target not in values:
        raise GraphError(f"graph {graph.name} makes no tensor {target!r}")
    return values[target]


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
    on_step: OnStep | None = None,
) -> Parameters:
    """Minimize the cross-entropy of the last fully connected layer's output by backpropagation.

    Parameters
    ----------
    graph
        A float Graph without batch_norm nodes; its last fully_connected node makes the logits.
    x
        [n, ...input shape], NHWC.
    y
        Integer [n], labels 0..classes-1.
    scope
        "lp" trains the last fully connected layer, "ft" every weight and bias up to it.
    steps
        Number of updates, >= 0.
    learning_rate
        Step size, > 0, constant.
    optimizer
        "sgd" (no momentum) or "adam" (PyTorch's defaults).
    batch
        Samples per step, reshuffled whenever fewer than that remain; None or >= n takes all every step.
    seed
        Of the shuffling; unused with the full batch.
    on_step
        Called after every update with the number of steps done and the parameters so far (copies).

    Returns
    -------
    dict
        Every weight and bias of the Graph, trained or not, by tensor name: pass it to `torch_forward`.

    Notes
    -----
    The result is a function of the arguments for one PyTorch build and one thread count.
    """
    torch = import_torch()
    parameters = graph_parameters(graph)
    head = _last_fully_connected(graph)
    _check_adaptation(graph, head, x, y, scope, optimizer)
    _check_amounts(steps, learning_rate, batch)
    names = _trained(graph, head, scope)
    trained = {name: torch.tensor(parameters[name], requires_grad=True) for name in names}
    inputs, labels = torch.as_tensor(np.array(x, np.float32)), torch.as_tensor(np.array(y, np.int64))
    if scope == "lp":
        with torch.no_grad():
            inputs = torch_forward(graph, {}, inputs, until=head.inputs[0])
        graph = Graph(graph.name, graph.tensors, (head,), (head.inputs[0],), (head.output,))

    def loss(chosen: Any) -> Any:
        logits = torch_forward(graph, trained, inputs[chosen], until=head.output)
        return torch.nn.functional.cross_entropy(logits, labels[chosen])

    return _descend(
        parameters,
        trained,
        loss,
        _batches(len(labels), batch, seed),
        steps,
        learning_rate,
        optimizer,
        on_step,
    )


def adapt_backprop_prototypes(
    graph: Graph,
    x: NDArray[Any],
    y: NDArray[np.integer],
    distance_scale: float,
    steps: int,
    learning_rate: float,
    optimizer: str = "adam",
    *,
    on_step: OnStep | None = None,
) -> Parameters:
    """Fine-tune a feature network on the prototype objective by backpropagation, full batch.

    The float twin of `fxpgrad.trainer.objective.PrototypeCrossEntropy`: cross-entropy over
    -distance_scale * squared distance to the class means of the batch, each sample's own class mean
    without that sample. Every weight and bias is trained. Parameters as for `adapt_backprop`; the
    Graph ends in features [D].
    """
    torch = import_torch()
    parameters = graph_parameters(graph)
    _check_amounts(steps, learning_rate, None)
    _require_choice("optimizer", optimizer, OPTIMIZERS)
    trained = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    inputs, labels = torch.as_tensor(np.array(x, np.float32)), torch.as_tensor(np.array(y, np.int64))
    members = torch.nn.functional.one_hot(labels).to(torch.float32)
    counts = members.sum(0)

    def loss(_chosen: Any) -> Any:
        features = torch_forward(graph, trained, inputs)
        others = (members.T @ features)[None] - members[:, :, None] * features[:, None]
        means = others / (counts[None] - members).clamp(min=1)[..., None]
        distances = ((features[:, None] - means) ** 2).sum(-1)
        return torch.nn.functional.cross_entropy(-distance_scale * distances, labels)

    return _descend(
        parameters, trained, loss, _batches(len(labels), None, 0), steps, learning_rate, optimizer, on_step
    )


def _descend(
    parameters: Parameters,
    trained: dict[str, Any],
    loss: Callable[[Any], Any],
    rows: Iterator[NDArray[np.int64]],
    steps: int,
    learning_rate: float,
    optimizer: str,
    on_step: OnStep | None,
) -> Parameters:
    """Take gradient steps on `trained` (torch leaves) and return `parameters` with their values."""
    torch = import_torch()
    rules = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    rule = rules[optimizer](list(trained.values()), lr=learning_rate)

    def merged() -> Parameters:
        return parameters | {name: value.detach().numpy().copy() for name, value in trained.items()}

    for step in range(1, steps + 1):
        value = loss(torch.as_tensor(next(rows)))
        rule.zero_grad()
        value.backward()
        rule.step()
        if on_step is not None:
            on_step(step, merged())
    return merged()


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
    _require_folded_float(graph)
    _require_choice("scope", scope, SCOPES)
    if batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    head = _last_fully_connected(graph)
    trained = set(_trained(graph, head, scope))
    sizes: dict[str, int] = {}
    differentiable: set[str] = set()
    for node in _nodes_until(graph, head):
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
            own_padding = node.op in _WEIGHTED and top == bottom and left == right
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


def _batches(count: int, batch: int | None, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers for ever."""
    if batch is None or batch >= count:
        while True:
            yield np.arange(count)
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        yield from (order[start : start + batch] for start in range(0, count - batch + 1, batch))


def _nodes_until(graph: Graph, head: Node) -> list[Node]:
    """Return the nodes that `head` depends on, itself last."""
    wanted, nodes = set(head.inputs), [head]
    for node in reversed(graph.nodes[: graph.nodes.index(head)]):
        if node.output in wanted:
            wanted.update(node.inputs)
            nodes.append(node)
    return nodes[::-1]


def _last_fully_connected(graph: Graph) -> Node:
    nodes = [node for node in graph.nodes if node.op == "fully_connected"]
    if not nodes:
        raise GraphError(f"graph {graph.name} has no fully_connected layer for the logits; attach a head")
    return nodes[-1]


def _trained(graph: Graph, head: Node, scope: str) -> list[str]:
    """Return the weights and biases that the scope trains, each once."""
    nodes = [head] if scope == "lp" else _nodes_until(graph, head)
    names = [name for node in nodes if node.op in _WEIGHTED for name in node.inputs[-2:]]
    return list(dict.fromkeys(names))


def _require_folded_float(graph: Graph) -> None:
    if any(tensor.dtype != "float32" for tensor in graph.tensors.values()):
        raise GraphError(f"graph {graph.name} must be float to be trained by backpropagation, not quantized")
    for node in graph.nodes:
        if node.op == "batch_norm":
            raise GraphError(f"node {node.name} is a batch_norm; fold it into its convolution first")


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _check_adaptation(graph: Graph, head: Node, x: Any, y: Any, scope: str, optimizer: str) -> None:
    _require_choice("scope", scope, SCOPES)
    _require_choice("optimizer", optimizer, OPTIMIZERS)
    images, labels = np.asarray(x), np.asarray(y)
    shape, classes = graph.tensors[graph.inputs[0]].shape, graph.tensors[head.output].shape[0]
    if images.shape[1:] != shape or len(images) == 0:
        raise InputError(f"x must be at least one sample of shape {shape}, not of shape {images.shape}")
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"y must hold {len(images)} integer labels, not {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"y must be in 0..{classes - 1}, but goes from {labels.min()} to {labels.max()}")


def _check_amounts(steps: int, learning_rate: float, batch: int | None) -> None:
    if steps < 0:
        raise InputError(f"steps must not be negative, but is {steps}")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InputError(f"learning_rate must be finite and positive, not {learning_rate}")
    if batch is not None and batch < 1:
        raise InputError(f"batch must be at least 1, or None for all samples, not {batch}")
