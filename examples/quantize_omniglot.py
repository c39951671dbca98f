"""Quantize the bundled float ResNet12 to the two Programs that fxpgrad ships.

    python examples/quantize_omniglot.py

writes fxpgrad/tasks/data/resnet12_omniglot_{16w8a,8w8a}.fxp: symmetric weights per channel,
asymmetric int8 activations, ranges by min-max over 512 background drawings. The weights get a
range of 1.125 times their largest value, so that training does not clip the largest ones at once.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np

from fxpgrad.program.lower import lower
from fxpgrad.program.store import save
from fxpgrad.quantize import quantize
from fxpgrad.tasks.backbone import distance_scale, resnet12_graph
from fxpgrad.tasks.omniglot import load_omniglot

HEADROOM = 1.125
DRAWINGS = 512


def main(folder: Path) -> None:
    omniglot = load_omniglot()
    background = np.flatnonzero(omniglot.split == 0)
    chosen = np.random.default_rng(0).choice(background, DRAWINGS, replace=False)
    calibration = omniglot.images(chosen).astype(np.float32)
    for bits in (16, 8):
        graph = quantize(resnet12_graph(), calibration, bits, "min_max", headroom=HEADROOM)
        program = lower(graph, "tflite_double")
        metadata = {
            "distance_scale": repr(distance_scale()),
            "source": "examples/quantize_omniglot.py from resnet12_omniglot.npz",
        }
        path = folder / f"resnet12_omniglot_{bits}w8a.fxp"
        save(dataclasses.replace(program, metadata=metadata), path)
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[1] / "fxpgrad" / "tasks" / "data"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
