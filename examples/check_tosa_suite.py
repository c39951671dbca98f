"""Runs the int8 part of the TOSA conformance suite through our kernels and counts what differs.

    python examples/check_tosa_suite.py suite.npz [MORE.npz ...]

How to make the file: tests/golden/make_tosa_conformance.py. Exit code 1: something differs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# The reading of the stored tests belongs to the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fxpgrad_kernels.registry import kernel_named
from tests.kernels import test_tosa_conformance as conformance
from tests.kernels.spec_call import by_kernel
from tests.kernels.tosa_vectors import scalar, tosa_cases

Case = dict[str, Any]
Result = tuple[str, np.ndarray, np.ndarray]  # what was compared, ours, the reference model's


def run(kernel: str, given: Case, shape: tuple[int, ...]) -> np.ndarray:
    return by_kernel(kernel_named(kernel))({**given, "output_shape": shape})


def rescale(case: Case) -> Iterator[Result]:
    mode = conformance.TOSA_MODES[case["roundingmode"]]
    yield f"RESCALE {mode}", conformance.rescale(case, mode), case["output"]


def convolution(case: Case) -> Iterator[Result]:
    operator = case["operator"]
    for mode, rounding in conformance.ROUNDINGS.items():
        kernel, given = conformance.convolution(case, mode, depthwise=operator != "CONV2D")
        yield f"{operator}, RESCALE {mode}", run(kernel, given, case[mode].shape), case[mode]
        sums = case["accumulator"].astype(np.int64) - case["input2"] + case["small_bias"]
        pair = conformance.pairs(case)
        y = conformance.requantize_ref(sums, pair["multiplier"], pair["shift"], rounding)
        result = np.clip(y + case["output_zero_point"], -128, 127)
        yield f"{operator} accumulators, {mode}", result, case[mode]


def pool(case: Case) -> Iterator[Result]:
    average = case["operator"] == "AVG_POOL2D"
    given = conformance.average(case) if average else conformance.window(case)
    kernel = "average_pool2d_tosa_a8" if average else "max_pool2d_a8"
    yield case["operator"], run(kernel, given, case["output"].shape), case["output"]


def matmul(case: Case) -> Iterator[Result]:
    for left, right, expected in zip(case["input0"], case["input1"], case["output"], strict=True):
        weights = (right.T.astype(np.int16) - scalar(case["input3"])).copy()
        given = {"input": left, "weights": weights, "bias": np.zeros(len(weights), np.int32)}
        given |= {"input_zero_point": scalar(case["input2"]), "accumulator_bits": 32}
        yield "MATMUL", run("fully_connected_accumulate_a8w16", given, expected.shape), expected


def multiply(case: Case) -> Iterator[Result]:
    a, b = np.broadcast_arrays(case["input0"], case["input1"])
    for right in range(8):
        given = conformance.product_arguments(a, b, right)
        expected = np.clip((case["output"].astype(np.int64) + ((1 << right) >> 1)) >> right, -128, 127)
        yield "MUL", run("mul_a8", given, (a.size,)), expected.reshape(-1)


CHECKS = {
    "RESCALE": rescale,
    "CONV2D": convolution,
    "DEPTHWISE_CONV2D": convolution,
    "MATMUL": matmul,
    "AVG_POOL2D": pool,
    "MAX_POOL2D": pool,
    "MUL": multiply,
}


def main() -> None:
    tests, values, wrong = Counter[str](), Counter[str](), Counter[str]()
    for path in map(Path, sys.argv[1:]):
        for operator, check in CHECKS.items():
            for case in tosa_cases(operator, path):
                if max(case.get("kernel", [0])) > 2**11:  # the limit of our pooling kernels
                    print(f"left out, its window is above 2048 pixels: {case['name']}")
                    continue
                for name, ours, theirs in check(case):
                    tests[name] += 1
                    values[name] += theirs.size
                    wrong[name] += int(np.count_nonzero(ours != theirs))
    for name, count in tests.items():
        print(f"{name:38} {count:4} comparisons {values[name]:>10,} values {wrong[name]:>6} differ")
    raise SystemExit(1 if not tests or any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
