"""The function of a sum, and the means and sums that LiteRT's fast paths compute with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from fxpgrad.conformance.cases.numbers import integers
from fxpgrad.conformance.cases.reduction import sum_table_case
from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad_kernels.reduction.sum_table import GREATEST_TABULATED, SPECS
from tests.kernels.drawn import draw_of, generators
from tests.kernels.spec_call import Case, by_kernel, check_equals_reference, is_caught

(SUM_TABLE,) = SPECS
draw = draw_of(SUM_TABLE, sum_table_case)
STORED = Path(__file__).resolve().parents[1] / "golden" / "litert_means.npz"
PROFILES = {"optimized": "tflite_x86_optimized", "xnnpack": "xnnpack_float32"}


@given(rng=generators)
def test_sum_table_equals_its_reference(rng: np.random.Generator) -> None:
    check_equals_reference(SUM_TABLE, by_kernel(SUM_TABLE), draw(rng))


@given(rng=generators)
def test_one_value_is_a_lookup(rng: np.random.Generator) -> None:
    table = integers(rng, (256,), "int8")
    case = {"table": table, "reduced": 1, "inner": 1, "output_shape": (256,)}
    x = np.arange(-128, 128).astype(np.int8)
    np.testing.assert_array_equal(by_kernel(SUM_TABLE)({**case, "input": x}), table)


def wrong(case: Case, *, offset: int = 0, swapped: bool = False) -> NDArray[np.int8]:
    x = case["input"].astype(np.int64)
    shape = (-1, case["inner"], case["reduced"]) if swapped else (-1, case["reduced"], case["inner"])
    total = x.reshape(shape).sum(axis=2 if swapped else 1)
    result: NDArray[np.int8] = case["table"][total.ravel() + 128 * case["reduced"] + offset]
    return result


def test_the_comparison_catches_a_swapped_axis() -> None:
    assert is_caught(lambda case: wrong(case, swapped=True), SUM_TABLE, draw)
    assert not is_caught(wrong, SUM_TABLE, draw)


def cases() -> list[tuple[str, dict[str, Any]]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with np.load(STORED) as stored:
        for key in stored.files:
            operator, number, name = key.split("/")
            found.setdefault((operator, number), {})[name] = stored[key]
    return [(operator, case) for (operator, _), case in found.items()]


def tensor(name: str, shape: tuple[int, ...], case: dict[str, Any], side: str) -> Tensor:
    scale = np.array([case[f"{side}_scale"]], np.float64)
    return Tensor(name, shape, "int8", Quantization(scale, np.array([case[f"{side}_zero_point"]], np.int64)))


def graph(operator: str, case: dict[str, Any], output: tuple[int, ...]) -> Graph:
    attributes = {"axes": tuple(int(a) - 1 for a in case["axes"]), "keep_dims": int(case["keep_dims"])}
    x, y = tensor("x", case["input"].shape[1:], case, "input"), tensor("y", output, case, "output")
    node = Node("node", operator, ("x",), "y", attributes)
    return Graph("one", {"x": x, "y": y}, (node,), ("x",), ("y",))


@pytest.mark.parametrize("runtime", PROFILES)
def test_means_and_sums_equal_litert(runtime: str) -> None:
    stored = cases()
    assert len(stored) == 24
    tabulated = 0
    for operator, case in stored:
        program = lower(graph(operator, case, case[runtime].shape[1:]), PROFILES[runtime])
        tabulated += program.calls[-1].kernel == "sum_table_a8"
        np.testing.assert_array_equal(run_program(program, case["input"]), case[runtime])
    assert tabulated >= 15


def test_the_vectors_tell_the_runtimes_apart() -> None:
    apart = {name for name, case in cases() if (case["optimized"] != case["xnnpack"]).any()}
    assert apart == {"mean", "sum"}


def test_what_cannot_be_tabulated_is_refused() -> None:
    case: dict[str, Any] = {
        "input_scale": 0.1,
        "output_scale": 0.1,
        "input_zero_point": 0,
        "output_zero_point": 0,
        "axes": [1, 2],
        "keep_dims": True,
        "input": np.zeros((1, 2, 2, 20), np.int8),
    }
    with pytest.raises(LoweringError, match="4 of the 20 channels"):
        lower(graph("mean", case, (1, 1, 20)), "tflite_x86_optimized")
    case["input"] = np.zeros((1, 129, 128, 16), np.int8)
    with pytest.raises(LoweringError, match=f"at most {GREATEST_TABULATED}"):
        lower(graph("mean", case, (1, 1, 16)), "xnnpack_float32")
