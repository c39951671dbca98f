"""Memory: integers as they are allocated, backpropagation as PyTorch would, and one figure of it."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.experiments.backprop import backprop_scratch_bytes
from fxpgrad.experiments.memory import memory_report
from fxpgrad.experiments.methods import METHODS, batch_of
from fxpgrad.program.head import attach_linear_head
from fxpgrad.program.plan import plan
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import attach_prototype_head, distance_scale, load_program, resnet12_graph
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer

BATCH = 25


@pytest.fixture(scope="module")
def program():
    return attach_linear_head(load_program("16w8a"), np.full((5, 64), 0.1), np.zeros(5))


@pytest.fixture(scope="module")
def by_name(program):
    return {method.name: method.scratch_bytes for method in memory_report(program, BATCH).methods}


@pytest.mark.parametrize("scope", ["lp", "ft"])
def test_backpropagation_is_counted_as_autograd_keeps_it(by_name, scope):
    """The Graph's count is compared with PyTorch's own hooks in test_backprop.py."""
    graph = attach_prototype_head(fold_batch_norm(resnet12_graph()), np.zeros((5, 64)), distance_scale())
    counted = backprop_scratch_bytes(graph, BATCH, scope)
    assert by_name[f"bp_{scope} float32"] == pytest.approx(counted, rel=0.03)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"split_ft"}))
def test_forward_gradients_are_what_the_trainer_allocates(program, by_name, name):
    config, size = batch_of(METHODS[name].config, BATCH, BATCH)
    assert by_name[name] == Trainer(program, config, LinearCrossEntropy(), size).scratch_bytes


def test_order_of_the_methods(program, by_name):
    assert by_name["inference"] == plan(program, BATCH).peak_bytes
    assert by_name["affine"] < by_name["inference"] < by_name["ff_ft"]
    assert by_name["bp_ft float16, checkpoints"] < by_name["bp_ft float32, checkpoints"]
    assert by_name["bp_ft float32, checkpoints"] < by_name["bp_ft float32"]
    assert by_name["bp_ft float32"] > 8 * by_name["ff_ft"]


def test_row_by_row_full_training_takes_a_twentieth_of_backpropagation(by_name):
    assert by_name["bp_ft float32"] > 20 * by_name["ff_ft, row by row"]
    assert by_name["ff_ft, row by row"] < by_name["inference"]


def test_split_bytes_are_for_eight_bits(by_name):
    assert by_name["split_ft"] is None


def test_layers_add_up(program):
    report = memory_report(program, BATCH)
    ft = next(method for method in report.methods if method.name == "bp_ft float32")
    kept = sum(4 * layer.kept + layer.winners + 4 * layer.gradients for layer in report.layers)
    assert ft.scratch_bytes == kept + 4 * BATCH * 5
    assert sum(layer.weights_bytes for layer in report.layers) == report.weights_bytes


def test_what_cannot_be_trained_says_why():
    report = memory_report(load_program("8w8a"), BATCH)
    method = next(method for method in report.methods if method.name == "ff_lp")
    assert method.scratch_bytes is None
    assert "fully connected" in method.reason


def test_figure_has_a_bar_for_each_possible_method(program):
    pytest.importorskip("matplotlib")
    from fxpgrad.experiments.memory_figure import plot_memory

    report = memory_report(program, BATCH)
    bars, layers = plot_memory(report).axes
    assert [text.get_text() for text in bars.get_yticklabels()] == [
        method.name for method in report.methods if method.scratch_bytes is not None
    ]
    assert len(layers.patches) == 3 * len(report.layers)
