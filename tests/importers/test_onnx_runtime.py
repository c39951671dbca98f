"""Imported ONNX operators against ONNX Runtime: equal in every integer, on data full of ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from fxpgrad.importers.onnx_graph import import_onnx
from fxpgrad.program.lowering.onnx_tables import Affine, pair_table
from tests.importers.onnx_comparison import outputs_of
from tests.importers.onnx_models import (
    MICROSOFT,
    Array,
    integers,
    model,
    node,
    run,
    scales,
    value,
    zero_point,
)

SEEDS = range(6)  # even ones have scales that are powers of two: exact ties of both signs
every_type = pytest.mark.parametrize("dtype", ["int8", "uint8"])
every_seed = pytest.mark.parametrize("seed", SEEDS)


def check(made: Any, feed: dict[str, Array]) -> None:
    expected = run(made, feed)
    actual = outputs_of(import_onnx(made.SerializeToString()), feed)
    for name, wanted in expected.items():
        assert actual[name].dtype == wanted.dtype
        np.testing.assert_array_equal(actual[name], wanted, name)


def weighted(rng: np.random.Generator, dtype: str, outputs: int, seed: int) -> dict[str, Array]:
    """Return scales and zero points of a layer; per channel in every other pair of seeds."""
    sx, sw = scales(rng, 2, seed % 2 == 0)
    sy = np.float32(sx * sw * (2.0 ** rng.integers(3, 8) if seed % 2 == 0 else rng.uniform(20, 200)))
    zw = zero_point(rng, dtype) if dtype == "uint8" else np.int8(0)
    if seed % 4 < 2:
        channels = sw * (2.0 ** rng.integers(-2, 2, outputs)).astype(np.float32)
        sw, zw = channels.astype(np.float32), np.full(outputs, zw, dtype)
    zx, zy = zero_point(rng, dtype), zero_point(rng, dtype)
    return {"sx": sx, "zx": zx, "sw": np.asarray(sw), "zw": np.asarray(zw, dtype), "sy": sy, "zy": zy}


GEOMETRIES = (
    {"group": 1, "pads": [1, 0, 1, 2], "strides": [1, 2]},
    {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"group": 4, "dilations": [2, 1], "pads": [1, 1, 0, 0]},
    {"group": 4, "auto_pad": "VALID", "outputs": 4},
)


@every_type
@every_seed
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_qlinear_conv(geometry: dict[str, Any], seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    attributes = {**geometry}
    outputs = attributes.pop("outputs", 8)
    constants = {
        **weighted(rng, dtype, outputs, seed),
        "w": integers(rng, dtype, outputs, 4 // attributes["group"], 3, 2),
        "b": rng.integers(-3000, 3000, outputs).astype(np.int32),
    }
    inputs = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"]
    made = model(
        [node("QLinearConv", inputs, ["y"], **attributes)],
        [value("x", dtype, [None, 4, 7, 6])],
        [value("y", dtype, [None, outputs, None, None])],
        constants,
    )
    check(made, {"x": integers(rng, dtype, 5, 4, 7, 6)})


@every_type
@every_seed
@pytest.mark.parametrize("shape", [(16,), (3, 16), (2, 3, 16)])
def test_qlinear_mat_mul(shape: tuple[int, ...], seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    constants = {**weighted(rng, dtype, 6, seed), "w": integers(rng, dtype, 16, 6)}
    made = model(
        [node("QLinearMatMul", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"])],
        [value("x", dtype, [None, *shape])],
        [value("y", dtype, [None, *shape[:-1], 6])],
        constants,
    )
    check(made, {"x": integers(rng, dtype, 40, *shape)})


@every_type
@every_seed
@pytest.mark.parametrize("transposed", [0, 1])
def test_q_gemm(transposed: int, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    constants = {
        **weighted(rng, dtype, 6, seed),
        "w": integers(rng, dtype, *((6, 16) if transposed else (16, 6))),
        "b": rng.integers(-3000, 3000, 6).astype(np.int32),
    }
    inputs = ["x", "sx", "zx", "w", "sw", "zw", "b", "sy", "zy"]
    made = model(
        [node(f"{MICROSOFT}.QGemm", inputs, ["y"], transB=transposed)],
        [value("x", dtype, [None, 16])],
        [value("y", dtype, [None, 6])],
        constants,
    )
    check(made, {"x": integers(rng, dtype, 40, 16)})


def pointwise(rng: np.random.Generator, dtype: str, seed: int) -> dict[str, Array]:
    first, second, output = scales(rng, 3, seed % 2 == 0)
    zeros = {f"z{name}": zero_point(rng, dtype) for name in "abc"}
    return {"sa": first, "sb": second, "sc": output, **zeros}


def order_matters(rng: np.random.Generator, dtype: str) -> dict[str, Array]:
    """Return scales and zero points at which float32 additions in another order give other results."""
    offset = 128 if dtype == "uint8" else 0
    for _ in range(500):
        scale = float(rng.uniform(0.01, 0.05))
        found = [scale, scale * rng.choice([1 / 3, 0.7, 0.3]), scale * rng.choice([2 / 3, 0.1, 0.6])]
        drawn = [np.float32(item) for item in found]
        zeros = [zero_point(rng, dtype) for _ in range(3)]
        a, b, c = (
            Affine(float(item), int(zero) - offset, offset > 0)
            for item, zero in zip(drawn, zeros, strict=True)
        )
        swapped = pair_table("add", b, a, c).reshape(256, 256).T.reshape(-1)
        if np.count_nonzero(pair_table("add", a, b, c) != swapped) > 1000:
            names = [f"{kind}{name}" for kind in "sz" for name in "abc"]
            return dict(zip(names, [*map(np.asarray, drawn), *zeros], strict=True))
    raise AssertionError("no such scales were found")


PAIRS = ["a", "sa", "za", "b", "sb", "zb", "sc", "zc"]
SHAPES = ((4, 5, 6), (4, 1, 1), (1, 5, 6), (4, 5, 1), (1, 1, 6))


@every_type
@every_seed
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_qlinear_pairs_broadcast_on_either_side(
    shape: tuple[int, ...], op: str, seed: int, dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    constants = order_matters(rng, dtype) if seed % 3 == 2 else pointwise(rng, dtype, seed)
    for shapes in (((4, 5, 6), shape), (shape, (4, 5, 6))):
        made = model(
            [node(f"{MICROSOFT}.{op}", PAIRS, ["c"])],
            [value(name, dtype, [None, *own]) for name, own in zip("ab", shapes, strict=True)],
            [value("c", dtype, [None, 4, 5, 6])],
            constants,
        )
        feed = {name: integers(rng, dtype, 30, *own) for name, own in zip("ab", shapes, strict=True)}
        check(made, feed)


@every_type
@every_seed
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("shape", [(1, 4, 5, 6), (4, 1, 1), (6,), ()], ids=str)
def test_qlinear_pair_with_a_constant(shape: tuple[int, ...], op: str, seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    numbers = order_matters(rng, dtype) if seed % 3 == 2 else pointwise(rng, dtype, seed)
    for constant, other in ("ab", "ba"):
        made = model(
            [node(f"{MICROSOFT}.{op}", PAIRS, ["c"])],
            [value(other, dtype, [None, 4, 5, 6])],
            [value("c", dtype, [None, 4, 5, 6])],
            {**numbers, constant: integers(rng, dtype, *shape)},
        )
        check(made, {other: integers(rng, dtype, 30, 4, 5, 6)})


@every_type
@every_seed
@pytest.mark.parametrize(
    ("op", "attributes"), [("QLinearLeakyRelu", {"alpha": 0.1}), ("QLinearGlobalAveragePool", {})]
)
def test_qlinear_of_one_input(op: str, attributes: dict[str, float], seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    made = model(
        [node(f"{MICROSOFT}.{op}", ["a", "sa", "za", "sc", "zc"], ["c"], **attributes)],
        [value("a", dtype, [None, 4, 5, 6])],
        [value("c", dtype, [None, 4, None, None])],
        pointwise(rng, dtype, seed),
    )
    check(made, {"a": integers(rng, dtype, 30, 4, 5, 6)})


@every_type
@every_seed
def test_qlinear_concat_requantizes_each_input(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    made = model(
        [node(f"{MICROSOFT}.QLinearConcat", ["sc", "zc", "a", "sa", "za", "b", "sb", "zb"], ["c"], axis=1)],
        [value("a", dtype, [None, 4, 5, 6]), value("b", dtype, [None, 2, 5, 6])],
        [value("c", dtype, [None, 6, 5, 6])],
        pointwise(rng, dtype, seed),
    )
    check(made, {"a": integers(rng, dtype, 9, 4, 5, 6), "b": integers(rng, dtype, 9, 2, 5, 6)})
