"""The epsilon ladder sees noise and curvature where they are."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.window import LADDER, LEAST_AGREEMENT, _correlation, _judged, measure_window
from tests.trainer.small_programs import image_program

AFFINE = TrainerConfig(scope="affine", num_directions=15, rows="split", distribution="rademacher", seed=3)
FULL = TrainerConfig(scope="ft", distribution="rademacher", seed=3)


@pytest.mark.parametrize(("bits", "config"), [(8, AFFINE), (16, FULL)])
def test_window_lies_between_noise_and_curvature(bits, config):
    program, x, y = image_program(bits)
    window = measure_window(program, config, LinearCrossEntropy(), x, y, len(x))
    assert window.epsilon is not None
    assert LADDER[0] < window.epsilon < LADDER[-1]
    agreements = [rung.agreement for rung in window.rungs[:-1]]
    assert max(agreements) >= LEAST_AGREEMENT
    assert agreements[0] < max(agreements)
    assert window.rungs[0].slope > window.rungs[agreements.index(max(agreements))].slope  # noise looks steep


def test_measuring_trains_nothing_and_counts_its_inferences():
    program, x, y = image_program(8)
    digest = program.constants_sha256()
    window = measure_window(program, AFFINE, LinearCrossEntropy(), x, y, len(x))
    assert program.constants_sha256() == digest
    assert window.forwards == 2 * len(window.rungs)


def test_the_same_directions_are_probed_on_every_rung():
    """A linear loss gives the same slope at every epsilon, exactly: there is nothing but agreement."""
    rng = np.random.default_rng(0)
    slopes = rng.normal(0, 1, 24)
    window = _judged([(epsilon, epsilon * slopes, 0.0) for epsilon in LADDER], "", 0)
    assert all(rung.agreement == pytest.approx(1) for rung in window.rungs[:-1])
    assert window.epsilon is not None


def test_noise_alone_has_no_window_and_says_so():
    rng = np.random.default_rng(0)
    window = _judged([(epsilon, rng.normal(0, 1, 200), 0.0) for epsilon in LADDER], "", 0)
    assert window.epsilon is None
    assert "no epsilon window" in window.reason


def test_clipped_probes_are_not_chosen():
    rng = np.random.default_rng(0)
    slopes = rng.normal(0, 1, 24)
    taken = [(epsilon, epsilon * slopes, 0.5 if epsilon > 1e-3 else 0.0) for epsilon in LADDER]
    window = _judged(taken, "", 0)
    assert window.epsilon is not None
    assert window.epsilon < 1e-3
    none = _judged([(epsilon, differences, 0.5) for epsilon, differences, _ in taken], "", 0)
    assert none.epsilon is None
    assert "headroom" in none.reason


def test_correlation_counts_signs_about_zero():
    ones = np.ones(5)
    assert _correlation(ones, 2 * ones) == pytest.approx(1)
    assert _correlation(ones, -ones) == pytest.approx(-1)
    assert _correlation(ones, np.zeros(5)) == 0


def test_too_little_data_is_named():
    program, x, y = image_program(8)
    with pytest.raises(InputError, match="29 samples cannot fill a batch of 30"):
        measure_window(program, AFFINE, LinearCrossEntropy(), x[:29], y[:29], 30)


def test_probing_a_step_is_what_the_step_then_does():
    program, x, y = image_program(8)
    trainer = Trainer(program, AFFINE, LinearCrossEntropy(), len(x))
    plus, minus, _ = trainer.probe(x, y)
    report = trainer.step(x, y)
    assert (report.losses_plus, report.losses_minus) == (plus, minus)


def test_an_exact_head_alone_has_no_epsilon():
    program, x, y = image_program(8)
    alone = TrainerConfig(scope="lp", head="exact")
    with pytest.raises(InputError, match="probes nothing"):
        measure_window(program, alone, LinearCrossEntropy(), x, y, len(x))
