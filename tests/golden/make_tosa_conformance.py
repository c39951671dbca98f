"""Make tosa_conformance.npz: int8 unit tests of the TOSA test generator, run by the TOSA reference model.

Needs the PyPI package tosa-tools in an environment of its own (it pins old versions)::

    python -m venv tosa && tosa/bin/pip install tosa-tools==2026.8.0
    tosa/bin/python tests/golden/make_tosa_conformance.py

The cases come from tosa_verif_build_tests, the generator behind the TOSA conformance suite, with small
shapes. CONV2D, DEPTHWISE_CONV2D, MATMUL and MUL return int32 in TOSA; the convolutions are also run with a
RESCALE behind them, in both roundings. ADD has no int8 form: a graph of RESCALE, shift and ADD stands for it.
FULLY_CONNECTED is gone from TOSA 1.0: it is CONV2D with a kernel of one pixel. Meaning of the arrays:
README.md beside this file.

The conformance suite itself (366 tests that read int8) is too large to store; it is made and kept outside::

    PATH=tosa/bin:$PATH tosa_verif_conformance_generator --profile tosa-pro-int \\
        --extension tosa-ext-doubleround --test-type positive --output-type both \\
        --build-directory build --output-directory suite \\
        --operators rescale conv2d depthwise_conv2d matmul avg_pool2d max_pool2d mul
    tosa/bin/python tests/golden/make_tosa_conformance.py suite suite.npz
    python examples/check_tosa_suite.py suite.npz
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.golden.tosa_graphs import NUMPY, Array, Graph, UnitTest, read_unit_test

SEED = 20261123
INT8 = ["--target-dtype", "int8"]
SMALL = ["--tensor-dim-range", "1,19"]
IMAGE = ["--target-shape", "1,7,6,3", "--tensor-dim-range", "1,9"]
ROUNDED = ["--extension", "tosa-ext-doubleround", "tosa-ext-int16"]
# Operator, arguments of the generator, how many of its tests to keep.
PLANS: list[tuple[str, list[str], int]] = [
    ("rescale", [*INT8, *ROUNDED, "--target-shape", "3,4,5"], 60),
    ("rescale", ["--target-dtype", "int32", *ROUNDED, "--target-shape", "5,3,7"], 60),
    ("conv2d", [*INT8, *IMAGE], 30),
    ("conv2d", [*INT8, "--target-shape", "2,5,8,5", "--tensor-dim-range", "1,9", "--zero-point", "0"], 20),
    ("conv2d", [*INT8, "--target-shape", "3,1,2,23", "1,3,3,40", "--conv-kernel", "1,1", *SMALL], 8),
    ("depthwise_conv2d", [*INT8, "--target-shape", "1,7,6,3", "--tensor-dim-range", "1,9"], 50),
    ("matmul", [*INT8, "--target-shape", "2,5,7", "1,9,16", "3,1,12", "1,8,33", *SMALL], 8),
    ("avg_pool2d", [*INT8, *IMAGE], 60),
    ("avg_pool2d", [*INT8, "--target-shape", "2,9,11,2", "--max-pooling-kernel", "5"], 40),
    ("max_pool2d", [*INT8, *IMAGE], 40),
    ("mul", [*INT8, "--target-rank", "1", "2", "3", "--tensor-dim-range", "3,12"], 8),
]


class Store:
    """Cases as one JSON index and one flat array for each type: few members keep the file small."""

    def __init__(self) -> None:
        self.index: list[dict[str, Any]] = []
        self.parts: dict[str, list[Array]] = {np.dtype(kind).name: [] for kind in NUMPY.values()}

    def add(self, operator: str, name: str, attributes: dict[str, Any], **arrays: Array) -> None:
        """Add one case."""
        places = {}
        for key, array in arrays.items():
            part = self.parts[array.dtype.name]
            places[key] = [array.dtype.name, list(array.shape), sum(other.size for other in part)]
            part.append(array.reshape(-1))
        self.index.append({"operator": operator, "name": name, **attributes, "arrays": places})

    def write(self, path: Path) -> None:
        """Write the file."""
        text = np.frombuffer(json.dumps(self.index).encode(), np.uint8)
        flat = {kind: np.concatenate([*parts, np.zeros(0, kind)]) for kind, parts in self.parts.items()}
        np.savez_compressed(path, index=text, **flat)


def generated(operator: str, arguments: list[str], keep: int) -> list[UnitTest]:
    """Return some of the tests that the generator makes, evenly spread over their names."""
    tool = Path(sys.executable).with_name("tosa_verif_build_tests")
    common = ["--seed", str(SEED), "--test-type", "positive", "--no-special-tests"]
    with tempfile.TemporaryDirectory() as folder:
        command = [tool, "-o", folder, "--filter", f"^{operator}$", *common, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = sorted(Path(folder).glob("*/*"))
        if operator == "rescale":
            found = [path for path in found if wanted_rescale(path.name)]
        places = np.unique(np.linspace(0, len(found) - 1, min(keep, len(found))).astype(int))
        return [read_unit_test(found[i]) for i in places]


def wanted_rescale(name: str) -> bool:
    """Leave out INEXACT_ROUND, whose result TOSA does not define, and what has nothing of 8 bits."""
    return "_rmI_" not in name and ("_i8_" in name or "_outi8_" in name)


def fitting_pairs(accumulator: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return (multiplier, right shift) a channel that spread int32 values over int8.

    Every other multiplier is 2^30, a power of two: exact ties.
    """
    spread = np.abs(accumulator.reshape(-1, accumulator.shape[-1]).astype(np.float64)).max(axis=0) + 1
    fraction, exponent = np.frexp(rng.uniform(60, 220, spread.size) / spread)
    fraction[::2] = 0.5
    return (fraction * 2**31).astype(np.int32), (31 - exponent).astype(np.int8)


def requantized(store: Store, test: UnitTest, fields: dict[str, Any], rng: np.random.Generator) -> None:
    """Store a generated test with int32 result, and both roundings of a RESCALE behind its operator.

    The generator draws the bias from all of int32, which hides the products; behind RESCALE it is small.
    """
    bias = rng.integers(-500, 500, test.inputs[2].shape).astype(np.int32)
    multiplier, shift = fitting_pairs(test.output.astype(np.int64) - test.inputs[2] + bias, rng)
    zero_point = int(rng.integers(-128, 128))
    results = {}
    for rounding in ("single", "double"):
        graph = Graph()
        names = [graph.input(bias if i == 2 else array) for i, array in enumerate(test.inputs)]
        wide = graph.operator(test.operator, names, test.output.shape, np.int32, **fields)
        graph.rescale(
            wide,
            (np.int32, np.int8),
            (multiplier, shift),
            (0, zero_point),
            test.output.shape,
            rounding,
            last=True,
        )
        results[rounding] = graph.run()
    inputs = {f"input{i}": array for i, array in enumerate(test.inputs)}
    store.add(
        test.operator,
        test.name,
        {**test.attributes, "output_zero_point": zero_point},
        **inputs,
        small_bias=bias,
        multiplier=multiplier,
        shift=shift,
        accumulator=test.output,
        **results,
    )


def elementwise(store: Store, operator: str, case: int, rng: np.random.Generator) -> None:
    """Store an int8 ADD or MUL: zero points off, the int32 operator, RESCALE.

    ADD moves both operands 20 bits up and scales them to a common scale first.
    """
    shape = (4, 40)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for _ in range(2))
    zero_points = [int(value) for value in rng.integers(-128, 128, 3)]
    scales = 2.0 ** rng.integers(-2, 3, 3) if case % 2 else rng.uniform(0.3, 1.5, 3)
    larger = 2 * max(scales[:2])
    if operator == "ADD":
        reals = [scales[0] / larger, scales[1] / larger, larger / (2**20 * scales[2])]
    else:
        reals = [scales[0] * scales[1] / (scales[2] * 60)]
    fraction, exponent = np.frexp(np.array(reals))
    multiplier, shift = (fraction * 2**31).astype(np.int32), (31 - exponent).astype(np.int8)
    results = {}
    for rounding in ("single", "double"):
        graph = Graph()
        wide = []
        for i, values in enumerate((a, b)):
            types = (np.int8, np.int32)
            one = graph.rescale(graph.input(values), types, (2**30, 30), (zero_points[i], 0), shape, rounding)
            if operator == "ADD":
                up = graph.constant(np.full((1, 1), 20), np.int32)
                high = graph.operator("LOGICAL_LEFT_SHIFT", [one, up], shape, np.int32)
                pair = (multiplier[i], shift[i])
                one = graph.rescale(high, (np.int32, np.int32), pair, (0, 0), shape, rounding)
            wide.append(one)
        if operator == "MUL":
            wide.append(graph.constant(0, np.int8))
        result = graph.operator(operator, wide, shape, np.int32)
        pair = (multiplier[-1], shift[-1])
        graph.rescale(result, (np.int32, np.int8), pair, (0, zero_points[2]), shape, rounding, last=True)
        results[rounding] = graph.run()
    fields = {"zero_points": zero_points}
    arrays = {"input0": a, "input1": b, "multiplier": multiplier, "shift": shift, **results}
    store.add(f"{operator}_INT8", f"{operator.lower()}_int8_{case}", fields, **arrays)


def add_test(store: Store, test: UnitTest, rng: np.random.Generator) -> None:
    """Store a generated test."""
    if test.operator in ("CONV2D", "DEPTHWISE_CONV2D"):
        fields = {key: test.attributes[key] for key in ("pad", "stride", "dilation")}
        requantized(store, test, {**fields, "local_bound": False, "acc_type": 5}, rng)
        return
    inputs = {f"input{i}": array for i, array in enumerate(test.inputs)}
    store.add(test.operator, test.name, test.attributes, **inputs, output=test.output)


def suite(folder: Path, target: Path) -> None:
    """Write the tests that read int8 of a generated conformance suite."""
    rng, store = np.random.default_rng(SEED), Store()
    for path in sorted(folder.glob("operators/*/*/*_i8*")):
        if path.parent.name != "rescale" or wanted_rescale(path.name):
            add_test(store, read_unit_test(path), rng)
    store.write(target)


def main() -> None:
    """Write the file beside this one, or a suite."""
    if len(sys.argv) > 1:
        suite(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    rng = np.random.default_rng(SEED)
    store = Store()
    for operator, arguments, keep in PLANS:
        tests = generated(operator, arguments, keep)
        print(operator, len(tests), flush=True)
        for test in tests:
            add_test(store, test, rng)
    for operator in ("ADD", "MUL"):
        for case in range(10):
            elementwise(store, operator, case, rng)
    store.write(Path(__file__).with_name("tosa_conformance.npz"))


if __name__ == "__main__":
    main()
