"""The prototype classifier in float: logits by distance to class means, for baselines in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, InputError
from fxpgrad.experiments.torch_operators import import_torch
from fxpgrad.graph.graph import Graph, Node
from fxpgrad.tasks.backbone import class_prototypes

FeatureArray = NDArray[np.floating]


def features_node(graph: Graph) -> Node:
    """Return the node that makes the features, the Graph's one output [D]."""
    shapes = [graph.tensors[name].shape for name in graph.outputs]
    made = [node for node in graph.nodes if node.output in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1 or not made:
        ends = " and ".join(map(str, shapes)) if made else "its input"
        raise GraphError(
            f"graph {graph.name} must end in one vector of features for prototypes, not in {ends}"
        )
    return made[0]


def require_whole_classes(labels: NDArray[np.integer], batch: int) -> None:
    """Raise `InputError` unless a batch holds all samples, and two or more of each class."""
    if batch < len(labels):
        raise InputError(
            f"class means are those of the batch, which must hold all {len(labels)} samples; got {batch}"
        )
    counts = np.bincount(labels)
    if counts.min() < 2:
        few = int(counts.argmin())
        raise InputError(f"every class needs two samples, one to be left out; class {few} has {counts[few]}")


def leave_one_out_logits(features: Any, labels: Any, distance_scale: float) -> Any:
    """Return logits of a batch by its own class means, each sample's own class mean without that sample.

    The float form of `fxpgrad.trainer.objective.PrototypeCrossEntropy`.

    Parameters
    ----------
    features
        Torch tensor, floating [n, D].
    labels
        int64 tensor [n]; classes are 0..max, two samples or more of each.
    distance_scale
        Factor of the squared distances.

    Returns
    -------
    torch.Tensor
        [n, classes], -distance_scale * squared distance.
    """
    members = import_torch().nn.functional.one_hot(labels).to(features.dtype)
    others = (members.T @ features)[None] - members[:, :, None] * features[:, None]
    means = others / (members.sum(0)[None] - members)[..., None]
    return -distance_scale * ((features[:, None] - means) ** 2).sum(-1)


def prototype_logits(
    queries: FeatureArray, support: FeatureArray, labels: NDArray[np.integer], distance_scale: float
) -> NDArray[np.float64]:
    """Return logits [n, classes] of features [n, D] by the class means of labelled support features."""
    prototypes = class_prototypes(support, labels)
    distances = ((np.asarray(queries, np.float64)[:, None] - prototypes) ** 2).sum(axis=-1)
    logits: NDArray[np.float64] = -distance_scale * distances
    return logits
