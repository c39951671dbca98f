"""Make tflm_reduction.npz: softmax, reductions, pools and resizing, run by TFLite-Micro's reference kernels.

Needs the PyPI package tflite-micro in an environment of its own::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_reduction.py

Every array is stored as "<operator>/<case>/<name>": input, output, axes; "numbers" is a JSON text with scales
(exact in float32), zero points and the operator's attributes. Axes do not count the batch, which is the first
axis of every tensor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator

SEED = 20261123
BATCH = 2
REDUCED_BATCH = 12  # few results come of many elements
Case = dict[str, Any]


def float32(value: float) -> float:
    """Return the float32 nearest to `value`, as a double."""
    return float(np.float32(value))


def rows(rng: np.random.Generator, depth: int, dtype: str) -> Array:
    """Return rows that are spread, nearly flat, flat, of two values, and with one peak."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    spread = rng.integers(low, high, depth, dtype, endpoint=True)
    near = rng.integers(-3, 4, depth) * (1 if dtype == "int8" else 50) + int(rng.integers(-90, 90))
    flat = np.full(depth, int(rng.integers(low, high + 1)))
    two = rng.choice([low, high], depth)
    peak = np.full(depth, low)
    peak[int(rng.integers(depth))] = high
    small = spread // 16
    return np.stack([spread, near, flat, two, peak, small]).astype(dtype)


def one_input(
    name: str, x: Array, source: tuple[float, int], target: tuple[str, float, int], shape: tuple[int, ...],
    version: int, kind: str, extra: Array | None = None, **attributes: Any,
) -> Array:  # fmt: skip
    """Run an operator of one activation and, at most, one int32 constant."""
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, x.dtype.name, *source)]
    operands = list(net.graph.inputs)
    if extra is not None:
        operands.append(net.tensor(extra.shape, "int32", data=extra))
    output = net.tensor(shape, target[0], target[1], target[2])
    net.operator(name, version, operands, output, kind, **attributes)
    return net.run(x)


SOFTMAX = [  # scale, beta, depth
    (0.1, 1.0, 10), (1 / 16, 1.0, 12), (0.5, 0.7, 7), (1.0, 1.0, 3), (0.003, 1.0, 100), (2.0**-20, 3.0, 5),
    (40.0, 1.0, 6), (1 / 128, 8.0, 150), (0.02, 0.01, 9), (0.25, 2.0, 1), (0.06, 1.0, 260), (0.17, 1.0, 2),
]  # fmt: skip


def softmax(rng: np.random.Generator, case: int, source: str, target: str) -> Case:
    """Run SOFTMAX."""
    scale, beta, depth = SOFTMAX[case]
    if source == "int16":
        scale /= 200.0
    scale, beta = float32(scale), float32(beta)
    x = rows(rng, depth, source)
    result = (
        {"int8": (2.0**-8, -128), "int16": (2.0**-16, -32768)}[target] if source == "int8" else (2.0**-15, 0)
    )
    y = one_input("SOFTMAX", x, (scale, 0), (target, *result), x.shape, 2, "SoftmaxOptions", beta=beta)
    return {"input": x, "scale": scale, "beta": beta, "output": y}


def log_softmax(rng: np.random.Generator, case: int) -> Case:
    """Run LOG_SOFTMAX."""
    scale, _, depth = SOFTMAX[case]
    x = rows(rng, depth, "int8")
    scale = float32(scale)
    target = ("int8", 16.0 / 256.0, 127)
    y = one_input("LOG_SOFTMAX", x, (scale, 5), target, x.shape, 1, "LogSoftmaxOptions")
    return {"input": x, "scale": scale, "output": y}


AXES = [  # shape without the batch, reduced axes without the batch
    ((7, 7, 5), (0, 1)), ((4, 6), (1,)), ((4, 6), (0,)), ((3, 2, 5), (1,)), ((3, 4, 5), (0, 2)),
    ((40, 3, 2), (0, 1)), ((5, 4, 3), (1, 2)), ((9, 9, 2), (0, 1)),
]  # fmt: skip


def reduction(rng: np.random.Generator, case: int, name: str, dtype: str) -> Case:
    """Run MEAN, SUM or REDUCE_MAX; MEAN also between equal quantizations, REDUCE_MAX always."""
    shape, axes = AXES[case % len(AXES)]
    keep = bool(case % 2)
    size = np.prod([shape[axis] for axis in axes]) if name == "SUM" else 1
    source = float32(rng.choice([0.5, 0.25, rng.uniform(0.01, 0.2)]))
    target = float32(source * rng.choice([1.0, 0.5, 2.0, rng.uniform(0.4, 1.8)]) * np.sqrt(size))
    zeros = [int(z) for z in rng.choice([-128, -5, 0, 4, 127], 2)] if dtype == "int8" else [0, 0]
    if name == "REDUCE_MAX" or (name == "MEAN" and case >= len(AXES)):
        target, zeros = source, [zeros[0]] * 2
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (REDUCED_BATCH, *shape), dtype, endpoint=True)
    if case % 3 == 0:
        x = (x // (9 if dtype == "int8" else 2000)).astype(dtype)
    listed = np.array([axis + 1 for axis in axes], np.int32)
    kept = (1 if axis in axes else extent for axis, extent in enumerate(shape))
    rest = (extent for axis, extent in enumerate(shape) if axis not in axes)
    result = (REDUCED_BATCH, *(kept if keep else rest))
    y = one_input(
        name,
        x,
        (source, zeros[0]),
        (dtype, target, zeros[1]),
        result,
        2,
        "ReducerOptions",
        listed,
        keepDims=keep,
    )
    return {
        **{"input": x, "axes": np.array(axes), "keep_dims": int(keep), "output": y},
        **{"input_scale": source, "output_scale": target},
        **{"input_zero_point": zeros[0], "output_zero_point": zeros[1]},
    }


def arg(rng: np.random.Generator, case: int, name: str) -> Case:
    """Run ARG_MAX or ARG_MIN; half of the cases are full of equals."""
    shape, axes = AXES[case]
    x = (
        rng.integers(-128, 128, (BATCH, *shape), np.int8)
        if case % 2
        else rng.integers(-2, 3, (BATCH, *shape))
    )
    rest = tuple(extent for axis, extent in enumerate(shape) if axis != axes[0])
    kind = "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions"
    x = x.astype(np.int8)
    listed = np.array([axes[0] + 1], np.int32)
    y = one_input(name, x, (0.5, 3), ("int32", 0.0, 0), (BATCH, *rest), 2, kind, listed, outputType=2)
    return {"input": x, "axis": axes[0], "output": y}


def l2_normalization(rng: np.random.Generator, case: int) -> Case:
    """Run L2_NORMALIZATION; rows at the zero point have no length."""
    depth = [1, 3, 16, 100, 2, 7, 300, 33][case]
    zero_point = int(rng.choice([-128, -5, 0, 4, 127]))
    x = rows(rng, depth, "int8")
    x[2] = zero_point
    if case % 2:
        x[5] = np.clip(zero_point + rng.integers(-1, 2, depth), -128, 127)
    target = ("int8", 2.0**-7, 0)
    y = one_input("L2_NORMALIZATION", x, (0.1, zero_point), target, x.shape, 2, "L2NormOptions")
    return {"input": x, "input_zero_point": zero_point, "output": y}


SIZES = [
    ((3, 4), (7, 9)),
    ((5, 5), (3, 2)),
    ((4, 3), (4, 6)),
    ((1, 6), (5, 1)),
    ((8, 8), (5, 13)),
    ((2, 2), (9, 9)),
]


def resize_bilinear(rng: np.random.Generator, case: int) -> Case:
    """Run RESIZE_BILINEAR in each of its three modes."""
    size, target = SIZES[case // 3]
    align, half = [(0, 0), (1, 0), (0, 1)][case % 3]
    x = rng.integers(-128, 128, (BATCH, *size, 3), np.int8)
    if case % 4 == 0:
        x = rng.choice([-128, -1, 0, 1, 127], x.shape).astype(np.int8)
    y = one_input(
        "RESIZE_BILINEAR", x, (0.5, 9), ("int8", 0.5, 9), (BATCH, *target, 3), 3, "ResizeBilinearOptions",
        np.array(target, np.int32), alignCorners=bool(align), halfPixelCenters=bool(half),
    )  # fmt: skip
    return {"input": x, "align_corners": align, "half_pixel_centers": half, "output": y}


def pool(rng: np.random.Generator, case: int, name: str) -> Case:
    """Run AVERAGE_POOL_2D or MAX_POOL_2D on int16."""
    del case
    size, stride, extents = rng.integers(1, 5, 2), rng.integers(1, 4, 2), rng.integers(4, 9, 2)
    same = bool(rng.random() < 0.5)
    relu = bool(rng.random() < 0.3)
    counts, before = [], []
    for extent, reach, step in zip(extents.tolist(), size.tolist(), stride.tolist(), strict=True):
        count = -(-extent // step) if same else (extent - reach) // step + 1
        counts.append(count)
        before.append(max(0, (count - 1) * step + reach - extent) // 2 if same else 0)
    x = rng.integers(-32768, 32768, (BATCH, *extents.tolist(), 3), np.int16)
    if rng.random() < 0.5:
        x = rng.integers(-3, 4, x.shape, np.int16)
    y = one_input(
        name, x, (0.5, 0), ("int16", 0.5, 0), (BATCH, *counts, 3), 3, "Pool2DOptions", padding=int(not same),
        strideH=int(stride[0]), strideW=int(stride[1]), filterHeight=int(size[0]), filterWidth=int(size[1]),
        fusedActivationFunction=int(relu),
    )  # fmt: skip
    return {
        **{"input": x, "output": y, "size_h": size[0], "size_w": size[1]},
        **{"stride_h": stride[0], "stride_w": stride[1], "pad_top": before[0], "pad_left": before[1]},
        **{"clamp_low": 0 if relu else -32768, "clamp_high": 32767},
    }


Maker = Callable[[np.random.Generator, int], Case]
MAKERS: dict[str, tuple[int, Maker]] = {
    "softmax_a8": (len(SOFTMAX), lambda rng, case: softmax(rng, case, "int8", "int8")),
    "softmax_a8_a16": (len(SOFTMAX), lambda rng, case: softmax(rng, case, "int8", "int16")),
    "softmax_a16": (len(SOFTMAX), lambda rng, case: softmax(rng, case, "int16", "int16")),
    "log_softmax": (len(SOFTMAX), log_softmax),
    "mean_a8": (2 * len(AXES), lambda rng, case: reduction(rng, case, "MEAN", "int8")),
    "mean_a16": (2 * len(AXES), lambda rng, case: reduction(rng, case, "MEAN", "int16")),
    "sum_a8": (len(AXES), lambda rng, case: reduction(rng, case, "SUM", "int8")),
    "sum_a16": (len(AXES), lambda rng, case: reduction(rng, case, "SUM", "int16")),
    "reduce_max": (len(AXES), lambda rng, case: reduction(rng, case, "REDUCE_MAX", "int8")),
    "arg_max": (len(AXES), lambda rng, case: arg(rng, case, "ARG_MAX")),
    "arg_min": (len(AXES), lambda rng, case: arg(rng, case, "ARG_MIN")),
    "l2_normalization": (8, l2_normalization),
    "resize_bilinear": (3 * len(SIZES), resize_bilinear),
    "average_pool2d_a16": (8, lambda rng, case: pool(rng, case, "AVERAGE_POOL_2D")),
    "max_pool2d_a16": (8, lambda rng, case: pool(rng, case, "MAX_POOL_2D")),
}


def main() -> None:
    """Write the file next to this script."""
    arrays: dict[str, Any] = {}
    for position, (name, (count, maker)) in enumerate(MAKERS.items()):
        for case in range(count):
            made = maker(np.random.default_rng([SEED, position, case]), case)
            numbers = {key: value for key, value in made.items() if np.ndim(value) == 0}
            tensors = {key: value for key, value in made.items() if np.ndim(value) > 0}
            arrays |= {f"{name}/{case}/{key}": value for key, value in tensors.items()}
            arrays[f"{name}/{case}/numbers"] = np.array(json.dumps(numbers, default=int))
    np.savez_compressed(Path(__file__).with_name("tflm_reduction.npz"), **arrays)


if __name__ == "__main__":
    main()
