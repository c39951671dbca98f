"""Operators in PyTorch where PyTorch's own form of them is at fault."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")


@pytest.mark.parametrize(("side", "channels"), [(84, 12), (9, 3)])
def test_a_strided_one_by_one_convolution_learns_without_harm(side: int, channels: int) -> None:
    """PyTorch 2.13's own form of it writes outside its arrays at 84; runs in a process of its own."""
    program = f"""
import numpy as np
from fxpgrad.experiments.backprop import adapt_backprop, graph_parameters, torch_forward
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.float_execution import run_float_outputs
rng = np.random.default_rng(0)
draw = lambda *shape: rng.normal(0, 0.3, shape).astype(np.float32)
builder = GraphBuilder("strided")
x = builder.input("x", ({side}, {side}, {channels}))
x = builder.conv2d(x, draw({channels}, 1, 1, {channels}), draw({channels}))
x = builder.conv2d(x, draw(24, 1, 1, {channels}), draw(24), stride=(2, 2), activation="relu")
x = builder.global_average_pool2d(x)
graph = builder.build(builder.fully_connected(x, draw(5, 24), draw(5), name="logits"))
images, labels = draw(25, {side}, {side}, {channels}), (np.arange(25) % 5).astype(np.int32)
found = torch_forward(graph, dict(), images).numpy()
assert np.allclose(found, run_float_outputs(graph, images)[0], atol=1e-4)
after = adapt_backprop(graph, images, labels, "ft", 6, 1e-3, "adam", 25)
before = graph_parameters(graph)
assert all(np.isfinite(values).all() for values in after.values())
assert all((after[name] != before[name]).any() for name in before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
