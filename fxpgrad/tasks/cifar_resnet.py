"""CIFAR-10 from .npz files, and the published CIFAR ResNets (20, 32, 56) as float Graphs.

The networks are those of akamaster/pytorch_resnet_cifar10 (He et al. 2016, section 4.2, shortcut A); the
files hold their arrays by PyTorch name. Neither images nor weights come with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.tasks.npz_data import labelled_images, load_arrays, required_array

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHAPE = (32, 32, 3)
CLASSES = 10
_AROUND = (1, 1, 1, 1)
_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """images: uint8 [n, 32, 32, 3], RGB; labels: int32 [n], 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]


def load_cifar(path: str | Path, first: int | None = None) -> LabelledImages:
    """Load CIFAR-10 images and labels from an .npz file.

    Parameters
    ----------
    path
        An .npz file with `images`, uint8 [n, 32, 32, 3], and `labels`, integers [n] in 0..9.
    first
        Only so many images, from the beginning; None means all.

    Raises
    ------
    StoreError
        The file is missing or unreadable.
    InputError
        It lacks an array, or one does not fit.
    """
    images, labels = labelled_images(load_arrays(path), CLASSES, path)
    if images.shape[1:] != SHAPE:
        raise InputError(f"images in {path} must be uint8 [n, 32, 32, 3]; got {images.shape}")
    if first is not None and not 1 <= first <= len(images):
        raise InputError(f"first must be in 1..{len(images)}, the images of {path}; got {first}")
    return LabelledImages(images[:first], labels[:first].astype(np.int32))


def normalize(images: NDArray[np.number]) -> NDArray[np.float32]:
    """Return images of 0..255, [..., 3], as the networks take them: (x / 255 - MEAN) / DEVIATION."""
    return ((images / 255.0 - MEAN) / DEVIATION).astype(np.float32)


def resnet_graph(path: str | Path) -> Graph:
    """Build the float Graph of a published CIFAR ResNet: normalized images [32, 32, 3] to 10 logits.

    Parameters
    ----------
    path
        Its arrays by PyTorch name, .npz; the depth is read off the names.

    Raises
    ------
    StoreError
        The file is missing or unreadable.
    InputError
        It lacks an array, or one has another shape.
    GraphError
        Two arrays do not fit together.

    Notes
    -----
    Batch norm is its own node (fold it before quantizing). Where a stage begins, the shortcut takes every
    second pixel and pads channels with zeros: a 1x1 convolution by a constant.
    """
    arrays = load_arrays(path)
    blocks = len({name.split(".")[1] for name in arrays if name.startswith("layer1.")})
    if blocks == 0:
        raise InputError(f"{path} must hold a CIFAR ResNet, with arrays such as 'layer1.0.conv1.weight'")
    builder = GraphBuilder(Path(path).stem)
    x = _add_convolution(builder, arrays, path, builder.input("image", SHAPE), "conv1", "bn1", 1)
    x = builder.activation(x, "relu")
    for stage in (1, 2, 3):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _add_block(builder, arrays, path, x, f"layer{stage}.{block}", stride)
    x = builder.global_average_pool2d(x)
    weights, bias = (required_array(arrays, f"linear.{part}", path) for part in ("weight", "bias"))
    return builder.build(builder.fully_connected(x, weights, bias))


def _add_block(
    builder: GraphBuilder, arrays: dict[str, NDArray[Any]], path: str | Path, x: str, name: str, stride: int
) -> str:
    """Add relu(x + bn(conv(relu(bn(conv(x))))))."""
    y = _add_convolution(builder, arrays, path, x, f"{name}.conv1", f"{name}.bn1", stride)
    y = builder.activation(y, "relu")
    y = _add_convolution(builder, arrays, path, y, f"{name}.conv2", f"{name}.bn2", 1)
    if stride == 2:
        outputs, inputs = arrays[f"{name}.conv1.weight"].shape[:2]
        picked = np.zeros((outputs, 1, 1, inputs), np.float32)
        picked[np.arange(inputs) + (outputs - inputs) // 2, 0, 0, np.arange(inputs)] = 1
        x = builder.conv2d(x, picked, stride=(2, 2), padding="valid", name=f"{name}.shortcut")
    return builder.add(x, y, activation="relu")


def _add_convolution(
    builder: GraphBuilder,
    arrays: dict[str, NDArray[Any]],
    path: str | Path,
    x: str,
    name: str,
    norm: str,
    stride: int,
) -> str:
    """Add a 3x3 convolution (filters OIHW) and its batch norm."""
    filters = required_array(arrays, f"{name}.weight", path)
    if filters.ndim != 4 or filters.shape[2:] != (3, 3):
        raise InputError(f"array {name + '.weight'!r} of {path} must be [out, in, 3, 3]; got {filters.shape}")
    x = builder.conv2d(x, filters.transpose(0, 2, 3, 1), stride=(stride, stride), padding=_AROUND, name=name)
    parts = [required_array(arrays, f"{norm}.{part}", path) for part in _NORM]
    return builder.batch_norm(x, *parts, epsilon=1e-5)
