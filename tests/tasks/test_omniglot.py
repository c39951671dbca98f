"""The bundled Omniglot: what is in it, and that it is what was published."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from fxpgrad.errors import InputError
from fxpgrad.tasks.omniglot import DRAWERS, load_omniglot

DATA = load_omniglot()


def test_every_character_has_twenty_drawings() -> None:
    assert len(DATA.char) == 32460
    np.testing.assert_array_equal(np.bincount(DATA.char), np.full(1623, DRAWERS))


def test_splits_are_the_published_ones_and_share_no_alphabet() -> None:
    background, evaluation = DATA.classes("background"), DATA.classes("evaluation")
    assert (len(background), len(evaluation)) == (964, 659)
    assert not set(background) & set(evaluation)
    assert (len(DATA.alphabets("background")), len(DATA.alphabets("evaluation"))) == (30, 20)
    assert not set(DATA.alphabets("background")) & set(DATA.alphabets("evaluation"))


def test_character_names_start_with_their_alphabet() -> None:
    for character, name in enumerate(DATA.char_names):
        assert name.startswith(DATA.alphabet_names[DATA.char_alphabet[character]] + "/")


def test_images_are_binary_and_neither_blank_nor_full() -> None:
    images = DATA.images()
    assert images.shape == (32460, 28, 28, 1)
    assert images.dtype == np.uint8
    assert images.max() == 1
    ink = images.reshape(len(images), -1).mean(axis=1)
    assert ink.min() > 0
    assert ink.max() < 0.5
    assert 0.10 < ink.mean() < 0.12


def test_images_of_some_drawings_are_those_rows_of_all() -> None:
    wanted = np.array([32459, 0, 77, 0])
    np.testing.assert_array_equal(DATA.images(wanted), DATA.images()[wanted])
    assert DATA.images(np.array([], np.int64)).shape == (0, 28, 28, 1)


def test_drawings_of_one_character_look_more_alike_than_of_others() -> None:
    pixels = DATA.images().reshape(1623, DRAWERS, -1).astype(np.float64)
    own = ((pixels[:, 0] - pixels[:, 1]) ** 2).sum(axis=1).mean()
    other = ((pixels[:, 0] - np.roll(pixels[:, 1], 200, axis=0)) ** 2).sum(axis=1).mean()
    assert own < 0.9 * other


def test_data_are_loaded_once_and_read_only() -> None:
    assert load_omniglot() is DATA
    with pytest.raises(ValueError, match="read-only"):
        DATA.bits[0, 0] = 1


def test_archive_is_small_and_needs_no_pickle() -> None:
    source = resources.files("fxpgrad.tasks") / "data" / "omniglot28.npz"
    assert len(source.read_bytes()) <= 1_000_000
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_only_alphabets_keeps_numbers_and_drops_the_rest() -> None:
    greek = DATA.only_alphabets(["Greek"])
    alphabet = int(np.flatnonzero(DATA.alphabet_names == "Greek")[0])
    np.testing.assert_array_equal(greek.classes("background"), DATA.classes("background", alphabet))
    np.testing.assert_array_equal(greek.images(), DATA.images(np.flatnonzero(np.isin(DATA.char, greek.char))))
    assert len(greek.classes("evaluation")) == 0


def test_unknown_split_and_alphabet_are_named() -> None:
    with pytest.raises(InputError, match=r"split must be one of.*'test'"):
        DATA.classes("test")
    with pytest.raises(InputError, match="Klingon"):
        DATA.only_alphabets(["Greek", "Klingon"])
    with pytest.raises(InputError, match="empty"):
        DATA.only_alphabets([])
