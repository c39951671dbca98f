"""Random Programs: random float Graphs, quantized and lowered; a function of the seed."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.quantize import quantize
from tests.graph.random_graphs import random_batch, random_graph


@functools.cache
def quantized_graph(seed: int, weight_bits: int = 0) -> Graph:
    """Return a random quantized Graph; 16-bit weights for even seeds, 8-bit for odd ones, if not told."""
    graph = random_graph(seed)
    return quantize(graph, random_batch(graph, seed), weight_bits or (8 if seed % 2 else 16))


def averages(seed: int) -> bool:
    """Whether the Graph of a seed averages over windows."""
    return any(node.op == "average_pool2d" for node in quantized_graph(seed).nodes)


def steep_sums(seed: int) -> bool:
    """Whether an add may reach 2**15 output steps, where LiteRT's vector code wraps."""
    graph = quantized_graph(seed)

    def scale(name: str) -> float:
        quantization = graph.tensors[name].quantization
        return 0.0 if quantization is None else float(quantization.scale[0])

    sums = (node for node in graph.nodes if node.op == "add")
    return any(sum(map(scale, node.inputs)) / scale(node.output) > 126 for node in sums)


@functools.cache
def random_program(seed: int, profile: str = "tflite_double", split: bool = False) -> Program:
    """Return the lowered Graph of a seed; skip the test if the profile has no integers for it."""
    if profile == "onnx_float32" and averages(seed):
        pytest.skip("ONNX Runtime averages windows in float32; lowering refuses them by name")
    if profile in ("tflite_x86_optimized", "xnnpack_float32") and steep_sums(seed):
        pytest.skip("LiteRT wraps sums of so many steps; lowering refuses them by name")
    return lower(quantized_graph(seed), profile, split=split)


def random_samples(program: Program, seed: int, batch: int = 3) -> NDArray[np.int8]:
    """Return int8 samples for the first input, the extremes planted in some of them."""
    rng = np.random.default_rng(seed)
    shape = (batch, *program.tensors[program.inputs[0]].shape)
    x = rng.integers(-128, 128, shape)
    extreme = rng.random(shape) < 0.2
    return np.where(extreme, rng.choice([-128, 127], shape), x).astype(np.int8)


def small_network(weight_bits: int = 16, classes: int = 3, seed: int = 0) -> tuple[Graph, Graph, Any]:
    """Return a tame image classifier: (float Graph, quantized Graph, its calibration batch)."""
    rng = np.random.default_rng(seed)
    net = GraphBuilder("small")
    x = net.input("image", (6, 5, 2))
    x = net.conv2d(x, rng.normal(size=(5, 3, 3, 2)) / 4, rng.normal(size=5) / 4, activation="relu6")
    y = net.depthwise_conv2d(x, rng.normal(size=(1, 3, 3, 5)) / 3, padding="same", activation="relu")
    x = net.add(x, y)
    x = net.global_average_pool2d(x)
    x = net.fully_connected(x, rng.normal(size=(classes, 5)), rng.normal(size=classes) / 4)
    graph = net.build(x)
    batch = rng.normal(size=(32, 6, 5, 2)).astype(np.float32)
    return graph, quantize(graph, batch, weight_bits), batch
