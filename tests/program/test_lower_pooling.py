"""Average pools under TOSA's profiles are TOSA's own; under all others, TFLite's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.program.execute import Executor, run_reference
from fxpgrad.program.lower import lower
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from tests.kernels.tosa_vectors import scalar, tosa_cases


def pool_graph(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str, zero_point: int, attributes: dict[str, Any]
) -> Graph:
    quantization = Quantization(np.array([0.5]), np.array([zero_point], np.int64))
    tensors = {
        name: Tensor(name, shape, dtype, quantization) for name, shape in zip("xy", shapes, strict=True)
    }
    node = Node("y", "average_pool2d", ("x",), "y", {"activation": "none", **attributes})
    return Graph("pool", tensors, (node,), ("x",), ("y",))


def stored_graph(case: dict[str, Any]) -> Graph:
    """Return a stored case as a Graph; one zero point serves both ends there."""
    attributes = {
        "size": tuple(case["kernel"]),
        "stride": tuple(case["stride"]),
        "padding": tuple(case["pad"]),
    }
    shapes = case["input0"].shape[1:], case["output"].shape[1:]
    return pool_graph(shapes, "int8", scalar(case["input1"]), attributes)


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "onnx_float32"])  # refused there
def test_average_pool_is_the_one_of_the_profile(profile: str) -> None:
    compared = 0
    for case in tosa_cases("AVG_POOL2D"):
        program = lower(stored_graph(case), profile)
        (call,) = program.calls
        own = "average_pool2d_tosa_a8" if profile.startswith("tosa_") else "average_pool2d_a8"
        assert call.kernel == own
        x = case["input0"]
        y = Executor(program, len(x)).run(x)
        np.testing.assert_array_equal(y, run_reference(program, x)["y"])
        if own == "average_pool2d_tosa_a8":
            moved = case["output"].astype(int) - scalar(case["input2"]) + scalar(case["input1"])
            inside = (moved >= -128) & (moved <= 127) & (abs(case["output"].astype(int) + 0.5) < 127)
            np.testing.assert_array_equal(y[inside], moved[inside])
            compared += int(inside.sum())
    assert compared > 3000 or not profile.startswith("tosa_")


def test_large_int16_windows_are_refused_under_tosa() -> None:
    attributes = {"size": (128, 64), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    graph = pool_graph(((128, 64, 1), (1, 1, 1)), "int16", 0, attributes)
    with pytest.raises(LoweringError, match=r"not reproduced under tosa_double.*choose tflite_double"):
        lower(graph, "tosa_double")
    lower(graph, "tflite_double")


def test_int16_reciprocal_equals_the_division_up_to_the_limit() -> None:
    """The worst sums are those next to a tie; the error grows with the sum."""
    for n in (2, 3, 7, 64, 1000, 4095, 4097, 8191):
        k = (n - 1).bit_length()
        multiplier = (2**30 + 1) * 2**k // n
        quotients = np.concatenate([np.arange(-32768, -32700), np.arange(-3, 4), np.arange(32700, 32767)])
        for ahead in (-1, 0, 1):
            sums = [int(q) * n + n // 2 + ahead for q in quotients]
            for total in (s for s in sums if abs(s) <= 32767 * n):
                size = (2 * abs(total) + n) // (2 * n)
                expected = size if total >= 0 else -size
                assert (total * multiplier + 2 ** (29 + k)) >> (30 + k) == expected, (n, total)
