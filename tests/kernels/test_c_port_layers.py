"""Ports of layers with weights where small legal cases seldom come: sums of several blocks, dilated windows.

A port sums in int32 as many products as are sure to fit. Here inputs, zero points and weights are the largest
of their types, so that one product more in a block would leave int32.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fxpgrad.codegen.host_compiler import build_shared
from fxpgrad.codegen.native import NativeKernels
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.cases.numbers import integers
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.registry import kernel_named, kernels
from fxpgrad_kernels.spec import INT_RANGES
from tests.kernels.c_port_call import check_port_case

FILTERS = 5  # four at a time, and one alone
WINDOW = {"stride_h": 1, "stride_w": 1, "pad_top": 0, "pad_left": 0}
DILATION = {"dilation_h": 1, "dilation_w": 1}


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> NativeKernels:
    """Return the ports, compiled so that a sum which leaves int32 comes out wrong."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    path: Path = tmp_path_factory.mktemp("ports") / "ports.so"
    return NativeKernels(build_shared(path, compiler="gcc", flags=("-O2", "-fwrapv")))


def extreme(name: str, shapes: dict[str, tuple[int, ...]], parameters: dict[str, int]) -> Case:
    """Return a case of largest products, where every parameter that is not given takes its default."""
    spec = kernel_named(name)
    case: Case = {"shapes": {"output": shapes["output"]}, "output_size": shapes["output"][1:3]}
    for argument in spec.arguments:
        if argument.name in parameters:
            case[argument.name] = parameters[argument.name]
        elif argument.role == "parameter":
            case[argument.name] = {
                "rounding": int(Rounding.DOUBLE_AWAY), "output_zero_point": 0,
                "clamp_low": argument.low, "clamp_high": argument.high, "groups": 1,
            }.get(argument.name, argument.high)  # fmt: skip
        elif argument.role in ("input", "constant"):
            value = {"multiplier": 2**30, "shift": -8, "bias": 1}.get(argument.name)
            low, _ = INT_RANGES[argument.dtype]
            full = np.full(shapes[argument.name], low if value is None else value, argument.dtype)
            case[argument.name] = full
    return case


def dense(name: str, length: int) -> Case:
    shapes = {"input": (1, length), "weights": (FILTERS, length), "output": (1, FILTERS)}
    return extreme(name, {**shapes, **per_filter(FILTERS)}, {})


def convolution(name: str, length: int) -> Case:
    shapes = {"input": (1, 1, 1, length), "weights": (FILTERS, 1, 1, length), "output": (1, 1, 1, FILTERS)}
    return extreme(name, {**shapes, **per_filter(FILTERS)}, {**WINDOW, **DILATION})


def depthwise(name: str, taps: int) -> Case:
    shapes = {"input": (1, 1, taps, 1), "weights": (1, 1, taps, FILTERS), "output": (1, 1, 1, FILTERS)}
    return extreme(name, {**shapes, **per_filter(FILTERS)}, {**WINDOW, **DILATION})


def product(name: str, depth: int) -> Case:
    shapes = {"input_a": (depth,), "input_b": (depth * 2,), "output": (2,), "multiplier": (1,), "shift": (1,)}
    return extreme(name, shapes, {"rows": 1, "columns": 2, "depth": depth, "adjoint_a": 0, "adjoint_b": 0})


def per_filter(filters: int) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(("bias", "multiplier", "shift"), (filters,))


W8, W16, A16 = 65_793, 257, 255  # products of the largest magnitude that fit int32
CASES: list[tuple[Callable[[str, int], Case], str, int]] = [
    (dense, "fully_connected_accumulate_a8w8", W8),
    (dense, "fully_connected_accumulate_a8w16", W16),
    (dense, "fully_connected_a8w8", W8),
    (dense, "fully_connected_a8w16", W16),
    (dense, "fully_connected_a8w16_split", W8),
    (dense, "fully_connected_a16w8", A16),
    (convolution, "conv2d_a8w8", W8),
    (convolution, "conv2d_a8w16", W16),
    (convolution, "conv2d_a8w16_split", W8),
    (convolution, "conv2d_a16w8", A16),
    (convolution, "transpose_conv2d_a8w8", W8),
    (convolution, "transpose_conv2d_a8w16", W16),
    (convolution, "transpose_conv2d_a16w8", A16),
    (depthwise, "depthwise_conv2d_a8w8", W8),
    (depthwise, "depthwise_conv2d_a8w16", W16),
    (depthwise, "depthwise_conv2d_a8w16_split", W8),
    (depthwise, "depthwise_conv2d_a16w8", 511),
    (product, "batch_matmul_a8", 2**14),
    (product, "batch_matmul_a16", 2**14),
]


@pytest.mark.parametrize(("draw", "name", "block"), CASES)
def test_sums_are_exact_beyond_a_block(
    draw: Callable[[str, int], Case], name: str, block: int, native: NativeKernels
) -> None:
    for length in (block, block + 1, 2 * block + 1, 3 * block):
        case = draw(name, length)
        check_port_case(kernel_named(name), native, case, lambda _, values: np.array(values))


@pytest.mark.parametrize("name", [n for n in kernels() if "conv2d_" in n and "transpose" not in n])
def test_dilated_windows(name: str, native: NativeKernels) -> None:
    rng, spec = np.random.default_rng(0), kernel_named(name)
    weights = (1, 3, 3, FILTERS) if "depthwise" in name else (FILTERS, 3, 3, 1)
    shapes = {"input": (2, 6, 7, 1), "weights": weights, "output": (2, 5, 4, FILTERS), **per_filter(FILTERS)}
    for dilation_h, dilation_w in ((1, 2), (2, 1), (2, 3), (4, 4)):
        geometry = {"stride_h": 1, "stride_w": 2, "pad_top": 2, "pad_left": 1}
        dilation = {"dilation_h": dilation_h, "dilation_w": dilation_w}
        case = extreme(name, shapes, {**geometry, **dilation, "input_zero_point": -3})
        case |= {a: integers(rng, shapes[a], case[a].dtype.name) for a in ("input", "weights")}
        check_port_case(spec, native, case, lambda _, values: np.array(values))
