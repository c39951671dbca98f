"""The residual networks of few-shot learning, node by node, from arrays by PyTorch name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import StoreError
from fxpgrad.graph.builder import GraphBuilder

State = dict[str, NDArray[np.float32]]
_EPSILON = 1e-5
_STAGES = ("layer1", "layer2", "layer3", "layer4")
_FIELDS = ("weight", "bias", "running_mean", "running_var")


def entry(state: State, name: str, shape: tuple[int, ...] | None) -> NDArray[np.float32]:
    """Return one array of a backbone, of that shape unless it is None; raise `StoreError` otherwise."""
    if name not in state:
        raise StoreError(
            f"the backbone file has no array {name!r}; make it with examples/pretrain_omniglot.py"
            " or examples/pretrain_few_shot.py"
        )
    if shape is not None and state[name].shape != shape:
        raise StoreError(f"array {name!r} of the backbone must have shape {shape}, not {state[name].shape}")
    return state[name]


def add_resnet12(builder: GraphBuilder, state: State, x: str, channels: int) -> str:
    """Add ResNet12 (FEAT): four blocks of three convolutions, a 2x2 max pool after the first three."""
    for stage in _STAGES:
        x, channels = _add_block(builder, state, stage, x, channels, 3, 1)
        if stage != _STAGES[-1]:
            x = builder.max_pool2d(x, (2, 2), name=f"{stage}.pool")
    return x


def add_resnet18(builder: GraphBuilder, state: State, x: str, channels: int) -> str:
    """Add ResNet18 for small images: a 3x3 convolution, four stages of two blocks of two convolutions.

    Stages after the first begin with stride 2. A block without a `downsample` adds its input as it is.
    """
    width = _channels(state, "conv1.weight")
    weights = entry(state, "conv1.weight", (width, channels, 3, 3))
    x = _add_normed(builder, state, x, weights, "bn1", "conv1", 1)
    x, channels = builder.activation(x, "relu", name="relu"), width
    for stage in _STAGES:
        for block in (0, 1):
            stride = 2 if block == 0 and stage != _STAGES[0] else 1
            x, channels = _add_block(builder, state, f"{stage}.{block}", x, channels, 2, stride)
    return x


def _add_block(
    builder: GraphBuilder, state: State, block: str, x: str, channels: int, convolutions: int, stride: int
) -> tuple[str, int]:
    """Add relu(convolutions(x) + shortcut(x)); return its output and how many channels that has."""
    width = _channels(state, f"{block}.conv1.weight")
    y, inputs = x, channels
    for i in range(1, convolutions + 1):
        weights = entry(state, f"{block}.conv{i}.weight", (width, inputs, 3, 3))
        step = stride if i == 1 else 1
        y = _add_normed(builder, state, y, weights, f"{block}.bn{i}", f"{block}.conv{i}", step)
        if i < convolutions:
            y = builder.activation(y, "relu", name=f"{block}.relu{i}")
        inputs = width
    changes = width != channels or stride != 1
    if changes or f"{block}.downsample.0.weight" in state:
        name = f"{block}.downsample.0"
        weights = entry(state, f"{name}.weight", (width, channels, 1, 1))
        x = _add_normed(builder, state, x, weights, f"{block}.downsample.1", name, stride)
    return builder.add(y, x, activation="relu", name=f"{block}.add"), width


def _channels(state: State, name: str) -> int:
    weights = entry(state, name, None)
    if weights.ndim != 4:
        raise StoreError(f"array {name!r} of the backbone must be [out, in, 3, 3], not {weights.shape}")
    return len(weights)


def _add_normed(
    builder: GraphBuilder,
    state: State,
    x: str,
    weights: NDArray[np.float32],
    norm: str,
    name: str,
    stride: int,
) -> str:
    """Add a convolution (filters OIHW), padded as PyTorch pads it, and its batch norm."""
    around = (weights.shape[2] // 2,) * 4
    x = builder.conv2d(x, weights.transpose(0, 2, 3, 1), stride=(stride, stride), padding=around, name=name)
    constants = [entry(state, f"{norm}.{field}", weights.shape[:1]) for field in _FIELDS]
    return builder.batch_norm(x, *constants, epsilon=_EPSILON, name=norm)
