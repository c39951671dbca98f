"""Laws of the integer cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.loss import LIMIT, any_logits, linear_case
from fxpgrad_kernels.loss.cross_entropy import cross_entropy_linear, cross_entropy_logits
from fxpgrad_kernels.loss.cross_entropy_ref import (
    clamp_logit_ref,
    cross_entropy_linear_ref,
    cross_entropy_logits_ref,
    exp_negative_ref,
    ln_ref,
    round_up_ref,
)
from tests.kernels.drawn import generators

ONE = 2**24
Losses = NDArray[np.int64]
Implementation = Callable[[NDArray[np.int64], NDArray[np.int32]], Losses]


def by_kernel(logits: Losses, labels: NDArray[np.int32]) -> Losses:
    losses = np.full(len(labels), -7, np.int64)
    assert cross_entropy_logits(logits, labels, losses) == losses.sum()
    return losses


def check_losses(implementation: Implementation, logits: Losses, labels: NDArray[np.int32]) -> None:
    np.testing.assert_array_equal(implementation(logits, labels), cross_entropy_logits_ref(logits, labels))


def exact(logits: Losses, labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the loss in nats; the maximum is subtracted in integers, so float64 is good to 1e-13."""
    clamped = np.clip(logits, -LIMIT, LIMIT)
    rows = np.arange(len(labels))
    largest = clamped.max(axis=1)
    sums = np.exp((clamped - largest[:, None]) / ONE).sum(axis=1)
    return np.log(sums) + (largest - clamped[rows, labels]) / ONE


@given(generators)
def test_losses_equal_definition(rng):
    check_losses(by_kernel, *any_logits(rng))


@given(generators)
def test_error_is_below_four_parts_in_a_hundred_million(rng):
    classes = int(rng.choice([1, 2, 10, 100, 1024]))
    logits, labels = any_logits(rng, classes)
    assert np.abs(by_kernel(logits, labels) / ONE - exact(logits, labels)).max() <= 4e-8 + 1e-15 * LIMIT / ONE


@given(generators)
def test_error_is_bounded_for_a_thousand_near_equal_logits(rng):
    """The sum of exponentials at its largest."""
    logits = rng.integers(-ONE // 100, ONE // 100, (2, 1024))
    labels = rng.integers(0, 1024, 2).astype(np.int32)
    assert np.abs(by_kernel(logits, labels) / ONE - exact(logits, labels)).max() <= 4e-8


@given(generators)
def test_adding_a_constant_to_all_logits_changes_nothing(rng):
    logits, labels = any_logits(rng)
    logits = np.clip(logits, -LIMIT // 2, LIMIT // 2)
    shifted = logits + int(rng.integers(-LIMIT // 2, LIMIT // 2))
    np.testing.assert_array_equal(by_kernel(shifted, labels), by_kernel(logits, labels))


@given(generators)
def test_permuting_the_classes_changes_nothing(rng):
    logits, labels = any_logits(rng)
    order = rng.permutation(logits.shape[1])
    places = np.argsort(order).astype(np.int32)
    moved = by_kernel(np.ascontiguousarray(logits[:, order]), places[labels])
    np.testing.assert_array_equal(moved, by_kernel(logits, labels))


@given(generators)
def test_loss_is_not_negative_and_at_most_the_spread_and_ln_n(rng):
    logits, labels = any_logits(rng)
    losses = by_kernel(logits, labels)
    assert (losses >= 0).all()
    clamped = np.clip(logits, -LIMIT, LIMIT)
    spread = clamped.max(axis=1) - clamped[np.arange(len(labels)), labels]
    assert (losses >= spread).all()
    assert (losses <= spread + round(np.log(logits.shape[1]) * ONE) + 1).all()


@given(generators)
def test_raising_the_label_never_raises_the_loss(rng):
    """To within one unit of Q24 (6e-8 nats), the rounding of the result."""
    logits, labels = any_logits(rng)
    raised = np.clip(logits, -LIMIT, LIMIT)
    raised[np.arange(len(labels)), labels] += int(rng.choice([1, 2, 100, ONE, 30 * ONE]))
    assert (by_kernel(raised, labels) <= by_kernel(logits, labels) + 1).all()


@given(generators)
def test_raising_another_class_never_lowers_the_loss(rng):
    logits, labels = any_logits(rng, int(rng.integers(2, 12)))
    raised = np.clip(logits, -LIMIT, LIMIT)
    raised[np.arange(len(labels)), (labels + 1) % logits.shape[1]] += int(
        rng.choice([1, 2, 100, ONE, 30 * ONE])
    )
    assert (by_kernel(raised, labels) >= by_kernel(logits, labels) - 1).all()


def test_equal_logits_cost_ln_n():
    for classes in (1, 2, 4, 8, 1024):
        losses = by_kernel(np.full((1, classes), 12345), np.zeros(1, np.int32))
        assert losses[0] == round(np.log(classes) * ONE)


def test_one_step_of_q24_is_seen():
    """A logit moved by 2**-24 nats moves the loss: a sign of the loss difference exists."""
    labels = np.zeros(1, np.int32)
    here = by_kernel(np.array([[0, 5 * ONE]]), labels)
    assert by_kernel(np.array([[1, 5 * ONE]]), labels) == here - 1


# --- the linear form


@given(generators)
def test_linear_equals_definition(rng):
    case = linear_case(rng)
    losses = np.full(len(case[3]), -7, np.int64)
    assert cross_entropy_linear(*case, losses) == losses.sum()
    np.testing.assert_array_equal(losses, cross_entropy_linear_ref(*case))


@given(generators)
def test_linear_equals_logits_of_the_scaled_accumulators(rng):
    accumulators, multiplier, shift, labels = linear_case(rng)
    logits = [
        [
            clamp_logit_ref(round_up_ref(int(a) * int(m), 31 - int(s)))
            for a, m, s in zip(row, multiplier, shift, strict=True)
        ]
        for row in accumulators
    ]
    losses = np.zeros(len(labels), np.int64)
    cross_entropy_linear(accumulators, multiplier, shift, labels, losses)
    np.testing.assert_array_equal(losses, by_kernel(np.array(logits), labels))


@pytest.mark.parametrize("shift", range(-31, 31))
@pytest.mark.parametrize("multiplier", [2**30, 2**31 - 1])
def test_linear_at_every_legal_shift_and_extreme_accumulator(shift, multiplier):
    accumulators = np.array([[-(2**31), 2**31 - 1, 0, 3]], np.int32)
    constants = np.full(4, multiplier, np.int32), np.full(4, shift, np.int32)
    for label in range(4):
        labels, losses = np.array([label], np.int32), np.zeros(1, np.int64)
        cross_entropy_linear(accumulators, *constants, labels, losses)
        np.testing.assert_array_equal(losses, cross_entropy_linear_ref(accumulators, *constants, labels))


def test_linear_is_not_cut_to_eight_bits():
    """Logits of +-30 nats in steps of 2**-10: an int8 output would saturate and hide the change."""
    multiplier, shift = np.full(2, 2**30, np.int32), np.full(2, 15, np.int32)
    losses, labels = np.zeros(1, np.int64), np.zeros(1, np.int32)
    sums = [
        cross_entropy_linear(np.array([[a, 0]], np.int32), multiplier, shift, labels, losses)
        for a in (-30720, -30719)
    ]
    assert sums[0] - sums[1] == 2**14


# --- planted faults


def mutant(
    exp: Callable[[int], int] = exp_negative_ref,
    ln: Callable[[int], int] = ln_ref,
    *,
    clamp: bool = True,
    half: int = 128,
    from_largest: bool = True,
) -> Implementation:
    def run(logits: Losses, labels: NDArray[np.int32]) -> Losses:
        losses = []
        for row, label in zip(logits.tolist(), labels, strict=True):
            values = [clamp_logit_ref(v) if clamp else v for v in row]
            largest = max(values) if from_largest else values[0]
            total = max(2**40, sum(exp(max(0, largest - v)) for v in values))
            losses.append((ln(total) + half) // 256 + largest - values[label])
        return np.array([min(max(loss, -(2**62)), 2**62) for loss in losses])

    return run


def exp_without_fine_table(x: int) -> int:
    return exp_negative_ref(x >> 18 << 18)


def exp_without_square(x: int) -> int:
    rest = x & 4095
    return exp_negative_ref(x - rest) * (2**31 - (rest << 7)) >> 31


def exp_cut_early(x: int) -> int:
    return exp_negative_ref(x) if x < 8 * ONE else 0


def ln_without_segment(value: int) -> int:
    return (value.bit_length() - 41) * 2977044472


MUTANTS = {
    "exp without fine table": mutant(exp_without_fine_table),
    "exp without square": mutant(exp_without_square),
    "exp cut early": mutant(exp_cut_early),
    "ln without segment": mutant(ln=ln_without_segment),
    "no clamp": mutant(clamp=False),
    "floor for nearest": mutant(half=0),
    "first class for the largest": mutant(from_largest=False),
}


def is_caught(implementation: Implementation) -> bool:
    for seed in range(300):
        try:
            check_losses(implementation, *any_logits(np.random.default_rng(seed)))
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_comparison_catches_a_planted_fault(name):
    assert is_caught(MUTANTS[name])


def test_comparison_passes_without_a_fault():
    assert not is_caught(mutant())
