"""Make tflm_weighted.npz: one-operator models with weights (or two matrices), run by TFLite-Micro.

Needs the PyPI package tflite-micro in an environment of its own::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_weighted.py

Every array is stored as "<family>/<case>/<name>", named after this project's kernel arguments; numbers are in
one JSON text, "<family>/<case>/numbers". Scales are stored in float64 and are exact in float32; their
products are not. Cases of odd number have power-of-two scales: exact ties. `output` is
what TFLite-Micro returned; for svdf it holds one output for each of the steps of `input`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator, runtime

SEED = 20261123
CASES = 4
ZERO_POINTS = [-128, -3, 0, 4, 127]
Case = dict[str, Any]


def scale_near(rng: np.random.Generator, size: float, exact: bool) -> float:
    """Return a float32 near `size` with all its bits in use, or a power of two."""
    return float(2.0 ** np.round(np.log2(size))) if exact else float(np.float32(size * rng.uniform(0.7, 1.5)))


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Return values of the whole range, a fifth of them at its ends."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x = rng.integers(low, high + 1, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), x).astype(dtype)


def filters(rng: np.random.Generator, shape: tuple[int, ...], exact: bool) -> Array:
    """Return int8 weights; small ones for exact scales, so that few bits are rounded off: ties."""
    high = 3 if exact else 127
    return rng.integers(-high, high + 1, shape).astype(np.int8)


def zero_points(rng: np.random.Generator, dtype: str, count: int) -> list[int]:
    """Return zero points: any for int8, 0 for int16."""
    return [int(z) for z in rng.choice(ZERO_POINTS, count)] if dtype == "int8" else [0] * count


def window(extent: int, reach: int, stride: int, same: bool) -> tuple[int, int]:
    """Return output size and padding before the image, by TFLite's SAME or VALID rule."""
    if not same:
        return (extent - reach) // stride + 1, 0
    count = -(-extent // stride)
    return count, max(0, (count - 1) * stride + reach - extent) // 2


def bias_values(rng: np.random.Generator, outputs: int, exact: bool) -> Array:
    """Return biases of the size of the sums."""
    return rng.integers(-200, 201, outputs) if exact else rng.integers(-30000, 30001, outputs)


def convolution(rng: np.random.Generator, dtype: str, bias: str, exact: bool, depthwise: bool) -> Case:
    """Run CONV_2D (grouped now and then) or DEPTHWISE_CONV_2D; `bias` is a type, or "" for none."""
    kernel, stride = rng.integers(2, 4, 2), rng.integers(1, 3, 2)
    dilation = rng.integers(1, 3, 2) if (stride == 1).all() else np.array([1, 1])
    groups = 1 if depthwise else int(rng.choice([1, 2, 3]))
    channels, factor = groups * int(rng.integers(1, 4)), int(rng.integers(1, 4))
    outputs = channels * factor if depthwise else groups * factor
    reach = (kernel - 1) * dilation + 1
    height, width = (int(n) for n in reach + rng.integers(1, 4, 2))
    same = bool(rng.random() < 0.7)
    oh, top = window(height, int(reach[0]), int(stride[0]), same)
    ow, left = window(width, int(reach[1]), int(stride[1]), same)
    depth = 1 if depthwise else channels // groups
    shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, depth)
    x, w = values(rng, (2, height, width, channels), dtype), filters(rng, tuple(map(int, shape)), exact)
    scales = layer_scales(rng, dtype, outputs, int(kernel.prod()) * depth, exact)
    zero_in, zero_out = zero_points(rng, dtype, 2)
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, dtype, scales["input_scale"], zero_in)]
    axis = 3 if depthwise else 0
    operands = [net.graph.inputs[0], net.tensor(w.shape, "int8", scales["weights_scale"], 0, w, axis=axis)]
    case = {"input": x, "weights": w, **scales, "input_zero_point": zero_in, "output_zero_point": zero_out}
    operands += add_bias(net, rng, case, bias, outputs, exact)
    output = net.tensor((2, oh, ow, outputs), dtype, scales["output_scale"], zero_out)
    names = ("stride_h", "stride_w", "dilation_h", "dilation_w")
    geometry = dict(zip(names, (*stride, *dilation), strict=True))
    common: dict[str, Any] = {
        "padding": 0 if same else 1,
        "strideH": int(stride[0]),
        "strideW": int(stride[1]),
        "dilationHFactor": int(dilation[0]),
        "dilationWFactor": int(dilation[1]),
    }
    if depthwise:
        common["depthMultiplier"] = factor
        net.operator("DEPTHWISE_CONV_2D", 3, operands, output, "DepthwiseConv2DOptions", **common)
    else:
        net.operator("CONV_2D", 3, operands, output, "Conv2DOptions", **common)
    return {**case, **geometry, "pad_top": top, "pad_left": left, "groups": groups, "output": net.run(x)}


def layer_scales(rng: np.random.Generator, dtype: str, outputs: int, taps: int, exact: bool) -> Case:
    """Return the scales of a layer: sums of about sqrt(taps) products come to about half of the range."""
    x, w = scale_near(rng, 0.05, exact), [scale_near(rng, 0.02, exact) for _ in range(outputs)]
    size = 3 if exact else 70
    wide = x * w[0] * 80 * size * np.sqrt(taps) / 60
    return {
        "input_scale": x,
        "weights_scale": np.array(w),
        "output_scale": scale_near(rng, wide, exact),
    }


def add_bias(
    net: OneOperator, rng: np.random.Generator, case: Case, bias: str, outputs: int, exact: bool
) -> list[int]:
    """Add the bias tensor, if there is one, and store it; return the operands to append."""
    case["bias"] = np.zeros(outputs, np.int64)
    if not bias:
        return []
    wide = 1 if case["input"].dtype == np.int8 else 100
    case["bias"] = bias_values(rng, outputs, exact) * wide
    scale = np.float32(case["input_scale"] * case["weights_scale"]).astype(np.float64)
    return [net.tensor((outputs,), bias, scale, 0, case["bias"].astype(bias))]


def fully_connected(
    rng: np.random.Generator,
    dtype: str,
    bias: str,
    exact: bool,
    per_channel: bool = False,
    zero: int = 0,
    inner: tuple[int, int] | None = None,
) -> Case:
    """Run FULLY_CONNECTED on rows with two leading axes; zero, inner: zero points of weights, activations."""
    depth, outputs = int(rng.integers(3, 50)), int(rng.integers(2, 12))
    x = values(rng, (2, 3, depth), dtype)
    w = filters(rng, (outputs, depth), exact and not zero)
    scales = layer_scales(rng, dtype, outputs, depth, exact)
    if not per_channel:
        scales["weights_scale"][:] = scales["weights_scale"][0]
    zero_in, zero_out = inner or zero_points(rng, dtype, 2)
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, dtype, scales["input_scale"], zero_in)]
    w_scale = scales["weights_scale"] if per_channel else scales["weights_scale"][0]
    case = {"input": x, "weights": w, **scales, "input_zero_point": zero_in, "output_zero_point": zero_out}
    operands = [net.graph.inputs[0], net.tensor(w.shape, "int8", w_scale, zero, w)]
    operands += add_bias(net, rng, case, bias, outputs, exact) or [-1]
    output = net.tensor((2, 3, outputs), dtype, scales["output_scale"], zero_out)
    net.operator("FULLY_CONNECTED", 4, operands, output, "FullyConnectedOptions", keepNumDims=True)
    return {**case, "weights_zero_point": zero, "output": net.run(x)}


def transpose_conv2d(rng: np.random.Generator, dtype: str, bias: str, exact: bool) -> Case:
    """Run TRANSPOSE_CONV, SAME or VALID."""
    kernel, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    height, width, channels, outputs = (int(n) for n in rng.integers(1, 5, 4))
    same = bool(rng.random() < 0.5)
    sizes, pads = [], []
    for extent, reach, step in zip((height, width), kernel, stride, strict=True):
        full = (extent - 1) * int(step) + int(reach)
        # the output size whose convolution has the input as its output
        sizes.append(extent * int(step) if same else max(full, (extent - 1) * int(step) + int(reach)))
        pads.append(window(sizes[-1], int(reach), int(step), same)[1])
    x, w = (
        values(rng, (2, height, width, channels), dtype),
        filters(rng, (outputs, *map(int, kernel), channels), exact),
    )
    scales = layer_scales(rng, dtype, outputs, int(kernel.prod()) * channels, exact)
    zero_in, zero_out = zero_points(rng, dtype, 2)
    net = OneOperator()
    shape = net.tensor((4,), "int32", data=np.array([2, *sizes, outputs], np.int32))
    net.graph.inputs = [net.tensor(x.shape, dtype, scales["input_scale"], zero_in)]
    case = {"input": x, "weights": w, **scales, "input_zero_point": zero_in, "output_zero_point": zero_out}
    operands = [shape, net.tensor(w.shape, "int8", scales["weights_scale"], 0, w), net.graph.inputs[0]]
    operands += add_bias(net, rng, case, bias, outputs, exact)
    output = net.tensor((2, *sizes, outputs), dtype, scales["output_scale"], zero_out)
    options = {"padding": 0 if same else 1, "strideH": int(stride[0]), "strideW": int(stride[1])}
    net.operator("TRANSPOSE_CONV", 3, operands, output, "TransposeConvOptions", **options)
    geometry = {"stride_h": stride[0], "stride_w": stride[1], "pad_top": pads[0], "pad_left": pads[1]}
    return {**case, **geometry, "output": net.run(x)}


def batch_matmul(rng: np.random.Generator, dtype: str, exact: bool) -> Case:
    """Run BATCH_MATMUL with any adjoints."""
    rows, depth, columns = (int(n) for n in rng.integers((1, 2, 1), (6, 30, 6)))
    adjoint_a, adjoint_b = (bool(n) for n in rng.integers(0, 2, 2))
    a = values(rng, (3, depth, rows) if adjoint_a else (3, rows, depth), dtype)
    b = values(rng, (3, columns, depth) if adjoint_b else (3, depth, columns), dtype)
    if exact:
        b = (b % 7 - 3).astype(dtype)
    scale_a, scale_b = scale_near(rng, 0.05, exact), scale_near(rng, 0.02, exact)
    spread = 80 * (3 if exact else 80 if dtype == "int8" else 20000) * np.sqrt(depth) / 60
    scale_out = scale_near(rng, scale_a * scale_b * spread, exact)
    zero_a, zero_b, zero_out = zero_points(rng, dtype, 3)
    net = OneOperator()
    net.graph.inputs = [
        net.tensor(a.shape, dtype, scale_a, zero_a),
        net.tensor(b.shape, dtype, scale_b, zero_b),
    ]
    output = net.tensor((3, rows, columns), dtype, scale_out, zero_out)
    net.operator(
        "BATCH_MATMUL", 2, net.graph.inputs, output, "BatchMatMulOptions", adjX=adjoint_a, adjY=adjoint_b
    )
    return {
        **{"input_a": a, "input_b": b, "rows": rows, "depth": depth, "columns": columns},
        **{
            "adjoint_a": adjoint_a,
            "adjoint_b": adjoint_b,
            "input_a_scale": scale_a,
            "input_b_scale": scale_b,
        },
        **{"output_scale": scale_out, "input_a_zero_point": zero_a, "input_b_zero_point": zero_b},
        **{"output_zero_point": zero_out, "output": net.run(a, b)},
    }


def svdf(rng: np.random.Generator, dtype: str, exact: bool, overflowing: bool = False) -> Case:
    """Run SVDF for several steps, from a fresh state; `overflowing`: sums over time often leave int32."""
    batch, depth, rank, units, memory = (int(n) for n in rng.integers((1, 2, 1, 1, 1), (3, 12, 4, 5, 8)))
    zero_in, zero_out = zero_points(rng, "int8", 2)
    zero_state = int(rng.choice([0, 7, -100])) if dtype == "int8" else 0
    scales = {"input_scale": scale_near(rng, 0.05, exact), "feature_scale": scale_near(rng, 0.02, exact)}
    size = scales["input_scale"] * scales["feature_scale"] * 150 * 70 * np.sqrt(depth)
    scales["state_scale"] = scale_near(rng, size / (60 if dtype == "int8" else 15000), exact)
    scales["time_scale"] = scale_near(rng, 0.01 if dtype == "int8" else 2.0**-15, exact)
    scales["output_scale"] = scale_near(rng, size * 0.6 * np.sqrt(rank * memory) / 60, exact)
    if overflowing:
        memory, scales["state_scale"] = 8, scales["state_scale"] / 4
        scales["state_scale"] = float(np.float32(scales["state_scale"]))
        scales["output_scale"] = scale_near(rng, scales["state_scale"] * 2.0**-15 * 2.0**31 / 100, exact)
    feature = rng.integers(-127, 128, (units * rank, depth)).astype(np.int8)
    time = values(rng, (units * rank, memory), dtype)
    product = scales["state_scale"] * scales["time_scale"]
    bias = np.round(rng.uniform(-20, 20, units) * scales["output_scale"] / product).astype(np.int32)
    steps = rng.integers(-128, 128, (10, batch, depth)).astype(np.int8)
    net = OneOperator()
    net.graph.inputs = [net.tensor((batch, depth), "int8", scales["input_scale"], zero_in)]
    operands = [
        net.graph.inputs[0],
        net.tensor(feature.shape, "int8", scales["feature_scale"], 0, feature),
        net.tensor(time.shape, dtype, scales["time_scale"], 0, time),
        net.tensor(bias.shape, "int32", product, 0, bias),
        net.tensor((batch, time.size), dtype, scales["state_scale"], zero_state, is_variable=True),
    ]
    output = net.tensor((batch, units), "int8", scales["output_scale"], zero_out)
    net.operator("SVDF", 2, operands, output, "SVDFOptions", rank=rank)
    interpreter = runtime.Interpreter.from_bytes(net.content(), arena_size=2**20)
    outputs = []
    for step in steps:
        interpreter.set_input(step, 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)))
    return {
        **{"input": steps, "feature_weights": feature, "time_weights": time, "bias": bias, "rank": rank},
        **scales,
        **{"input_zero_point": zero_in, "state_zero_point": zero_state, "output_zero_point": zero_out},
        "output": np.array(outputs),
    }


FAMILIES: dict[str, Any] = {
    "conv2d_a8w8": lambda rng, exact: convolution(rng, "int8", "int32", exact, False),
    "depthwise_conv2d_a8w8": lambda rng, exact: convolution(rng, "int8", "int32", exact, True),
    "conv2d_a16w8_bias64": lambda rng, exact: convolution(rng, "int16", "int64", exact, False),
    "conv2d_a16w8_bias32": lambda rng, exact: convolution(rng, "int16", "int32", exact, False),
    "conv2d_a16w8_no_bias": lambda rng, exact: convolution(rng, "int16", "", exact, False),
    "depthwise_conv2d_a16w8_bias64": lambda rng, exact: convolution(rng, "int16", "int64", exact, True),
    "depthwise_conv2d_a16w8_no_bias": lambda rng, exact: convolution(rng, "int16", "", exact, True),
    "fully_connected_a16w8_bias64": lambda rng, exact: fully_connected(rng, "int16", "int64", exact),
    "fully_connected_a16w8_bias32": lambda rng, exact: fully_connected(rng, "int16", "int32", exact),
    "fully_connected_a16w8_no_bias": lambda rng, exact: fully_connected(rng, "int16", "", exact),
    "fully_connected_a16w8_per_channel": lambda rng, exact: fully_connected(
        rng, "int16", "int64", exact, True
    ),
    "fully_connected_a16w8_zero_points": lambda rng, exact: fully_connected(
        rng, "int16", "int64", False, inner=(int(rng.integers(-9999, 9999)), 77)
    ),
    "fully_connected_a16w8_zero_points_bias32": lambda rng, exact: fully_connected(
        rng, "int16", "int32", False, inner=(int(rng.integers(-9999, 9999)), 77)
    ),
    "fully_connected_a8w8": lambda rng, exact: fully_connected(rng, "int8", "int32", exact),
    "fully_connected_per_channel": lambda rng, exact: fully_connected(rng, "int8", "int32", exact, True),
    "fully_connected_zero_point": lambda rng, exact: fully_connected(
        rng, "int8", "int32", exact, zero=int(rng.choice([-128, -7, 1, 127]))
    ),
    "transpose_conv2d_a8w8": lambda rng, exact: transpose_conv2d(rng, "int8", "int32", exact),
    "transpose_conv2d_a16w8_bias64": lambda rng, exact: transpose_conv2d(rng, "int16", "int64", exact),
    "transpose_conv2d_a16w8_no_bias": lambda rng, exact: transpose_conv2d(rng, "int16", "", exact),
    "batch_matmul_a8": lambda rng, exact: batch_matmul(rng, "int8", exact),
    "batch_matmul_a16": lambda rng, exact: batch_matmul(rng, "int16", exact),
    "svdf_a8": lambda rng, exact: svdf(rng, "int16", exact),
    "svdf_a8_s8": lambda rng, exact: svdf(rng, "int8", exact),
    "svdf_a8_overflowing": lambda rng, exact: svdf(rng, "int16", exact, True),
}


def main() -> None:
    """Write the vectors beside this file."""
    stored: dict[str, Array] = {}
    for number, (name, make) in enumerate(FAMILIES.items()):
        for case in range(CASES):
            rng = np.random.default_rng([SEED, number, case])
            numbers = {}
            for key, value in make(rng, case % 2 == 1).items():
                if np.ndim(value):
                    stored[f"{name}/{case}/{key}"] = np.asarray(value)
                else:
                    numbers[key] = np.asarray(value).item()
            stored[f"{name}/{case}/numbers"] = np.array(json.dumps(numbers))
    here = Path(__file__).resolve().parent
    np.savez_compressed(here / "tflm_weighted.npz", **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
