"""Small float networks and data that they can learn, shared by the tests of the baselines."""

from __future__ import annotations

import numpy as np

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph

CLASSES = 4


def residual_graph(seed: int = 0) -> Graph:
    """A residual network of conv, depthwise, pools, concat and two dense layers on 8x8x3 images."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    builder = GraphBuilder("residual")
    x = builder.input("x", (8, 8, 3))
    x = builder.conv2d(x, draw(8, 3, 3, 3), draw(8), padding=(1, 1, 1, 1), activation="relu", name="first")
    y = builder.conv2d(x, draw(8, 3, 3, 8), draw(8), padding=(1, 1, 1, 1), name="second")
    x = builder.add(x, y, activation="relu")
    z = builder.depthwise_conv2d(x, draw(1, 3, 3, 8) * 2, draw(8), stride=(2, 2), name="depth")
    x = builder.concat([builder.max_pool2d(z, (3, 3)), builder.average_pool2d(z, (3, 3))], axis=2)
    x = builder.reshape(x, (16,))
    x = builder.fully_connected(x, draw(12, 16), draw(12), activation="relu", name="hidden")
    return builder.build(builder.fully_connected(x, draw(CLASSES, 12), draw(CLASSES), name="logits"))


def learnable_data(count: int = 64, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images around one pattern a class: float32 [count, 8, 8, 3] and int32 labels."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(0, 1, (CLASSES, 8, 8, 3))
    labels = rng.integers(0, CLASSES, count).astype(np.int32)
    return (patterns[labels] + rng.normal(0, 0.7, (count, 8, 8, 3))).astype(np.float32), labels
