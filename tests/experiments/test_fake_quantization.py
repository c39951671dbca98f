"""The simulated network computes what the integer Program computes, and learns through its rounding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from fxpgrad.errors import GraphError, InputError
from fxpgrad.experiments.backprop import adapt_backprop, graph_parameters
from fxpgrad.experiments.fake_quantization import FakeQuantization, quantized_with, simulated_graph
from fxpgrad.experiments.torch_network import TorchNetwork
from fxpgrad.graph.graph import Graph
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.quantize import quantize
from tests.experiments.small_networks import learnable_data, residual_graph

torch = pytest.importorskip("torch", reason="torch is not installed")


def simulated_logits(
    graph: Graph, quantized: Graph, x: np.ndarray, parameters: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    network = TorchNetwork(graph, FakeQuantization(quantized, round_logits=True))
    return network.activations(parameters or {}, x, [graph.outputs[0]])[graph.outputs[0]].numpy()


def integer_logits(quantized: Graph, x: np.ndarray) -> np.ndarray:
    program = lower(quantized)
    return dequantize_output(program, run_program(program, quantize_input(program.tensors["x"], x)))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("per_channel", [True, False])
def test_forward_agrees_with_the_program_to_a_step(bits: int, per_channel: bool) -> None:
    graph, (x, _) = residual_graph(), learnable_data()
    quantized = quantize(graph, x, bits, per_channel=per_channel)
    step = float(quantized.tensors[graph.outputs[0]].quantization.scale[0])
    ours = simulated_logits(simulated_graph(graph, quantized), quantized, x)
    apart = np.abs(ours - integer_logits(quantized, x)) / step
    assert apart.max() <= 2.01
    assert (apart < 0.01).mean() > 0.8


def test_rounding_shows() -> None:
    graph, (x, _) = residual_graph(), learnable_data()
    quantized = quantize(graph, x, 8)
    same = simulated_graph(graph, quantized)
    plain = TorchNetwork(same).activations({}, x, [same.outputs[0]])[same.outputs[0]].numpy()
    assert np.abs(plain - simulated_logits(same, quantized, x)).max() > 1e-3


def test_gradients_pass_the_rounding_of_weights_and_stop_where_activations_saturate() -> None:
    graph, (x, _) = residual_graph(), learnable_data()
    rounding = FakeQuantization(quantize(graph, x, 8))
    weights = torch.tensor(graph_parameters(graph)["first/weights"] * 10, requires_grad=True)
    rounded = rounding.constant("first/weights", weights)
    rounded.sum().backward()
    assert (weights.grad == 1).all()
    assert rounded.abs().max() < weights.abs().max() / 5
    values = torch.tensor([[0.0, 1e6]], requires_grad=True)
    rounding.activation("x", values).sum().backward()
    assert values.grad.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(("scope", "gain"), [("lp", 0.1), ("ft", 0.7)])
def test_trained_weights_keep_what_they_learned_as_integers(scope: str, gain: float) -> None:
    graph, (x, y) = residual_graph(), learnable_data()
    quantized = quantize(graph, x, 8)
    same, rounding = simulated_graph(graph, quantized), FakeQuantization(quantized)
    trained = adapt_backprop(same, x, y, scope, 60, 0.01, batch=16, simulation=rounding)
    before = (integer_logits(quantized, x).argmax(1) == y).mean()
    after = integer_logits(quantized_with(quantized, trained), x)
    assert (after.argmax(1) == y).mean() > before + gain
    apart = np.abs(simulated_logits(same, quantized, x, trained) - after)
    assert apart.max() <= 2.01 * float(quantized.tensors[graph.outputs[0]].quantization.scale[0])


def test_what_does_not_fit_is_refused() -> None:
    graph, (x, y) = residual_graph(), learnable_data()
    quantized = quantize(graph, x, 8)
    with pytest.raises(GraphError, match="not quantized"):
        FakeQuantization(graph)
    with pytest.raises(InputError, match="has no conv2d first"):
        simulated_graph(Graph("other", {}, (), (), ()), quantized)
    with pytest.raises(InputError, match="factors cannot be rounded"):
        adapt_backprop(graph, x, y, "affine", 1, 0.1, simulation=FakeQuantization(quantized))
