"""N-way K-shot tasks: which task is drawn depends on (seed, index) and the arguments, on nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.tasks.omniglot import Omniglot


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One few-shot task, class by class: the images of label 0 first.

    support_x: uint8 [ways * shots, h, w, c] (Omniglot: [.., 28, 28, 1], values 0 and 1), or float32 once
    `FewShotData.to_real` made them real; support_y: int32 [ways * shots], 0..ways-1; query_x, query_y: the
    same with `queries` images per class. characters: int64 [ways], the character (class) behind each label;
    support_drawings, query_drawings: int64, the rows of the data set they came from.
    """

    support_x: NDArray[Any]
    support_y: NDArray[np.int32]
    query_x: NDArray[Any]
    query_y: NDArray[np.int32]
    characters: NDArray[np.int64]
    support_drawings: NDArray[np.int64]
    query_drawings: NDArray[np.int64]


def sample_episode(
    dataset: Omniglot,
    split: str,
    ways: int,
    shots: int,
    queries: int,
    seed: int,
    index: int,
    within_alphabet: bool = False,
) -> Episode:
    """Draw task `index` of the stream that `seed` names.

    Parameters
    ----------
    dataset
        Where the drawings come from.
    split
        "background" or "evaluation".
    ways
        Classes per task, >= 1.
    shots
        Support images per class, >= 1.
    queries
        Query images per class, >= 1; shots + queries must not exceed the drawings of a class.
    seed, index
        Integers >= 0; equal pairs give equal tasks.
    within_alphabet
        False: characters from the whole split (the standard protocol). True: one alphabet is drawn
        first, with equal chances among those of at least `ways` characters, and all classes come from
        it (harder: they share strokes and style).

    Raises
    ------
    InputError
        When a number is out of range, or the split has too few classes or drawings.

    Notes
    -----
    Choices rank raw PCG64 words, whose stream NumPy guarantees for good (that of
    `Generator.choice` it does not).
    """
    numbers = {"ways": ways, "shots": shots, "queries": queries}
    for name, value in numbers.items():
        require_integer(name, value, 1)
    words = task_words(seed, index)

    pool = _class_pool(dataset, split, int(ways), within_alphabet, words)
    characters = choose(pool, int(ways), words)
    rows = [_choose_drawings(dataset, int(c), int(shots), int(queries), words) for c in characters]
    support = np.concatenate([row[:shots] for row in rows])
    query = np.concatenate([row[shots:] for row in rows])
    labels = np.arange(ways, dtype=np.int32)
    return Episode(
        support_x=dataset.images(support),
        support_y=np.repeat(labels, shots),
        query_x=dataset.images(query),
        query_y=np.repeat(labels, queries),
        characters=characters,
        support_drawings=support,
        query_drawings=query,
    )


def task_words(seed: int, index: int) -> np.random.PCG64:
    """Return the random words of task `index` of the stream that `seed` names."""
    require_integer("seed", seed, 0)
    require_integer("index", index, 0)
    return np.random.PCG64(np.random.SeedSequence(int(seed), spawn_key=(int(index),)))


def require_integer(name: str, value: object, least: int) -> None:
    """Raise `InputError` unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, not {value!r}")


def choose(items: NDArray[np.int64], count: int, words: np.random.PCG64) -> NDArray[np.int64]:
    """Draw `count` of the items without replacement: rank one random word per item."""
    order = np.argsort(words.random_raw(len(items)), kind="stable")
    return items[order[:count]]


def _class_pool(
    dataset: Omniglot, split: str, ways: int, within_alphabet: bool, words: np.random.PCG64
) -> NDArray[np.int64]:
    """Return the characters that the task may draw its classes from."""
    pool = dataset.classes(split)
    if not within_alphabet:
        if len(pool) < ways:
            raise InputError(f"ways must be at most {len(pool)}, the classes of split {split!r}, not {ways}")
        return pool
    sizes = np.bincount(dataset.char_alphabet[pool])
    alphabets = np.flatnonzero(sizes >= ways)
    if len(alphabets) == 0:
        largest = int(sizes.max(initial=0))
        raise InputError(
            f"ways must be at most {largest}, the largest alphabet of split {split!r}, not {ways};"
            " ask for fewer classes or for within_alphabet=False"
        )
    alphabet = choose(alphabets, 1, words)[0]
    members: NDArray[np.int64] = pool[dataset.char_alphabet[pool] == alphabet]
    return members


def _choose_drawings(
    dataset: Omniglot, character: int, shots: int, queries: int, words: np.random.PCG64
) -> NDArray[np.int64]:
    """Draw shots + queries drawings of one character."""
    drawings = dataset.drawings_of(character)
    if len(drawings) < shots + queries:
        name = dataset.char_names[character]
        raise InputError(
            f"shots + queries must be at most {len(drawings)}, the drawings of character {name},"
            f" not {shots} + {queries} = {shots + queries}"
        )
    return choose(drawings, shots + queries, words)
