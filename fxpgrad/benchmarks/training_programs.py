"""Networks with random weights, for timing training steps: no data is needed, nothing is learned."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.quantize import quantize

CLASSES = 10
_SAMPLES = 4  # of calibration
LAST_BLOCK = "block3"  # the prefix of the calls of ResNet-8's last residual block


def dense_graph(width: int) -> Graph:
    """Return width -> width -> 10."""
    rng = np.random.default_rng(width)
    builder = GraphBuilder(f"dense {width}²")
    x = builder.input("x", (width,))
    hidden = builder.fully_connected(x, _normal(rng, (width, width)), activation="relu")
    return builder.build(builder.fully_connected(hidden, _normal(rng, (CLASSES, width))))


def resnet8_graph(channels: int = 16, size: int = 32) -> Graph:
    """Return the geometry of MLPerf Tiny's ResNet-8: three residual blocks, the last two of stride 2."""
    rng = np.random.default_rng(channels)
    builder = GraphBuilder("ResNet-8" if channels == 16 else f"ResNet-8, {channels} channels")

    def conv(x: str, inputs: int, outputs: int, kernel: int, stride: int, name: str, relu: bool) -> str:
        weights = _normal(rng, (outputs, kernel, kernel, inputs))
        activation = "relu" if relu else "none"
        return builder.conv2d(x, weights, stride=(stride, stride), activation=activation, name=name)

    x = builder.input("x", (size, size, 3))
    x = conv(x, 3, channels, 3, 1, "stem", True)
    inputs = channels
    for block, outputs in enumerate((channels, 2 * channels, 4 * channels), start=1):
        stride, name = 1 if block == 1 else 2, f"block{block}"
        y = conv(x, inputs, outputs, 3, stride, f"{name}_first", True)
        y = conv(y, outputs, outputs, 3, 1, f"{name}_second", False)
        if stride > 1:
            x = conv(x, inputs, outputs, 1, stride, f"{name}_shortcut", False)
        x = builder.add(x, y, "relu", name=f"{name}_sum")
        inputs = outputs
    x = builder.global_average_pool2d(x)
    return builder.build(builder.fully_connected(x, _normal(rng, (CLASSES, inputs))))


@functools.lru_cache(maxsize=4)
def training_program(network: str, width: int, weight_bits: Literal[8, 16] = 16) -> Program:
    """Return a Program that ends in accumulators: "dense" of a width, or "resnet8" of as many channels."""
    graph = dense_graph(width) if network == "dense" else resnet8_graph(width)
    shape = graph.tensors[graph.inputs[0]].shape
    samples = np.random.default_rng(0).normal(0, 1, (_SAMPLES, *shape)).astype(np.float32)
    headroom = 1.0 if weight_bits == 8 else 1.25
    return with_accumulator_output(lower(quantize(graph, samples, weight_bits, headroom=headroom)))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    inner = int(np.prod(shape[1:]))
    return rng.normal(0, 1 / np.sqrt(inner), shape).astype(np.float32)
