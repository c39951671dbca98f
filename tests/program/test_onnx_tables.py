"""Tables of float32 arithmetic against what ONNX Runtime returned, for every 8-bit value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.lowering.onnx_tables import (
    Affine,
    clamp_bounds,
    definition_table,
    pair_table,
    requantize_table,
    unary_table,
)

VECTORS = np.load(Path(__file__).parents[1] / "golden" / "onnxruntime_tables.npz")
KEYS = sorted({name.rsplit("/", 1)[0] for name in VECTORS.files})
PAIRS = {"QLinearAdd": "add", "QLinearMul": "mul", "Sub": "sub"}
UNARY = {
    "Abs": "abs",
    "Elu": "elu",
    "Exp": "exp",
    "HardSwish": "hard_swish",
    "LeakyRelu": "leaky_relu",
    "Neg": "neg",
    "Sigmoid": "logistic",
    "Tanh": "tanh",
}
# The runtime's approximation of the function decides a tie there: no table.
REFUSED = ("Sigmoid/int8/2",)


def quantizations(key: str) -> list[Affine]:
    offset = 128 if "/uint8/" in key else 0
    numbers = zip(VECTORS[f"{key}/scales"], VECTORS[f"{key}/zero_points"], strict=True)
    return [Affine(float(scale), int(zero) - offset, offset > 0) for scale, zero in numbers]


def expected(key: str) -> NDArray[np.int8]:
    result: NDArray[np.int64] = VECTORS[f"{key}/result"].astype(np.int64)
    return (result - (128 if "/uint8/" in key else 0)).astype(np.int8)


@pytest.mark.parametrize("key", [key for key in KEYS if key.split("/")[0] in PAIRS])
def test_pairs_equal_onnxruntime(key: str) -> None:
    a, b, c = quantizations(key)
    np.testing.assert_array_equal(pair_table(PAIRS[key.split("/", maxsplit=1)[0]], a, b, c), expected(key))


@pytest.mark.parametrize("key", [key for key in KEYS if key.split("/")[0] not in PAIRS])
def test_functions_of_one_value_equal_onnxruntime(key: str) -> None:
    a, _, c = quantizations(key)
    op = key.split("/", maxsplit=1)[0]
    if op == "Identity":
        np.testing.assert_array_equal(requantize_table(a, c), expected(key))
        return
    alpha = {"LeakyRelu": 0.1, "Elu": 1.0}.get(op, 0.0)
    if key in REFUSED:
        with pytest.raises(LoweringError, match="of a tie"):
            unary_table(UNARY[op], a, c, alpha)
        return
    np.testing.assert_array_equal(unary_table(UNARY[op], a, c, alpha), expected(key))


def test_fused_addition_is_not_the_definition() -> None:
    """Rounding with an odd zero point inside sends ties the other way: the comparison sees it."""
    keys = [key for key in KEYS if key.startswith("QLinearAdd/")]
    differing = [
        np.count_nonzero(definition_table("add", *quantizations(key)) != expected(key)) for key in keys
    ]
    assert max(differing) > 0


def test_equal_scales_add_exactly() -> None:
    same = Affine(0.25, 0)
    values = np.arange(-128, 128)
    exact = np.clip(values[:, None] + values, -128, 127).reshape(-1)
    np.testing.assert_array_equal(pair_table("add", same, same, same), exact)


def test_the_order_of_operands_matters() -> None:
    a, b, c = Affine(0.03, 11, True), Affine(0.021, -3, True), Affine(0.018, 7, True)
    swapped = pair_table("add", b, a, c).reshape(256, 256).T.reshape(-1)
    assert np.count_nonzero(pair_table("add", a, b, c) != swapped) > 0


@pytest.mark.parametrize("zero_point", [-128, -100])
def test_a_fused_clamp_bounds_the_output(zero_point: int) -> None:
    output = Affine(0.05, zero_point)
    table = pair_table("add", Affine(0.1, 3), Affine(0.2, 1), output, (0.0, 6.0))
    low, high = clamp_bounds((0.0, 6.0), output)
    assert (table.min(), table.max()) == (low, high) == (zero_point, min(zero_point + 120, 127))


def test_bounds_of_a_clamp_round_half_to_even() -> None:
    assert clamp_bounds((-1.0, 1.0), Affine(0.4, 0)) == (-2, 2)  # 2.5 in float32


def test_what_the_conversion_cannot_hold_is_refused() -> None:
    with pytest.raises(LoweringError, match="conversion wraps"):
        pair_table("mul", Affine(1e8, 0), Affine(1e8, 0), Affine(1e-3, 0))


def test_a_tie_of_an_approximated_function_is_refused() -> None:
    source = Affine(0.5, 0)
    tie = float(np.float32(1 / (1 + np.exp(-1.0)) / 3.5))
    with pytest.raises(LoweringError, match=r"logistic: at 1\.0 .* of a tie"):
        unary_table("logistic", source, Affine(tie, 0))


@pytest.mark.parametrize("call", [lambda a: pair_table("div", a, a, a), lambda a: unary_table("sin", a, a)])
def test_unknown_functions_are_refused_with_the_list(call) -> None:
    with pytest.raises(LoweringError, match="known: "):
        call(Affine(1.0, 0))
