"""Laws of the prototype kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.loss import embeddings_case
from fxpgrad_kernels.loss.cross_entropy import cross_entropy_logits
from fxpgrad_kernels.loss.prototypes import cross_entropy_prototypes, prototype_distances, prototype_sums
from fxpgrad_kernels.loss.prototypes_ref import (
    cross_entropy_prototypes_ref,
    prototype_distances_ref,
    prototype_sums_ref,
)
from tests.kernels.drawn import generators

EMPTY = 2**63 - 1
Case = dict[str, Any]
Result = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]
Implementation = Callable[[Case], Result]


def by_kernel(case: Case) -> Result:
    features = case["embeddings"].shape[1]
    sums = np.full((case["classes"], features), 99, np.int32)
    counts = np.full(case["classes"], 99, np.int32)
    losses = np.full(len(case["labels"]), -7, np.int64)
    constants = case["multiplier"], case["shift"]
    total = cross_entropy_prototypes(
        case["embeddings"], case["labels"], *constants, sums, counts, losses, case["leave_one_out"]
    )
    assert total == losses.sum()
    return sums, counts, losses


def by_definition(case: Case) -> Result:
    names = ("embeddings", "labels", "multiplier", "shift", "leave_one_out")
    return cross_entropy_prototypes_ref(*(case[name] for name in names), output_size=case["classes"])


def check_prototypes(implementation: Implementation, case: Case) -> None:
    for actual, expected in zip(implementation(case), by_definition(case), strict=True):
        np.testing.assert_array_equal(actual, expected)


def distances_of(
    queries: NDArray[np.int8], sums: NDArray[np.int32], counts: NDArray[np.int32]
) -> NDArray[np.int64]:
    output = np.full((len(queries), len(counts)), -7, np.int64)
    prototype_distances(queries, sums, counts, output)
    return output


@given(generators)
def test_prototype_loss_equals_definition(rng):
    check_prototypes(by_kernel, embeddings_case(rng))


@given(generators)
def test_sums_and_counts_equal_definition(rng):
    case = embeddings_case(rng)
    sums = np.full((case["classes"], case["embeddings"].shape[1]), 99, np.int32)
    counts = np.full(case["classes"], 99, np.int32)
    prototype_sums(case["embeddings"], case["labels"], sums, counts)
    expected = prototype_sums_ref(case["embeddings"], case["labels"], output_size=case["classes"])
    np.testing.assert_array_equal(sums, expected[0])
    np.testing.assert_array_equal(counts, expected[1])


@given(generators)
def test_distances_equal_definition_and_empty_classes_are_farthest(rng):
    case = embeddings_case(rng)
    sums, counts = prototype_sums_ref(case["embeddings"], case["labels"], output_size=case["classes"])
    queries = rng.integers(-128, 128, (3, sums.shape[1])).astype(np.int8)
    distances = distances_of(queries, sums, counts)
    np.testing.assert_array_equal(distances, prototype_distances_ref(queries, sums, counts))
    assert (distances[:, counts == 0] == EMPTY).all()
    assert ((distances[:, counts > 0] >= 0) & (distances[:, counts > 0] < 2**46)).all()


@given(generators)
def test_a_zero_point_cancels(rng):
    """The same shift of every embedding changes no distance and no loss."""
    case = embeddings_case(rng)
    case["embeddings"] = rng.integers(-60, 60, case["embeddings"].shape).astype(np.int8)
    moved = case | {"embeddings": case["embeddings"] + np.int8(rng.integers(-60, 60))}
    np.testing.assert_array_equal(by_kernel(moved)[2], by_kernel(case)[2])


@given(generators)
def test_order_of_the_batch_does_not_matter(rng):
    case = embeddings_case(rng)
    order = rng.permutation(len(case["labels"]))
    moved = case | {"embeddings": case["embeddings"][order], "labels": case["labels"][order]}
    np.testing.assert_array_equal(by_kernel(moved)[2], by_kernel(case)[2][order])


@given(generators)
def test_without_leaving_out_the_loss_is_that_of_the_distances(rng):
    """With the factor 2**16 the logits are minus the Q16 distances, exactly."""
    case = embeddings_case(rng) | {"leave_one_out": 0}
    case |= {"multiplier": np.array([2**30], np.int32), "shift": np.array([17], np.int32)}
    sums, counts, losses = by_kernel(case)
    logits = -distances_of(case["embeddings"], sums, counts)[:, counts > 0]
    places = (np.cumsum(counts > 0) - 1).astype(np.int32)
    expected = np.zeros_like(losses)
    cross_entropy_logits(np.ascontiguousarray(logits), places[case["labels"]], expected)
    np.testing.assert_array_equal(losses, expected)


def test_leaving_out_excludes_the_sample_from_its_own_mean():
    case: Case = {
        "embeddings": np.array([[0], [10], [100], [110]], np.int8),
        "labels": np.array([0, 0, 1, 1], np.int32),
        "multiplier": np.array([2**30], np.int32),
        "shift": np.array([25 - 8], np.int32),  # Q24 logit = 2**16 times the squared distance
        "classes": 2,
    }
    kept, left_out = (by_kernel(case | {"leave_one_out": flag})[2] for flag in (0, 1))
    # distances of sample 0: own 5**2 or 10**2, other 105**2; both losses vanish at 1/256 nat a unit
    unit = 2.0**16 / 2**24
    for losses, own in ((kept, 25), (left_out, 100)):
        exact = np.log1p(np.exp(-unit * (105**2 - own)))
        assert abs(losses[0] / 2**24 - exact) < 2e-7


def test_a_class_of_one_keeps_its_sample():
    case = embeddings_case(np.random.default_rng(1))
    case |= {"labels": np.arange(len(case["labels"]), dtype=np.int32), "classes": len(case["labels"])}
    kept, left_out = (by_kernel(case | {"leave_one_out": flag})[2] for flag in (0, 1))
    np.testing.assert_array_equal(kept, left_out)


def test_the_largest_case_does_not_overflow():
    """MAX_BATCH samples of MAX_FEATURES features, by their sums: 2**16 of them at the extremes."""
    sums = np.full((1, 2**14), -128 * 2**16, np.int32)
    counts = np.array([2**16], np.int32)
    queries = np.full((1, 2**14), 127, np.int8)
    np.testing.assert_array_equal(distances_of(queries, sums, counts), [[2**14 * 255**2 * 2**16]])


@pytest.mark.parametrize("shift", range(-31, 31))
def test_every_legal_shift_at_the_largest_distance(shift):
    case: Case = {
        "embeddings": np.array([[-128] * 64, [127] * 64, [127] * 64], np.int8),
        "labels": np.array([0, 0, 1], np.int32),
        "multiplier": np.array([2**31 - 1], np.int32),
        "shift": np.array([shift], np.int32),
        "leave_one_out": 1,
        "classes": 2,
    }
    check_prototypes(by_kernel, case)


# --- planted faults


def never_leaving_out(case: Case) -> Result:
    return by_definition(case | {"leave_one_out": 0})


def always_leaving_out(case: Case) -> Result:
    return by_definition(case | {"leave_one_out": 1})


def distances_rounded_to_integers(case: Case) -> Result:
    sums, counts, losses = by_definition(case)
    means = np.rint(sums / np.maximum(counts, 1)[:, None]).astype(np.int64)
    distances = ((case["embeddings"][:, None].astype(np.int64) - means) ** 2).sum(axis=2)
    factor = int(case["multiplier"][0]) * 2.0 ** (int(case["shift"][0]) - 31)
    logits = -np.minimum(np.rint(distances * factor), 2**36).astype(np.int64)
    output = np.zeros_like(losses)
    cross_entropy_logits(logits, case["labels"], output)
    return sums, counts, output


def half_the_scale(case: Case) -> Result:
    return (
        by_definition(case | {"shift": case["shift"] - 1}) if case["shift"][0] > -31 else by_definition(case)
    )


def counting_one_too_many(case: Case) -> Result:
    sums, counts, losses = by_definition(case)
    return sums, counts + 1, losses


MUTANTS = (
    never_leaving_out,
    always_leaving_out,
    distances_rounded_to_integers,
    half_the_scale,
    counting_one_too_many,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_comparison_catches_a_planted_fault(mutant):
    caught = 0
    for seed in range(100):
        try:
            check_prototypes(mutant, embeddings_case(np.random.default_rng(seed)))
        except AssertionError:
            caught += 1
    assert caught
