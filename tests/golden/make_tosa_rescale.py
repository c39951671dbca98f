"""Make tosa_rescale.npz: RESCALE run by the TOSA reference model, on data chosen to tell roundings apart.

Needs the PyPI package tosa-tools in an environment of its own (it pins old versions)::

    python -m venv tosa && tosa/bin/pip install tosa-tools==2026.8.0
    tosa/bin/python tests/golden/make_tosa_rescale.py

Provenance and meaning of the arrays: see README.md beside this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from serializer.tosa_serializer import DType, TosaOp, TosaSerializer, TosaSerializerAttribute

ROUNDINGS = {"single": 1, "double": 3}
OUTPUT_ZERO_POINTS = (-128, -5)


def cases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return accumulators [A, C] and one (multiplier, right shift) for each of C channels.

    TOSA allows an accumulator within -2**(shift - 1) to 2**(shift - 1) - 1: each column is clipped to that.
    """
    rng = np.random.default_rng(20261122)
    pairs = [
        (multiplier, shift)
        for shift in range(2, 63)
        for multiplier in (2**30, 3 * 2**29, 2**31 - 1, int(rng.integers(2**30, 2**31)))
    ]
    m, s = np.array(pairs, np.int64).T
    edges = [0, 1, 2, 3, 5, 2**23, 2**24 - 1, 2**24 + 1, 2**30, 2**31 - 2, 2**31 - 1]
    values = [*edges, *(odd << power for power in range(2, 30) for odd in (1, 3))]
    values += rng.integers(0, 2**31, 20).tolist() + rng.integers(0, 4096, 20).tolist()
    x = np.array(sorted({*values, *(-v for v in values), -(2**31)}))
    grid = np.clip(x[:, None], -(2 ** (s - 1)), 2 ** (s - 1) - 1)
    return np.clip(grid, -(2**31), 2**31 - 1).astype(np.int32), m.astype(np.int32), s.astype(np.int8)


def rescale(
    grid: np.ndarray, m: np.ndarray, s: np.ndarray, rounding: int, zero_point: int | None
) -> np.ndarray:
    """Return the [A, C] output of one RESCALE: int32, or int8 where a zero point is given."""
    with tempfile.TemporaryDirectory() as folder:
        graph = TosaSerializer(folder)
        source = graph.addPlaceholder(list(grid.shape), DType.INT32, grid)
        kind = DType.INT32 if zero_point is None else DType.INT8
        dtype = np.int32 if zero_point is None else np.int8
        constants = [
            graph.addConst([m.size], DType.INT32, m),
            graph.addConst([s.size], DType.INT8, s),
            graph.addConst([1], DType.INT32, np.zeros(1, np.int32)),
            graph.addConst([1], kind, np.array([zero_point or 0], dtype)),
        ]
        result = graph.addOutput(list(grid.shape), kind)
        attribute = TosaSerializerAttribute()
        attribute.RescaleAttribute(True, rounding, True, False, False)
        names = [source.name, *(constant.name for constant in constants)]
        graph.addOperator(TosaOp.Op().RESCALE, names, [result.name], attribute)
        (Path(folder) / "test.tosa").write_bytes(graph.serialize())
        description = json.loads(graph.writeJson("test.tosa"))
        description["ofm_file"] = ["out.npy"]
        (Path(folder) / "desc.json").write_text(json.dumps(description))
        model = Path(sys.executable).with_name("tosa_reference_model")
        subprocess.run([model, f"--test_desc={folder}/desc.json", "--eval=1"], check=True, cwd=folder)
        return np.load(Path(folder) / "out.npy")


def main() -> None:
    """Write the file beside this one."""
    x, m, s = cases()
    arrays = {"accumulator": x, "multiplier": m, "right_shift": s}
    for name, code in ROUNDINGS.items():
        arrays[f"{name}_int32"] = rescale(x, m, s, code, None)
        for zero_point in OUTPUT_ZERO_POINTS:
            arrays[f"{name}_int8_zero_point_{zero_point}"] = rescale(x, m, s, code, zero_point)
    np.savez_compressed(Path(__file__).with_name("tosa_rescale.npz"), **arrays)


if __name__ == "__main__":
    main()
