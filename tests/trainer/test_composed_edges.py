"""Composed directions at their edges: nothing left to train, rates too large, proofs."""

from __future__ import annotations

import dataclasses

import pytest

from fxpgrad.errors import TrainingError
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.probe import Probe
from fxpgrad.trainer.scopes import make_trainables
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.widths import AccumulatorWidths, _bound
from tests.trainer.small_programs import dense_program, image_program
from tests.trainer.test_composed import BASE, PARTS, bits_of, trained


@pytest.mark.parametrize("rows", ["shared", "split"])
@pytest.mark.parametrize("more", [{}, {"momentum": 0.5}])
def test_gains_alone_can_be_trained(rows, more):
    program, x, y = image_program(8)
    config = dataclasses.replace(BASE, scope="affine", train_bias=False, rows=rows, **more)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    report = trainer.fit(x, y, 3)
    assert {item.role for item in trainer.trainables} == {"gain"}
    assert sum(step.moved for step in report.steps) > 0


def test_a_run_in_which_nothing_is_left_to_train_is_refused():
    program = dense_program(16)
    config = dataclasses.replace(BASE, scope="lp")
    names = frozenset(item.name for item in make_trainables(program, config))
    with pytest.raises(TrainingError, match="nothing is left to train in the scope lp"):
        Trainer(program, config, LinearCrossEntropy(), 24, frozen=names)


def test_decay_leaves_dead_channels_alone():
    program, _, _ = image_program(16)
    config = dataclasses.replace(BASE, weight_decay=0.5)
    for item in make_trainables(program, config):
        dead = dataclasses.replace(item, real=item.real * 0)
        dead.set_rate(1.0)
        assert not dead.parts.decay.any()
        item.set_rate(1.0)
        assert item.parts.decay.all() == (item.role == "weights")


@pytest.mark.parametrize(
    "settings", [{"learning_rate": 1e308}, {"learning_rate": 1e9, "weight_decay": 1e3, "epsilon": 1e-2}]
)
def test_rates_beyond_all_integers_are_refused(settings):
    program, _, _ = image_program(16)
    with pytest.raises(TrainingError, match="learning rate too large"):
        make_trainables(program, dataclasses.replace(BASE, **settings))


def test_values_that_are_put_back_are_proved_anew():
    trainer, _ = trained("momentum")
    trainer._widths._due = [10**9] * len(trainer._widths._due)
    trainer._widths.forget()
    assert set(trainer._widths.choose(trainer.steps_taken)) == {item.call for item in trainer.trainables}
    assert all(due > trainer.steps_taken for due in trainer._widths._due)


@pytest.mark.parametrize("name", ["all", "split bytes", "look ahead", "blocks, momentum, centres"])
def test_accumulators_are_proved_for_what_composed_probes_really_are(name, monkeypatch):
    """The last layer's perturbed values lie in its scratch after a pass: none exceeds the proved bound."""
    limits, seen = {}, []
    required, run = AccumulatorWidths._required, Probe.run

    def prove(self, layer, limit):
        limits[layer.call.name] = limit
        return required(self, layer, limit)

    def check(self, features, step, direction, signs, widths):
        executors, clipped = run(self, features, step, direction, signs, widths)
        call = [call for call in self.program.calls if call.name in self._trained][-1]
        layer = next(layer for layer in layers if layer.call.name == call.name)
        for scratch, executor in zip(self._scratch, executors, strict=False):
            values, _ = scratch.views(executor, call, self._trained[call.name])
            bound = _bound(layer, values["weights"].reshape(layer.weights.shape), values["bias"])
            seen.append(bound <= limits[call.name] + step * layer.growth)
        return executors, clipped

    monkeypatch.setattr(AccumulatorWidths, "_required", prove)
    monkeypatch.setattr(Probe, "run", check)
    program, x, y = image_program(bits_of(name))
    config = dataclasses.replace(BASE, **PARTS[name], epsilon=0.5)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    layers = trainer._widths._layers
    for _ in range(4):
        trainer.step(trainer.features(x), y)
    assert len(seen) >= 16
    assert all(seen)


def test_probes_that_all_round_to_nothing_are_refused_in_every_scope():
    program, _, _ = image_program(8)
    with pytest.raises(TrainingError, match="zero steps of all that the scope affine trains"):
        make_trainables(program, dataclasses.replace(BASE, scope="affine", epsilon=1e-30))
