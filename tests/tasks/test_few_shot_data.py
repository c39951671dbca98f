"""Few-shot data sets behind one interface: splits, tasks by (seed, number), files of the user."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError, StoreError
from fxpgrad.tasks.cifar_resnet import normalize
from fxpgrad.tasks.episodes import Episode, sample_episode
from fxpgrad.tasks.few_shot_data import FewShotData, few_shot_omniglot, load_cub, load_tiny_imagenet
from fxpgrad.tasks.omniglot import load_omniglot
from tests.data_folder import DATA, needs_data

CLASSES, EACH = 9, 6
SMALL: dict[str, Any] = {
    "images": np.random.default_rng(0).integers(0, 256, (CLASSES * EACH, 8, 8, 3)).astype(np.uint8),
    "labels": np.tile(np.arange(CLASSES, dtype=np.uint8), EACH),
    "names": np.array([f"thing {i}" for i in range(CLASSES)]),
    "class_split": np.array([0, 0, 1, 2, 2, 0, 2, 2, 1], np.uint8),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> FewShotData:
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, **SMALL)
    return load_tiny_imagenet(path)


def test_omniglot_tasks_are_those_of_the_evaluation_split() -> None:
    data, omniglot = few_shot_omniglot(), load_omniglot()
    for number in range(3):
        task = data.sample_episode(4, number, 5, 3, 7)
        wanted = sample_episode(omniglot, "evaluation", 5, 3, 7, 4, number)
        for field in fields(Episode):
            np.testing.assert_array_equal(getattr(task, field.name), getattr(wanted, field.name))


def test_omniglot_splits_are_disjoint_and_hold_out_the_validation_alphabets() -> None:
    data = few_shot_omniglot()
    sizes = {split: len(data.classes(split)) for split in ("base", "validation", "novel")}
    assert sizes == {"base": 825, "validation": 139, "novel": 659}
    assert {str(data.class_names[c]).split("/")[0] for c in data.classes("validation")} == {
        "Armenian", "Grantha", "Hebrew", "N_Ko",
    }  # fmt: skip
    assert data.shape == (28, 28, 1)
    assert set(np.unique(data.real(data.images[:50]))) == {0.0, 1.0}


@given(
    split=st.sampled_from(["base", "novel"]),
    ways=st.integers(1, 3),
    shots=st.integers(1, EACH - 1),
    seed=st.integers(0, 2**64),
    number=st.integers(0, 2**40),
)
def test_episode_keeps_its_promises(small, split: str, ways: int, shots: int, seed: int, number: int) -> None:
    task = small.sample_episode(seed, number, ways, shots, EACH - shots, split)
    assert set(task.characters) <= set(small.classes(split))
    rows = np.concatenate([task.support_drawings, task.query_drawings])
    assert len(set(rows)) == ways * EACH
    assert set(rows) <= set(small.rows(split))
    for x, y, drawn in (
        (task.support_x, task.support_y, task.support_drawings),
        (task.query_x, task.query_y, task.query_drawings),
    ):
        np.testing.assert_array_equal(x, small.images[drawn])
        np.testing.assert_array_equal(small.labels[drawn], task.characters[y])
    again = small.sample_episode(seed, number, ways, shots, EACH - shots, split)
    np.testing.assert_array_equal(again.support_drawings, task.support_drawings)


def test_numbers_name_different_tasks(small: FewShotData) -> None:
    drawn = {tuple(small.sample_episode(0, n, 3, 2, 2).query_drawings) for n in range(10)}
    assert len(drawn) == 10


def test_real_task_has_normalized_images_and_nothing_else_changed(small: FewShotData) -> None:
    task = small.sample_episode(0, 0, 2, 2, 2)
    real = small.to_real(task)
    np.testing.assert_array_equal(real.query_x, normalize(task.query_x))
    assert real.support_x.dtype == np.float32
    assert real.support_y is task.support_y


def test_data_are_read_only(small: FewShotData) -> None:
    with pytest.raises(ValueError, match="read-only"):
        small.images[0] = 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, 0, 1, 1), "ways must be an integer of at least 1, not 0"),
        ((0, 0, 5, 1, 1), "ways must be at most 4, the novel classes of Tiny ImageNet, not 5"),
        ((0, 0, 2, 3, 4), r"at most 6, the images of class thing \d of Tiny ImageNet, not 7"),
        ((-1, 0, 2, 1, 1), "seed must be"),
        ((0, 0, 2, 1, 1, "test"), "split must be one of base, validation, novel, not 'test'"),
    ],
)
def test_impossible_tasks_are_refused(small: FewShotData, arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        small.sample_episode(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": SMALL["images"][..., :1]}, r"must be uint8 \[n, h, w, 3\]"),
        ({"labels": SMALL["labels"][1:]}, "must be 54 integers"),
        ({"labels": SMALL["labels"] + 1}, r"must be in 0\.\.8"),
        ({"class_split": np.zeros(8)}, "class_split .* must be 9 numbers"),
        ({"class_split": np.full(9, 3)}, "class_split .* must be 9 numbers of 0, 1 and 2"),
        ({"class_split": None}, "lacks the array 'class_split'"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, change, message) -> None:
    arrays = {name: array for name, array in (SMALL | change).items() if array is not None}
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_tiny_imagenet(tmp_path / "d.npz")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.npz"):
        load_cub(tmp_path / "none.npz")


@needs_data("fewshot/tinyimagenet32_50.npz")
def test_tiny_imagenet_has_140_20_and_40_classes() -> None:
    data = load_tiny_imagenet(DATA / "fewshot" / "tinyimagenet32_50.npz")
    assert [len(data.classes(split)) for split in ("base", "validation", "novel")] == [140, 20, 40]
    assert data.shape == (32, 32, 3)
    assert len(data.rows("novel")) == 2000


@needs_data("fewshot/cub10_84.npz")
def test_cub_is_all_novel_and_enough_for_5_shots_and_15_queries() -> None:
    data = load_cub(DATA / "fewshot" / "cub10_84.npz")
    assert len(data.classes("novel")) == 10
    assert data.sample_episode(0, 0, 10, 5, 15).query_x.shape == (150, 84, 84, 3)
