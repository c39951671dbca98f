"""Small random float Graphs, a function of a seed: every operator, branches, ties and nasty constants."""

from __future__ import annotations

import numpy as np

from fxpgrad.graph.attributes import ACTIVATIONS
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph

_STEPS = (
    "conv2d",
    "grouped",
    "depthwise",
    "batch_norm",
    "max_pool",
    "average_pool",
    "activation",
    "pad",
    "add",
    "concat",
    "concat_input",
    "reshape",
)


def random_graph(seed: int, steps: int = 6, batch_norms: bool = True) -> Graph:
    """Return a random image classifier of about `steps` operators; equal seeds give equal graphs."""
    return _Drawing(seed, batch_norms).graph(steps)


def random_batch(graph: Graph, seed: int, count: int = 4) -> np.ndarray:
    """Return float32 samples for the single input of `graph`, with zeros and large values planted."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = 0
    x.flat[0] = 10 * rng.normal()
    return x


class _Drawing:
    def __init__(self, seed: int, batch_norms: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.batch_norms = batch_norms
        self.builder = GraphBuilder(f"random_{seed}")
        self.shape = tuple(int(value) for value in self.rng.integers((3, 3, 1), (8, 8, 5)))
        self.x = self.builder.input("image", self.shape)
        self.image = self.x

    def graph(self, steps: int) -> Graph:
        for _ in range(steps):
            step = self.rng.choice(_STEPS)
            getattr(self, f"_{step}")()
        x = self.builder.global_average_pool2d(self.x)
        channels = self.channels
        x = self.builder.fully_connected(x, self.weights(3, channels), self.weights(3))
        return self.builder.build(x)

    @property
    def channels(self) -> int:
        return self.builder._tensors[self.x].shape[-1]

    def weights(self, *shape: int) -> np.ndarray:
        values = self.rng.normal(size=shape) * 10 ** self.rng.uniform(-3, 1)
        if self.rng.random() < 0.3:  # a dead channel, first or last axis
            values[(0,) if self.rng.random() < 0.5 else (..., -1)] = 0
        return values

    def clamp(self) -> str:
        return str(self.rng.choice(ACTIVATIONS))

    def padding(self) -> str:
        height, width, _ = self.builder._tensors[self.x].shape
        return "same" if min(height, width) < 3 or self.rng.random() < 0.7 else "valid"

    def _conv2d(self) -> None:
        size = int(self.rng.choice((1, 3)))
        stride = int(self.rng.integers(1, 3))
        self.x = self.builder.conv2d(
            self.x,
            self.weights(int(self.rng.integers(1, 5)), size, size, self.channels),
            stride=(stride, 1),
            padding=self.padding(),
            activation=self.clamp(),
        )
        self.maybe_batch_norm()

    def _grouped(self) -> None:
        channels = self.channels
        self.x = self.builder.conv2d(
            self.x, self.weights(2 * channels, 1, 2, 1), self.weights(2 * channels), groups=channels
        )
        self.maybe_batch_norm()

    def _depthwise(self) -> None:
        self.x = self.builder.depthwise_conv2d(
            self.x, self.weights(1, 3, 3, self.channels), dilation=(1, 2), activation=self.clamp()
        )
        self.maybe_batch_norm()

    def maybe_batch_norm(self) -> None:
        node = self.builder._nodes[-1]
        if self.batch_norms and node.attributes["activation"] == "none":
            channels = self.channels
            variance = self.rng.uniform(0.1, 3, channels)
            constants = (self.weights(channels), self.weights(channels), self.weights(channels), variance)
            self.x = self.builder.batch_norm(self.x, *constants)

    def _batch_norm(self) -> None:
        self._conv2d()

    def _max_pool(self) -> None:
        self.x = self.builder.max_pool2d(self.x, (2, 2), (1, 2), "same", self.clamp())

    def _average_pool(self) -> None:
        self.x = self.builder.average_pool2d(self.x, (2, 3), (2, 1), "same", self.clamp())

    def _activation(self) -> None:
        self.x = self.builder.activation(self.x, self.clamp())

    def _pad(self) -> None:
        self.x = self.builder.pad(self.x, (1, 0, 0, 1))

    def _add(self) -> None:
        branch = self.x
        channels = self.channels
        self.x = self.builder.conv2d(self.x, self.weights(channels, 1, 1, channels))
        self.maybe_batch_norm()
        self.x = self.builder.add(branch, self.x, self.clamp())

    def _concat(self) -> None:
        branch = self.x
        self.x = self.builder.conv2d(self.x, self.weights(2, 3, 3, self.channels))
        self.maybe_batch_norm()
        if self.rng.random() < 0.5:
            self.x = self.builder.max_pool2d(self.x, (2, 2), (1, 1), "same")
        self.x = self.builder.concat((branch, self.x), -1)

    def _concat_input(self) -> None:
        if self.builder._tensors[self.x].shape == self.builder._tensors[self.image].shape:
            self.x = self.builder.concat((self.x, self.image), 1)

    def _reshape(self) -> None:
        height, width, channels = self.builder._tensors[self.x].shape
        self.x = self.builder.reshape(self.x, (width, height, channels))
