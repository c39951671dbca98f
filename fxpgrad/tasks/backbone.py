"""Backbones as float Graphs, the bundled ResNet12 first, and the prototype classifier that goes on top.

`examples/pretrain_omniglot.py` made the bundled weights, `examples/pretrain_few_shot.py` makes others;
`docs/backbone.md` says how good they are.
"""

from __future__ import annotations

import zlib
from importlib import resources
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, StoreError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.check import check_graph
from fxpgrad.graph.graph import Graph, Node, Tensor
from fxpgrad.program.program import Program
from fxpgrad.program.store import from_bytes
from fxpgrad.tasks.resnets import State, add_resnet12, add_resnet18, entry

HEAD = "head"
PROGRAMS = ("16w8a", "8w8a")


def load_backbone(path: str | Path | None = None) -> State:
    """Load a backbone's arrays by their PyTorch names, `distance_scale` among them.

    Parameters
    ----------
    path
        An .npz file as `examples/pretrain_omniglot.py` writes it; None means the bundled one.
    """
    bundled = resources.files("fxpgrad.tasks") / "data" / "resnet12_omniglot.npz"
    source = bundled if path is None else Path(path)
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, BadZipFile, zlib.error) as error:
        raise StoreError(f"path must name a backbone .npz file; {source} cannot be read: {error}") from error


def distance_scale(path: str | Path | None = None) -> float:
    """Return the factor by which the backbone's squared Euclidean distances become logits."""
    return float(entry(load_backbone(path), "distance_scale", ()))


def load_program(weights: str = "16w8a") -> Program:
    """Load the bundled backbone as a Program: images int8 [28, 28, 1] to an int8 embedding [64].

    Parameters
    ----------
    weights : {"16w8a", "8w8a"}
        Width of the weights and activations. `examples/quantize_omniglot.py` makes the files.
    """
    if weights not in PROGRAMS:
        raise InputError(f"weights must be one of {', '.join(PROGRAMS)}; got {weights!r}")
    file = resources.files("fxpgrad.tasks") / "data" / f"resnet12_omniglot_{weights}.fxp"
    return from_bytes(file.read_bytes(), file.name)


def resnet12_graph(path: str | Path | None = None) -> Graph:
    """Build the bundled backbone as a float Graph: images [28, 28, 1] of 0 and 1 to an embedding [64].

    `backbone_graph` says the rest.
    """
    return backbone_graph(path)


def backbone_graph(path: str | Path | None = None, shape: tuple[int, int, int] = (28, 28, 1)) -> Graph:
    """Build a ResNet12 or ResNet18 backbone as a float Graph: images to an embedding [features].

    Parameters
    ----------
    path
        An .npz file as `examples/pretrain_omniglot.py` or `examples/pretrain_few_shot.py` writes it, with
        arrays by PyTorch name, which tell the network and its widths; None means the bundled one.
    shape
        Height, width and channels of an image. The network ends in a global average pool: height and width
        need not be those of training.

    Raises
    ------
    StoreError
        When the file cannot be read, lacks an array, or is for images of other channels.

    Notes
    -----
    Batch norm is its own node (fold it before quantizing). Convolutions carry a zero bias.
    """
    state = load_backbone(path)
    builder = GraphBuilder("resnet12_omniglot" if path is None else Path(path).stem)
    add = add_resnet18 if "layer1.0.conv1.weight" in state else add_resnet12
    x = add(builder, state, builder.input("images", shape), shape[2])
    return builder.build(builder.global_average_pool2d(x, name="embedding"))


def attach_prototype_head(graph: Graph, prototypes: NDArray[np.floating], distance_scale: float) -> Graph:
    """Append the fully connected layer that classifies by distance to class prototypes.

    Parameters
    ----------
    graph
        A float Graph with one output of shape [features].
    prototypes
        float [classes, features], the mean embedding of each class's support images.
    distance_scale
        Factor s > 0 of the squared distances.

    Returns
    -------
    Graph
        With one output, the logits [classes] of node "head".

    Notes
    -----
    -s ||x - p||^2 = 2 s p·x - s ||p||^2 - s ||x||^2, and softmax ignores the last term: weights 2 s p,
    bias -s ||p||^2 (Snell et al. 2017, equation 8).
    """
    centres = np.asarray(prototypes, dtype=np.float64)
    if len(graph.outputs) != 1 or graph.is_quantized:
        raise InputError(f"graph must be a float Graph with one output, not with {len(graph.outputs)}")
    features = graph.tensors[graph.outputs[0]].shape
    if len(features) != 1:
        raise InputError(f"graph must make an embedding of rank 1, not of shape {features}")
    if centres.ndim != 2 or len(centres) == 0 or centres.shape[1:] != features:
        raise InputError(f"prototypes must be [classes, {features[0]}], not of shape {centres.shape}")
    if not np.isfinite(centres).all() or not (np.isfinite(distance_scale) and distance_scale > 0):
        raise InputError("prototypes must be finite and distance_scale finite and positive")
    weights = (2.0 * distance_scale * centres).astype(np.float32)
    bias = (-distance_scale * (centres**2).sum(axis=1)).astype(np.float32)
    added = (
        Tensor(f"{HEAD}/weights", weights.shape, "float32", data=weights),
        Tensor(f"{HEAD}/bias", bias.shape, "float32", data=bias),
        Tensor(HEAD, bias.shape, "float32"),
    )
    names = (graph.outputs[0], f"{HEAD}/weights", f"{HEAD}/bias")
    node = Node(HEAD, "fully_connected", names, HEAD, {"activation": "none"})
    tensors = {**graph.tensors, **{tensor.name: tensor for tensor in added}}
    headed = Graph(graph.name, tensors, (*graph.nodes, node), graph.inputs, (HEAD,))
    check_graph(headed)
    return headed


def class_prototypes(embeddings: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the mean embedding of each class 0..max(labels), float64 [classes, features]."""
    values, marks = np.asarray(embeddings, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or marks.shape != values.shape[:1] or len(marks) == 0:
        raise InputError(f"embeddings, labels must be [n, features], [n], not {values.shape}, {marks.shape}")
    counts = np.bincount(marks)
    if (counts == 0).any():
        raise InputError(f"labels must use every class from 0; {np.flatnonzero(counts == 0)} do not occur")
    return np.stack([values[marks == label].mean(axis=0) for label in range(len(counts))])
