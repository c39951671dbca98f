"""Few-shot data sets behind one interface: images, classes by split, and tasks by (seed, number).

Omniglot comes with the package. Tiny ImageNet (at 32x32) and CUB-200-2011 (ten classes at 84x84) are for
non-commercial research and are read from files of the user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.tasks.cifar_resnet import normalize
from fxpgrad.tasks.episodes import Episode, choose, require_integer, task_words
from fxpgrad.tasks.npz_data import labelled_images, load_arrays, required_array
from fxpgrad.tasks.omniglot import load_omniglot

SPLITS = ("base", "validation", "novel")
OMNIGLOT_VALIDATION = ("Armenian", "Grantha", "Hebrew", "N_Ko")


@dataclass(frozen=True, slots=True, eq=False)
class FewShotData:
    """Images of many classes, each class in one split; every array is read-only.

    name: of the data set; images: uint8 [n, h, w, c], 0 and 1 where c is 1 and 0..255 where it is 3;
    labels: int64 [n], the class 0..classes-1; class_split: int64 [classes], 0 base (a backbone may be trained
    on it), 1 validation (to choose settings by), 2 novel (to report); class_names: [classes].
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_split: NDArray[np.int64]
    class_names: NDArray[np.str_]

    def __post_init__(self) -> None:
        for array in (self.images, self.labels, self.class_split, self.class_names):
            array.flags.writeable = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return (height, width, channels)

    def classes(self, split: str) -> NDArray[np.int64]:
        """Return the classes of a split ("base", "validation" or "novel"), ascending."""
        if split not in SPLITS:
            raise InputError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        return np.flatnonzero(self.class_split == SPLITS.index(split))

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the images of a split by number, ascending; their labels are `labels[rows]`."""
        return np.flatnonzero(np.isin(self.labels, self.classes(split)))

    def sample_episode(
        self, seed: int, number: int, ways: int, shots: int, queries: int, split: str = "novel"
    ) -> Episode:
        """Draw task `number` of the stream that `seed` names.

        Parameters
        ----------
        seed, number
            Integers >= 0; equal pairs give equal tasks.
        ways
            Classes per task, >= 1.
        shots, queries
            Images per class to learn from and to be judged on, >= 1 each.
        split
            Where the classes come from.

        Raises
        ------
        InputError
            When a number is out of range, or the split has too few classes or images.

        Notes
        -----
        For Omniglot's novel classes the task is that of `fxpgrad.tasks.episodes.sample_episode` from the
        whole evaluation split.
        """
        for name, value in (("ways", ways), ("shots", shots), ("queries", queries)):
            require_integer(name, value, 1)
        words, pool = task_words(seed, number), self.classes(split)
        if len(pool) < ways:
            raise InputError(
                f"ways must be at most {len(pool)}, the {split} classes of {self.name}, not {ways}"
            )
        classes = choose(pool, int(ways), words)
        chosen = [self._choose_images(int(label), int(shots) + int(queries), words) for label in classes]
        support = np.concatenate([rows[:shots] for rows in chosen])
        query = np.concatenate([rows[shots:] for rows in chosen])
        labels = np.arange(ways, dtype=np.int32)
        return Episode(
            support_x=self.images[support],
            support_y=np.repeat(labels, shots),
            query_x=self.images[query],
            query_y=np.repeat(labels, queries),
            characters=classes,
            support_drawings=support,
            query_drawings=query,
        )

    def real(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return images as this data set's backbones take them: as they are, or RGB normalized."""
        return normalize(images) if self.images.shape[3] == 3 else images.astype(np.float32)

    def to_real(self, episode: Episode) -> Episode:
        """Return the task with real images, ready to be quantized for a Program."""
        return replace(episode, support_x=self.real(episode.support_x), query_x=self.real(episode.query_x))

    def _choose_images(self, label: int, count: int, words: np.random.PCG64) -> NDArray[np.int64]:
        rows = np.flatnonzero(self.labels == label)
        if len(rows) < count:
            raise InputError(
                f"shots + queries must be at most {len(rows)}, the images of class {self.class_names[label]}"
                f" of {self.name}, not {count}"
            )
        return choose(rows, count, words)


def few_shot_omniglot() -> FewShotData:
    """Return the bundled Omniglot: base, validation (four alphabets) and evaluation characters."""
    data = load_omniglot()
    held = np.isin(data.alphabet_names, OMNIGLOT_VALIDATION)[data.char_alphabet]
    split = np.where(held, 1, 0)
    split[data.classes("evaluation")] = 2
    return FewShotData(
        "Omniglot", data.images(), data.char.astype(np.int64), split.astype(np.int64), data.char_names.copy()
    )


def load_tiny_imagenet(path: str | Path) -> FewShotData:
    """Load Tiny ImageNet at 32x32 from an .npz file.

    Parameters
    ----------
    path
        With `images` uint8 [n, 32, 32, 3], `labels` [n], `names` [classes] and `class_split` [classes] of
        0 (base), 1 (validation) and 2 (novel).

    Raises
    ------
    StoreError
        The file is missing or unreadable.
    InputError
        It lacks an array, or one does not fit.
    """
    arrays = load_arrays(path)
    return _few_shot_data("Tiny ImageNet", arrays, required_array(arrays, "class_split", path), path)


def load_cub(path: str | Path) -> FewShotData:
    """Load classes of CUB-200-2011 from an .npz file, all of them novel.

    Parameters
    ----------
    path
        With `images` uint8 [n, h, w, 3], `labels` [n] and `names` [classes].

    Raises
    ------
    StoreError
        The file is missing or unreadable.
    InputError
        It lacks an array, or one does not fit.
    """
    arrays = load_arrays(path)
    return _few_shot_data("CUB", arrays, np.full(required_array(arrays, "names", path).shape, 2), path)


def _few_shot_data(
    name: str, arrays: dict[str, NDArray[Any]], split: NDArray[Any], path: str | Path
) -> FewShotData:
    names = required_array(arrays, "names", path)
    images, labels = labelled_images(arrays, names.size, path)
    if names.ndim != 1 or split.shape != names.shape or not np.isin(split, (0, 1, 2)).all():
        raise InputError(f"class_split in {path} must be {len(names)} numbers of 0, 1 and 2")
    return FewShotData(name, images, labels, split.astype(np.int64), names.astype(np.str_))
