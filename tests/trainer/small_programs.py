"""Small quantized classifiers and data for tests of the trainer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.head import with_accumulator_output
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import quantize_input
from fxpgrad.quantize import quantize, quantize_graph


def dense_data(samples: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Three noisy clusters in 8 dimensions."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(samples) % 3).astype(np.int32)
    centres = np.random.default_rng(99).normal(0, 1, (3, 8))
    return (centres[labels] + rng.normal(0, 0.4, (samples, 8))).astype(np.float32), labels


def dense_program(weight_bits: int = 16, seed: int = 1, headroom: float = 1.25, classes: int = 3) -> Program:
    """8 -> 12 -> classes, random weights, ends in int32 accumulators."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder("dense")
    x = builder.input("x", (8,))
    h = builder.fully_connected(
        x, rng.normal(0, 0.3, (12, 8)).astype(np.float32), np.zeros(12, np.float32), activation="relu"
    )
    last = rng.normal(0, 0.3, (classes, 12)).astype(np.float32)
    out = builder.fully_connected(h, last, np.zeros(classes, np.float32))
    # Ranges are given, not measured: no sum of floats, whose order a machine chooses, has a say.
    ranges = {x: (-3.0, 3.0), h: (0.0, 4.0), out: (-3.0, 3.0)}
    graph = quantize_graph(builder.build([out]), ranges, weight_bits, headroom=headroom)
    return with_accumulator_output(lower(graph))


def dense_integers(program: Program, samples: int = 24) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """The data in the Program's input integers."""
    x, y = dense_data(samples)
    return quantize_input(program.tensors[program.inputs[0]], x), y


def image_program(weight_bits: int = 16) -> tuple[Program, NDArray[np.int8], NDArray[np.int32]]:
    """A small residual convolutional classifier with every trainable layer kind, and data for it."""
    rng = np.random.default_rng(5)

    def weights(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    builder = GraphBuilder("image")
    x = builder.input("x", (6, 6, 2))
    a = builder.conv2d(x, weights(4, 3, 3, 2), weights(4), padding="same", activation="relu")
    b = builder.conv2d(x, weights(4, 1, 1, 2), weights(4), padding="same")
    c = builder.add(a, b)
    d = builder.depthwise_conv2d(c, weights(1, 3, 3, 4), weights(4), padding="same", activation="relu")
    e = builder.max_pool2d(d, (2, 2), (2, 2), "valid")
    f = builder.global_average_pool2d(e)
    out = builder.fully_connected(f, weights(3, 4), weights(3))
    images = rng.normal(0, 1, (30, 6, 6, 2)).astype(np.float32)
    labels = (np.arange(30) % 3).astype(np.int32)
    images[..., 0] += labels[:, None, None] - 1.0
    graph = quantize(builder.build([out]), images, weight_bits, headroom=1.25)
    program = with_accumulator_output(lower(graph))
    return program, quantize_input(program.tensors[program.inputs[0]], images), labels
