"""Laws of the counter-based generator: the published answers, the stream layout, replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.directions import run_of_z
from fxpgrad_kernels.random import philox, random_ref
from fxpgrad_kernels.random.distributions import PAPER_THRESHOLDS, THRESHOLDS, Distribution, direction_table
from fxpgrad_kernels.random.lanes import GROUP_WORDS
from fxpgrad_kernels.random.philox import SCRATCH_BYTES, draw_directions
from tests.kernels.callable_form import callable_form
from tests.kernels.drawn import generators

fill_directions = callable_form(philox.fill_directions)
fill_words = callable_form(philox.fill_words)
philox4x32 = callable_form(philox.philox4x32)

# Random123, "kat_vectors", philox4x32 with 10 rounds: counter, key, result.
KNOWN_ANSWERS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)

Case = dict[str, int]
Draw = Callable[[Case], NDArray[np.int8]]
DISTRIBUTIONS = tuple(Distribution)


def name_of(case: Case) -> tuple[int, ...]:
    names = ("seed", "step", "direction", "tensor", "first_index", "distribution")
    return tuple(case[name] for name in names)


def by_kernel(case: Case) -> NDArray[np.int8]:
    z = np.full(case["count"], 99, np.int8)
    draw_directions(direction_table(case["distribution"]), z, *name_of(case))
    return z


def check_draw(draw: Draw, case: Case) -> None:
    table = direction_table(case["distribution"])
    expected = random_ref.draw_directions_ref(table, *name_of(case), output_size=case["count"])
    np.testing.assert_array_equal(draw(case), expected, str(case))


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    assert tuple(int(word) for word in philox4x32(*counter, *key)) == expected
    assert random_ref.philox4x32_ref(counter, key) == expected


@given(generators)
def test_philox_equals_definition(rng):
    words = [int(word) for word in rng.integers(0, 2**32, 6)]
    expected = random_ref.philox4x32_ref(tuple(words[:4]), tuple(words[4:]))
    assert tuple(int(word) for word in philox4x32(*words)) == expected


@given(generators)
def test_draw_equals_definition(rng):
    check_draw(by_kernel, run_of_z(rng))


@given(generators)
def test_direction_replays_from_its_name_alone(rng):
    """A part drawn alone is the part of the whole, and a second draw is the first."""
    case = run_of_z(rng) | {"count": 300, "first_index": int(rng.integers(1000))}
    whole = by_kernel(case)
    np.testing.assert_array_equal(by_kernel(case), whole)
    start, stop = sorted(int(i) for i in rng.integers(0, 301, 2))
    part = by_kernel(case | {"first_index": case["first_index"] + start, "count": stop - start})
    np.testing.assert_array_equal(part, whole[start:stop])


@given(generators)
def test_vectors_equal_draw_at_ragged_starts_and_lengths(rng):
    """`fill_directions` draws whole groups of blocks at once: any length, any start on a multiple of 8."""
    case = run_of_z(rng) | {
        "count": int(rng.choice([1, 7, 63, 64, 65, 200, 1025, int(rng.integers(1, 3000))]))
    }
    case["first_index"] = min(case["first_index"], 2**35 - 4000)
    first = case["first_index"] - case["first_index"] % 8
    z = np.full(case["count"] + case["first_index"] % 8, 99, np.int8)
    size = 2 * (-(-z.size // 64) * 64) + SCRATCH_BYTES // 2
    scratch = rng.integers(-(2**15), 2**15, size).astype(np.int16)
    names = ("seed", "step", "direction", "tensor", "distribution")
    fill_directions(direction_table(case["distribution"]), z, scratch, first, *(case[name] for name in names))
    np.testing.assert_array_equal(z[case["first_index"] % 8 :], by_kernel(case))


@given(generators)
def test_vectors_write_nothing_beyond_their_length(rng):
    case, count = run_of_z(rng), int(rng.integers(1, 200))
    z, scratch = np.full(300, 99, np.int8), np.zeros(2 * 256 + SCRATCH_BYTES // 2, np.int16)
    names = ("seed", "step", "direction", "tensor", "distribution")
    fill_directions(direction_table(case["distribution"]), z[:count], scratch, 0, *(case[n] for n in names))
    assert (z[count:] == 99).all()


@given(generators)
def test_fill_words_equals_definition(rng):
    case = run_of_z(rng)
    groups, purpose, first = int(rng.integers(0, 6)), int(rng.integers(256)), int(rng.integers(2**32 - 40))
    words = np.zeros(GROUP_WORDS * groups, np.uint32)
    name = [case[key] for key in ("seed", "step", "direction", "tensor")]
    fill_words(words, first, purpose, *name)
    expected = [random_ref.stream_bits_ref(first + b, purpose, *name) for b in range(words.size // 4)]
    by_word = [[bits >> (32 * word) & 0xFFFFFFFF for word in range(4)] for bits in expected]
    np.testing.assert_array_equal(words.reshape(-1, 4), np.array(by_word, np.uint32).reshape(-1, 4))


@given(generators)
def test_rademacher_is_one_unit_either_way(rng):
    z = by_kernel(run_of_z(rng) | {"distribution": int(Distribution.RADEMACHER)})
    assert set(np.abs(z.astype(int))) == {32}


# --- planted faults


def drawn_by(z_at: Callable[[Case, int], int]) -> Draw:
    def draw(case: Case) -> NDArray[np.int8]:
        indices = range(case["first_index"], case["first_index"] + case["count"])
        return np.array([z_at(case, index) for index in indices], np.int8)

    return draw


def z_of(case: Case, index: int, **changed: int) -> int:
    name = case | changed
    keys = ("seed", "step", "direction", "tensor")
    return random_ref.direction_ref(*(name[key] for key in keys), index, name["distribution"])


def gaussian(case: Case, uniform: int) -> int:
    paper = case["distribution"] == Distribution.GAUSSIAN_PAPER
    return random_ref.gaussian_ref(uniform, PAPER_THRESHOLDS if paper else THRESHOLDS)


def high_half_first(case: Case, index: int) -> int:
    return z_of(case, index ^ 1)


def swapped_coordinates(case: Case, index: int) -> int:
    return z_of(case, index, step=case["tensor"], tensor=case["step"])


def low_seed_only(case: Case, index: int) -> int:
    return z_of(case, index, seed=case["seed"] % 2**32)


def shifted_index(case: Case, index: int) -> int:
    return z_of(case, index + 1)


def index_in_the_run(case: Case, index: int) -> int:
    return z_of(case, index - case["first_index"])


def bytes_not_halfwords(case: Case, index: int) -> int:
    keys = ("seed", "step", "direction", "tensor")
    bits = random_ref.stream_bits_ref(index // 16, 0, *(case[key] for key in keys))
    return gaussian(case, 257 * (bits >> (8 * (index % 16)) & 255))


def inverted_signs(case: Case, index: int) -> int:
    return -z_of(case, index)


def constant_zero(case: Case, index: int) -> int:
    return 0


MUTANTS: tuple[Any, ...] = (
    high_half_first,
    swapped_coordinates,
    low_seed_only,
    shifted_index,
    index_in_the_run,
    bytes_not_halfwords,
    inverted_signs,
    constant_zero,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_comparison_catches_a_planted_fault(mutant):
    draw = drawn_by(mutant)
    caught = 0
    for seed in range(20):
        try:
            check_draw(draw, run_of_z(np.random.default_rng(seed)))
        except AssertionError:
            caught += 1
    assert caught


@pytest.mark.parametrize("rounds", [7, 9, 11])
def test_known_answers_catch_a_wrong_number_of_rounds(rounds, monkeypatch):
    monkeypatch.setattr(random_ref, "range", lambda _: range(rounds), raising=False)
    assert all(random_ref.philox4x32_ref(counter, key) != answer for counter, key, answer in KNOWN_ANSWERS)
