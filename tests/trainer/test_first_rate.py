"""Short runs find a rate: of forward gradients, or of the exact head, for which a body runs once a sample."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.lower import lower
from fxpgrad.trainer import first_rate, trainer
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.first_rate import (
    HEAD_RATES,
    RATES,
    FirstRate,
    RateTrial,
    _lowest,
    mean_loss,
    measure_head_rate,
    measure_rate,
    rows_of_all_classes,
    samples_for_head_rate,
)
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.watch import Watch, stopping_rise
from tests.kernels.tflm_weighted import weighted_cases
from tests.program.weighted_graphs import svdf_graph
from tests.trainer.small_programs import dense_integers, dense_program, image_program

AFFINE = TrainerConfig(
    scope="affine", num_directions=15, rows="split", distribution="rademacher", epsilon=3e-2, seed=3
)
HEAD = TrainerConfig(scope="lp", head="exact", schedule="linear", seed=3)


def searched(x, y, steps=40, **settings) -> FirstRate:
    """The search on the small image network, in batches of 10."""
    program, _, _ = image_program(8)
    config = dataclasses.replace(HEAD, **settings)
    return measure_head_rate(program, config, LinearCrossEntropy(), x, y, 10, steps)


def test_first_rate_lowers_the_loss_of_unseen_samples():
    program, x, y = image_program(8)
    found = measure_rate(program, AFFINE, LinearCrossEntropy(), x, y, len(x))
    assert [trial.rate for trial in found.trials] == list(RATES)
    assert found.rate is not None
    best = min(trial.after for trial in found.trials if trial.after is not None)
    lowest = next(trial for trial in found.trials if trial.after == best)
    assert best < lowest.before
    assert found.rate == RATES[max(0, RATES.index(lowest.rate) - 1)]
    passes = 2 * 24 * len(RATES) * 15  # of half the batch each, 15 directions of a sample
    assert found.forwards == (passes + 7 * (len(x) // 2) + len(x) - 1) // len(x)


def test_head_rate_is_that_of_the_lowest_loss_of_unseen_samples():
    _, x, y = image_program(8)
    found = searched(x, y)
    assert [trial.rate for trial in found.trials] == list(HEAD_RATES)
    finished = {trial.rate: trial.after for trial in found.trials if trial.after is not None}
    assert found.rate == min(finished, key=finished.__getitem__)
    assert finished[found.rate] < found.trials[0].before


def test_a_trial_is_a_run_of_the_whole_program():
    program, x, y = image_program(8)
    config = dataclasses.replace(HEAD, rounding="nearest")
    found = measure_head_rate(program, config, LinearCrossEntropy(), x, y, 10, 12)
    order = np.argsort(y, kind="stable")
    seen, held = np.sort(order[::2]), np.sort(order[1::2])
    for trial in found.trials:
        own = dataclasses.replace(config, head_rate=trial.rate)
        one = Trainer(program, own, LinearCrossEntropy(), 10)
        try:
            one.fit(x[seen], y[seen], 12)
        except TrainingError:
            assert trial.after is None
            continue
        assert trial.before == mean_loss(program, LinearCrossEntropy(), x[held], y[held])
        assert trial.after == mean_loss(one.adapted(), LinearCrossEntropy(), x[held], y[held])


def test_what_lies_before_the_head_runs_once_for_each_sample(monkeypatch):
    _, x, y = image_program(8)
    rows = {True: 0, False: 0}  # by whether a Program is the head alone
    run = first_rate.run_program

    def counted(program, x):
        rows[len(program.calls) == 1] += len(x)
        return run(program, x)

    for module in (first_rate, trainer):
        monkeypatch.setattr(module, "run_program", counted)
    found = searched(x, y)
    assert rows[False] == len(x)
    finished = [trial for trial in found.trials if trial.after is not None]
    assert rows[True] == (1 + len(finished)) * (len(x) // 2)


@pytest.mark.parametrize("settings", [{}, {"scope": "affine", "rows": "split", "num_directions": 10}])
def test_search_is_the_same_every_time_and_whatever_the_body_learns(settings):
    _, x, y = image_program(8)
    assert searched(x, y, **settings) == searched(x, y)


def test_another_seed_rounds_otherwise():
    _, x, y = image_program(8)
    assert searched(x, y, seed=4).trials != searched(x, y).trials


def test_equal_losses_take_the_lower_rate_and_stopped_runs_are_out():
    trials = [
        RateTrial(1, 2.0, 1.5),
        RateTrial(3, 2.0, 1.25),
        RateTrial(10, 2.0, 1.25),
        RateTrial(30, 2.0, None),
    ]
    assert _lowest(tuple(trials)) == 3
    assert _lowest(tuple(trials[3:])) is None
    assert _lowest((RateTrial(1, 2.0, 2.0), RateTrial(3, 2.0, 2.5))) is None


def test_a_head_that_cannot_move_has_no_rate():
    program, x, y = image_program(8)
    frozen = frozenset(program.calls[-1].constants[role] for role in ("weights", "bias"))
    found = measure_head_rate(program, HEAD, LinearCrossEntropy(), x, y, 10, 5, frozen=frozen)
    assert found.rate is None
    assert all(trial.after == trial.before for trial in found.trials)


def test_a_run_that_the_watch_ends_is_no_choice(monkeypatch):
    _, x, y = image_program(8)
    steps = []

    def give_up(watch, report):
        steps.append(report)
        if len(steps) > 2 * 40:
            raise TrainingError("stopped by this test")

    monkeypatch.setattr(Watch, "observe", give_up)
    found = searched(x, y)
    assert [trial.after is None for trial in found.trials] == [False, False, True, True, True]
    assert found.rate in (1, 3)


def test_a_run_that_came_near_to_being_stopped_is_no_choice(monkeypatch):
    """On the other half of the samples it would be: half of the rise that ends a run is too much."""
    program, x, y = image_program(8)
    limit = stopping_rise(program.tensors[program.outputs[0]].elements)
    rises = iter([-math.inf, limit / 2, 0.51 * limit, limit, 0.0])
    monkeypatch.setattr(first_rate, "greatest_rise", lambda *_: next(rises))
    steady = searched(x, y, steps=3)
    assert [trial.after is None for trial in steady.trials[:4]] == [False, False, True, True]


def test_long_runs_are_tried_for_a_thousand_steps():
    program = dense_program(8)
    x, y = dense_integers(program)
    given = program, HEAD, LinearCrossEntropy(), x, y, 4
    assert measure_head_rate(*given, 1000) == measure_head_rate(*given, 10**6)


def test_labels_in_turns_are_no_trouble():
    """Every second sample of two classes in turns is one class: halves are taken class by class."""
    program = dense_program(8)
    x, y = dense_integers(program, 60)
    rows = np.stack([np.flatnonzero(y == 0), np.flatnonzero(y == 1)], axis=1).reshape(-1)
    found = measure_head_rate(program, HEAD, LinearCrossEntropy(), x[rows], y[rows], 10, 40)
    assert found.rate is not None


@pytest.mark.parametrize("forwards", [4, 9, 30.7])
def test_search_takes_what_it_may(forwards):
    program, x, y = image_program(8)
    count = samples_for_head_rate(program, 3, 20, forwards)
    assert count >= 2
    x, y = np.tile(x, (9, 1, 1, 1)), np.tile(y, 9)
    rows = rows_of_all_classes(y, min(count, len(y)))
    found = measure_head_rate(program, HEAD, LinearCrossEntropy(), x[rows], y[rows], 3, 20)
    assert len(rows) / 3 < found.forwards <= forwards
    assert samples_for_head_rate(program, 3, 20, 0) == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_rows_are_spread_over_classes_as_the_samples_are(labels, data):
    y = np.array(labels, np.int32)
    count = data.draw(st.integers(1, len(y)))
    rows = rows_of_all_classes(y, count)
    assert len(rows) == count
    assert (np.diff(rows) > 0).all()
    for label in set(labels):
        assert abs(int((y[rows] == label).sum()) * len(y) - count * labels.count(label)) < len(y)


def test_a_stateful_network_is_refused():
    stateful = lower(svdf_graph(weighted_cases("svdf_a8")[0]))
    info = stateful.tensors[stateful.inputs[0]]
    with pytest.raises(TrainingError, match="keeps state from row to row"):
        measure_head_rate(
            stateful,
            HEAD,
            LinearCrossEntropy(),
            np.zeros((9, *info.shape), info.dtype),
            np.zeros(9, np.int32),
            3,
            5,
        )


def test_too_little_data_is_named():
    program, x, y = image_program(8)
    for measure, more in ((measure_rate, ()), (measure_head_rate, (5,))):
        with pytest.raises(InputError, match="at least two samples"):
            measure(program, HEAD, LinearCrossEntropy(), x[:1], y[:1], 1, *more)
