"""Omniglot, bundled: 32460 drawings of 1623 characters at 28x28, one bit per pixel.

Source: Lake, Salakhutdinov and Tenenbaum, Science 350 (2015), MIT licence;
`examples/pack_omniglot.py` made the archive and documents how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError

SIDE = 28
DRAWERS = 20
SPLITS = {"background": 0, "evaluation": 1}


@dataclass(frozen=True, slots=True, eq=False)
class Omniglot:
    """The drawings and what they show; every array is read-only.

    bits: uint8 [drawings, 98], the 784 pixels row by row, first pixel in the highest bit;
    char: int16 [drawings], the character 0..1622; split: uint8 [drawings], 0 background, 1 evaluation;
    char_alphabet: uint8 [1623], the alphabet 0..49 of a character; char_names: [1623];
    alphabet_names: [50].
    """

    bits: NDArray[np.uint8]
    char: NDArray[np.int16]
    split: NDArray[np.uint8]
    char_alphabet: NDArray[np.uint8]
    char_names: NDArray[np.str_]
    alphabet_names: NDArray[np.str_]

    def images(self, drawings: NDArray[np.integer] | None = None) -> NDArray[np.uint8]:
        """Return drawings as uint8 [n, 28, 28, 1], 1 where there is ink.

        Parameters
        ----------
        drawings
            Integer [n], the drawings wanted, 0..len(char)-1; None means all of them.
        """
        packed = self.bits if drawings is None else self.bits[drawings]
        return np.unpackbits(packed, axis=1, count=SIDE * SIDE).reshape(-1, SIDE, SIDE, 1)

    def classes(self, split: str, alphabet: int | None = None) -> NDArray[np.int64]:
        """Return the characters of a split ("background" or "evaluation"), or of one of its alphabets."""
        if split not in SPLITS:
            raise InputError(f"split must be one of {sorted(SPLITS)}, not {split!r}")
        members = np.unique(self.char[self.split == SPLITS[split]]).astype(np.int64)
        return members if alphabet is None else members[self.char_alphabet[members] == alphabet]

    def alphabets(self, split: str) -> NDArray[np.int64]:
        """Return the alphabets of a split, ascending."""
        return np.unique(self.char_alphabet[self.classes(split)]).astype(np.int64)

    def only_alphabets(self, names: Sequence[str]) -> Omniglot:
        """Return the data set without the drawings of any other alphabet; numbers keep their meaning."""
        unknown = sorted(set(names) - set(self.alphabet_names.tolist()))
        if unknown or not names:
            raise InputError(f"names must be alphabets of Omniglot; {unknown or 'an empty list'} is not")
        wanted = np.isin(self.alphabet_names, names)[self.char_alphabet[self.char]]
        return replace(self, bits=self.bits[wanted], char=self.char[wanted], split=self.split[wanted])

    def drawings_of(self, character: int) -> NDArray[np.int64]:
        """Return the drawings of one character, ascending."""
        return np.flatnonzero(self.char == character)


@cache
def load_omniglot() -> Omniglot:
    """Load the bundled Omniglot (once per process)."""
    source = resources.files("fxpgrad.tasks") / "data" / "omniglot28.npz"
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        fields = {name: archive[name] for name in Omniglot.__slots__}
    for array in fields.values():
        array.flags.writeable = False
    return Omniglot(**fields)
