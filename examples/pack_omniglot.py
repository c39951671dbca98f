"""Pack Omniglot into the one-bit archive that fxpgrad bundles.

Provenance: Omniglot by Brenden M. Lake, Ruslan Salakhutdinov and Joshua B. Tenenbaum ("Human-level
concept learning through probabilistic program induction", Science 350, 2015), published under the MIT
licence at https://github.com/brendenlake/omniglot: 1623 characters of 50 alphabets, each drawn once by
20 people. The 30 alphabets of `images_background` are split 0, the 20 of `images_evaluation` split 1.

Input: an .npz archive with the drawings already averaged down from 105x105 to 28x28 grey values:
`images` uint8 [32460, 28, 28] (0 paper, 255 ink), `char` int [32460], `split` uint8 [32460],
`char_names` str [1623] ("alphabet/character"), `char_alphabet` uint8 [1623], `alphabet_names` str [50].

Output: the same drawings at one bit per pixel (ink where grey >= threshold), compressed; no pickles.

    python examples/pack_omniglot.py omniglot28.npz fxpgrad/tasks/data/omniglot28.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def pack(source: Path, target: Path, threshold: int) -> int:
    """Write the packed archive and return its size in bytes."""
    with np.load(source, allow_pickle=False) as archive:
        images = archive["images"]
        ink = (images >= threshold).reshape(len(images), -1)
        np.savez_compressed(
            target,
            bits=np.packbits(ink, axis=1),
            char=archive["char"].astype(np.int16),
            split=archive["split"].astype(np.uint8),
            char_names=archive["char_names"],
            char_alphabet=archive["char_alphabet"].astype(np.uint8),
            alphabet_names=archive["alphabet_names"],
            threshold=np.int64(threshold),
        )
    return target.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description="Pack 28x28 Omniglot drawings to one bit per pixel.")
    parser.add_argument("source", type=Path, help="npz archive with the grey 28x28 drawings")
    parser.add_argument("target", type=Path, help="npz archive to write")
    parser.add_argument("--threshold", type=int, default=64, help="grey value from which a pixel is ink")
    arguments = parser.parse_args()
    print(f"{arguments.target}: {pack(arguments.source, arguments.target, arguments.threshold)} bytes")


if __name__ == "__main__":
    main()
