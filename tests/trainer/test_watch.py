"""How far a loss rose, said of a whole run, is what the watch ends a run for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import TrainingError
from fxpgrad.trainer.report import StepReport
from fxpgrad.trainer.watch import Watch, greatest_rise, stopping_rise


def reports(losses: list[int]) -> list[StepReport]:
    """Steps of these losses, in 2**-2 nats a sample, each of which moved something."""
    return [StepReport(step, (loss << 22,), (), (), 0, 1, 0, 1) for step, loss in enumerate(losses)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.sampled_from([1, 2, 4]), st.integers(1, 50))
def test_watch_ends_the_runs_that_rise_too_far_and_no_others(losses, patience, classes):
    watch, steps, stopped = Watch(patience, 9, classes), reports(losses), False
    for step in steps:
        try:
            watch.observe(step)
        except TrainingError:
            stopped = True
            break
    assert stopped == (greatest_rise(steps, patience) > stopping_rise(classes))


def test_a_run_shorter_than_patience_has_not_risen():
    assert greatest_rise(reports([1, 40]), 3) == -math.inf
    assert greatest_rise(reports([4, 8, 12]), 2) == 1.5
