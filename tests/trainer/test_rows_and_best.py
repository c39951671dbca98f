"""Rows one inference at a time are the same run; a run that turns hopeless keeps its best values."""

from __future__ import annotations

import dataclasses

import pytest

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.report import StepReport
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.watch import Watch
from tests.trainer.small_programs import image_program

FAST = TrainerConfig(epsilon=1e-2, learning_rate=2e-2, seed=3)


@pytest.mark.parametrize(
    "settings", [{}, {"head": "exact"}, {"scope": "lp", "head": "exact"}, {"rows": "split"}]
)
@pytest.mark.parametrize("how", [{}, {"threads": 2}, {"paired": True}])
def test_rows_one_inference_at_a_time_change_the_scratch_only(settings, how):
    program, x, y = image_program()
    config = dataclasses.replace(FAST, **settings)
    if config.rows == "split":
        config = dataclasses.replace(config, num_directions=5)
    whole = Trainer(program, config, LinearCrossEntropy(), len(x), **how)
    parts = Trainer(program, config, LinearCrossEntropy(), len(x), rows_at_once=3, **how)
    expected = whole.fit(x, y, 3)
    assert parts.fit(x, y, 3) == expected
    assert parts.adapted().constants_sha256() == whole.adapted().constants_sha256()
    assert parts.scratch_bytes < whole.scratch_bytes


def test_rows_that_do_not_divide_a_pass_are_refused():
    program, x, _ = image_program()
    for rows in (7, 0, 31, True):
        with pytest.raises(InputError, match=r"the rows of one inference must divide|rows_at_once must"):
            Trainer(program, FAST, LinearCrossEntropy(), len(x), rows_at_once=rows)


def test_a_run_that_turns_hopeless_goes_back_to_its_best_values():
    program, x, y = image_program()
    config = dataclasses.replace(FAST, relative=True, learning_rate=3e-2, patience=5)
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))

    def spoil(report):
        if report.step == 39:  # a rate that no run survives
            for item in trainer.trainables:
                item.real[:] *= 1e4
                item.set_rate(1.0)

    report = trainer.fit(x, y, 80, spoil, keep_best=True)
    assert "stopped at step" in report.stopped
    assert "the best" in report.stopped
    assert 40 <= len(report.steps) < 80
    best = Trainer(trainer.adapted(), config, LinearCrossEntropy(), len(x))
    start = Trainer(program, config, LinearCrossEntropy(), len(x))
    after, before = (
        sum(sum(losses) for losses in one.probe(one.features(x), y)[:2]) for one in (best, start)
    )
    assert after < before
    with pytest.raises(TrainingError, match="stopped at step"):
        Trainer(program, dataclasses.replace(config, learning_rate=1e3), LinearCrossEntropy(), len(x)).fit(
            x, y, 80, keep_best=True
        )


def test_a_run_whose_steps_have_become_too_small_is_done_and_one_that_never_moved_is_hopeless():
    def report(number, moved):
        return StepReport(number, (2**24,), (2**24 - 9,), (1,), 0, moved, 0, 1)

    watch = Watch(3, 10, 2)
    for number in range(50):
        watch.observe(report(number, int(number == 0)))
    watch = Watch(3, 10, 2)
    watch.observe(report(0, 0))
    watch.observe(report(1, 0))
    with pytest.raises(TrainingError, match="no weight moved"):
        watch.observe(report(2, 0))
