"""Make onnxruntime_tables.npz: what ONNX Runtime adds, multiplies and looks up on all 8-bit values.

Run from the repository's root with onnx and onnxruntime installed:
    python tests/golden/make_onnxruntime_tables.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path[:0] = [str(Path(__file__).parents[2])]

from tests.importers.onnx_models import MICROSOFT, model, node, run, scales, value, zero_point  # noqa: E402

SEED = 20261123
PAIRS = ("QLinearAdd", "QLinearMul", "Sub")
UNARY = {
    "Abs": {},
    "Elu": {"alpha": 1.0},
    "Exp": {},
    "HardSwish": {},
    "Identity": {},
    "LeakyRelu": {"alpha": 0.1},
    "Neg": {},
    "Sigmoid": {},
    "Tanh": {},
}


def quantization(rng: np.random.Generator, dtype: str, ties: bool) -> dict[str, NDArray]:
    """Return scales and zero points of a, b and the output c."""
    drawn = zip("abc", scales(rng, 3, ties), strict=True)
    zeros = {f"z{name}": zero_point(rng, dtype) for name in "abc"}
    return {**{f"s{name}": np.asarray(scale) for name, scale in drawn}, **zeros}


def pair(op: str, dtype: str, numbers: dict[str, NDArray]) -> NDArray:
    """Return the results for all 65,536 pairs, a outside and b inside."""
    limits = np.iinfo(dtype)
    values = np.arange(limits.min, limits.max + 1).astype(dtype)
    if op == "Sub":
        nodes = [node("DequantizeLinear", [x, f"s{x}", f"z{x}"], [f"{x}_f"]) for x in "ab"]
        nodes += [node(op, ["a_f", "b_f"], ["c_f"]), node("QuantizeLinear", ["c_f", "sc", "zc"], ["c"])]
    else:
        nodes = [node(f"{MICROSOFT}.{op}", ["a", "sa", "za", "b", "sb", "zb", "sc", "zc"], ["c"])]
    made = model(nodes, [value(x, dtype, [65536]) for x in "ab"], [value("c", dtype, [65536])], numbers)
    return run(made, {"a": np.repeat(values, 256), "b": np.tile(values, 256)})["c"]


def unary(op: str, dtype: str, numbers: dict[str, NDArray]) -> NDArray:
    """Return the results for all 256 values."""
    limits = np.iinfo(dtype)
    nodes = [
        node("DequantizeLinear", ["a", "sa", "za"], ["a_f"]),
        node(op, ["a_f"], ["c_f"], **UNARY[op]),
        node("QuantizeLinear", ["c_f", "sc", "zc"], ["c"]),
    ]
    made = model(nodes, [value("a", dtype, [256])], [value("c", dtype, [256])], numbers)
    return run(made, {"a": np.arange(limits.min, limits.max + 1).astype(dtype)})["c"]


def main() -> None:
    """Write the file beside this script."""
    rng = np.random.default_rng(SEED)
    arrays: dict[str, NDArray] = {}
    for op in (*PAIRS, *UNARY):
        for dtype in ("int8", "uint8"):
            for case in range(2 if op in PAIRS else 6):
                numbers = quantization(rng, dtype, ties=case % 2 == 0)
                result = pair(op, dtype, numbers) if op in PAIRS else unary(op, dtype, numbers)
                key = f"{op}/{dtype}/{case}"
                arrays[f"{key}/scales"] = np.array([numbers[f"s{x}"] for x in "abc"], np.float32)
                arrays[f"{key}/zero_points"] = np.array([numbers[f"z{x}"] for x in "abc"], np.int64)
                arrays[f"{key}/result"] = result
    np.savez_compressed(Path(__file__).with_name("onnxruntime_tables.npz"), **arrays)


if __name__ == "__main__":
    main()
