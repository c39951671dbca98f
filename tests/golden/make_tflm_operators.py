"""Make tflm_operators.npz: one-operator int8 models run by TFLite-Micro's reference kernels.

Needs the PyPI package tflite-micro in an environment of its own::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_operators.py

Every array is stored as "<operator>/<case>/<name>". The names are those of this project's kernel
arguments: input, weights (OHWI, 1HWC or [out, in]), bias, strides, padding before the image, zero
points, clamp bounds. Real scales are stored in float64 (each is exact in float32), so that a reader
derives multipliers itself; output is what TFLite-Micro returned.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator

SEED = 20261122
CASES = 8
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
BOUNDS = {
    "none": (-np.inf, np.inf),
    "relu": (0.0, np.inf),
    "relu_n1_to_1": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
}


def scale_near(rng: np.random.Generator, size: float, exact: bool) -> float:
    """Return a scale near `size` of 11 significant bits, or a power of two.

    Products of two such scales are exact in float32, so that no rule of deriving multipliers is favoured.
    """
    if exact:
        return float(2.0 ** np.round(np.log2(size)))
    mantissa, exponent = np.frexp(size * rng.uniform(0.6, 1.6))
    return float(np.ldexp(np.round(mantissa * 2048), int(exponent) - 11))


def activation_for(rng: np.random.Generator, scale: float, zero_point: int) -> tuple[int, dict[str, int]]:
    """Return a fused activation's code and the int8 bounds that it means."""
    name = str(rng.choice(list(ACTIVATIONS), p=[0.7, 0.1, 0.1, 0.1]))
    # Half away from zero: np.round would send halves to even.
    steps = (np.copysign(np.floor(abs(bound) / scale + 0.5), bound) for bound in BOUNDS[name])
    low, high = (np.clip(step + zero_point, -128, 127) for step in steps)
    return ACTIVATIONS[name], {"clamp_low": int(low), "clamp_high": int(high)}


def window_for(extent: int, reach: int, stride: int, same: bool) -> tuple[int, int]:
    """Return output size and padding before the image, by TFLite's SAME or VALID rule."""
    if not same:
        return (extent - reach) // stride + 1, 0
    output = -(-extent // stride)
    return output, max(0, (output - 1) * stride + reach - extent) // 2


def values(rng: np.random.Generator, shape: tuple[int, ...], low: int = -128) -> Array:
    """Return int8 values, a fifth of them at the ends of the range."""
    x = rng.integers(low, 128, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([low, 127], shape), x).astype(np.int8)


def small(weights: Array) -> Array:
    """Return the weights within -3 to 3: few bits are rounded off, so that ties are common."""
    return (weights % 7 - 3).astype(np.int8)


def convolution(rng: np.random.Generator, depthwise: bool, exact: bool) -> dict[str, Any]:
    """Run CONV_2D or DEPTHWISE_CONV_2D with per-channel weights."""
    kernel, stride = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    dilation = rng.integers(1, 3, 2) if (stride == 1).all() else np.array([1, 1])
    channels, multiplicity = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    outputs = channels * multiplicity if depthwise else int(rng.integers(1, 9))
    reach = (kernel - 1) * dilation + 1
    height, width = (int(n) for n in reach + rng.integers(1, 5, 2))
    same = bool(rng.random() < 0.5)
    oh, top = window_for(height, int(reach[0]), int(stride[0]), same)
    ow, left = window_for(width, int(reach[1]), int(stride[1]), same)
    taps = int(kernel.prod()) * (1 if depthwise else channels)
    shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, channels)
    input_scale = scale_near(rng, 0.05, exact)
    weights_scale = np.array([scale_near(rng, 0.02 * rng.uniform(0.7, 3), exact) for _ in range(outputs)])
    output_scale = scale_near(rng, (0.01 if exact else 0.1) * np.sqrt(taps), exact)
    zero_in, zero_out = (int(z) for z in rng.choice([-128, -3, 0, 4, 127], 2))
    code, bounds = activation_for(rng, output_scale, zero_out)
    x, w = values(rng, (2, height, width, channels)), values(rng, tuple(int(n) for n in shape), -127)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    if exact:
        w, bias = small(w), bias // 20
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, "int8", input_scale, zero_in)]
    filters = net.tensor(w.shape, "int8", weights_scale, 0, w, axis=3 if depthwise else 0)
    offsets = net.tensor(bias.shape, "int32", input_scale * weights_scale, 0, bias)
    output = net.tensor((2, oh, ow, outputs), "int8", output_scale, zero_out)
    common: dict[str, Any] = {
        "padding": 0 if same else 1,
        "strideH": int(stride[0]),
        "strideW": int(stride[1]),
        "dilationHFactor": int(dilation[0]),
        "dilationWFactor": int(dilation[1]),
        "fusedActivationFunction": code,
    }
    operands = [net.graph.inputs[0], filters, offsets]
    if depthwise:
        kind = "DepthwiseConv2DOptions"
        net.operator("DEPTHWISE_CONV_2D", 3, operands, output, kind, depthMultiplier=multiplicity, **common)
    else:
        net.operator("CONV_2D", 3, operands, output, "Conv2DOptions", **common)
    return {
        **{"input": x, "weights": w, "bias": bias, "output": net.run(x)},
        **{"input_scale": input_scale, "weights_scale": weights_scale, "output_scale": output_scale},
        **{"input_zero_point": zero_in, "output_zero_point": zero_out, **bounds},
        **{
            "stride_h": stride[0],
            "stride_w": stride[1],
            "dilation_h": dilation[0],
            "dilation_w": dilation[1],
        },
        **{"pad_top": top, "pad_left": left},
    }


def conv2d(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run CONV_2D."""
    return convolution(rng, False, exact)


def depthwise_conv2d(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run DEPTHWISE_CONV_2D."""
    return convolution(rng, True, exact)


def fully_connected(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run FULLY_CONNECTED with per-tensor weights."""
    batch, depth, outputs = (int(n) for n in rng.integers((3, 3, 10), (9, 60, 40)))
    input_scale, weights_scale = scale_near(rng, 0.05, exact), scale_near(rng, 0.02, exact)
    output_scale = scale_near(rng, (0.01 if exact else 0.1) * np.sqrt(depth), exact)
    zero_in, zero_out = (int(z) for z in rng.choice([-128, -3, 0, 4, 127], 2))
    code, bounds = activation_for(rng, output_scale, zero_out)
    x, w = values(rng, (batch, depth)), values(rng, (outputs, depth), -127)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    if exact:
        w, bias = small(w), bias // 20
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, "int8", input_scale, zero_in)]
    filters = net.tensor(w.shape, "int8", weights_scale, 0, w)
    offsets = net.tensor(bias.shape, "int32", input_scale * weights_scale, 0, bias)
    output = net.tensor((batch, outputs), "int8", output_scale, zero_out)
    operands = [net.graph.inputs[0], filters, offsets]
    net.operator(
        "FULLY_CONNECTED", 4, operands, output, "FullyConnectedOptions", fusedActivationFunction=code
    )
    return {
        **{"input": x, "weights": w, "bias": bias, "output": net.run(x)},
        **{"input_scale": input_scale, "weights_scale": np.full(outputs, weights_scale)},
        **{
            "output_scale": output_scale,
            "input_zero_point": zero_in,
            "output_zero_point": zero_out,
            **bounds,
        },
    }


def pool(rng: np.random.Generator, name: str) -> dict[str, Any]:
    """Run MAX_POOL_2D or AVERAGE_POOL_2D."""
    size, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    height, width = (int(n) for n in size + rng.integers(0, 5, 2))
    same = bool(rng.random() < 0.6)
    oh, top = window_for(height, int(size[0]), int(stride[0]), same)
    ow, left = window_for(width, int(size[1]), int(stride[1]), same)
    scale, zero, channels = (
        scale_near(rng, 0.05, False),
        int(rng.choice([-128, -3, 0, 5])),
        int(rng.integers(3, 9)),
    )
    code, bounds = activation_for(rng, scale, zero)
    x = values(rng, (2, height, width, channels))
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, "int8", scale, zero)]
    output = net.tensor((2, oh, ow, channels), "int8", scale, zero)
    net.operator(
        name,
        2,
        net.graph.inputs,
        output,
        "Pool2DOptions",
        padding=0 if same else 1,
        strideH=int(stride[0]),
        strideW=int(stride[1]),
        filterHeight=int(size[0]),
        filterWidth=int(size[1]),
        fusedActivationFunction=code,
    )
    return {
        **{
            "input": x,
            "output": net.run(x),
            "size_h": size[0],
            "size_w": size[1],
            "pad_top": top,
            "pad_left": left,
        },
        **{
            "stride_h": stride[0],
            "stride_w": stride[1],
            "input_scale": scale,
            "input_zero_point": zero,
            **bounds,
        },
    }


def max_pool2d(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run MAX_POOL_2D."""
    del exact
    return pool(rng, "MAX_POOL_2D")


def average_pool2d(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run AVERAGE_POOL_2D."""
    del exact
    return pool(rng, "AVERAGE_POOL_2D")


def add(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run ADD on two tensors of different scales."""
    scale_a, scale_b = scale_near(rng, 0.05, exact), scale_near(rng, 0.05 * 4 ** rng.uniform(-2, 2), exact)
    scale_out = scale_near(rng, 1.5 * max(scale_a, scale_b), exact)
    zero_a, zero_b, zero_out = (int(z) for z in rng.choice([-128, -3, 0, 5, 127], 3))
    code, bounds = activation_for(rng, scale_out, zero_out)
    a, b = values(rng, (200,)), values(rng, (200,))
    net = OneOperator()
    net.graph.inputs = [
        net.tensor(a.shape, "int8", scale_a, zero_a),
        net.tensor(b.shape, "int8", scale_b, zero_b),
    ]
    output = net.tensor(a.shape, "int8", scale_out, zero_out)
    net.operator("ADD", 2, net.graph.inputs, output, "AddOptions", fusedActivationFunction=code)
    return {
        **{
            "input_a": a,
            "input_b": b,
            "output": net.run(a, b),
            "input_a_scale": scale_a,
            "input_b_scale": scale_b,
        },
        **{"output_scale": scale_out, "input_a_zero_point": zero_a, "input_b_zero_point": zero_b},
        **{"output_zero_point": zero_out, **bounds},
    }


def global_average_pool2d(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run MEAN over height and width."""
    batch, height, width, channels = (int(n) for n in rng.integers((2, 1, 1, 5), (5, 9, 9, 30)))
    scale_in = scale_near(rng, 0.05, exact)
    scale_out = scale_near(rng, 0.05 / np.sqrt(height * width), exact)
    zero_in, zero_out = (int(z) for z in rng.choice([-128, -3, 0, 5, 127], 2))
    x = values(rng, (batch, height, width, channels))
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, "int8", scale_in, zero_in)]
    axes = net.tensor((2,), "int32", data=np.array([1, 2], np.int32))
    output = net.tensor((batch, channels), "int8", scale_out, zero_out)
    net.operator("MEAN", 2, [net.graph.inputs[0], axes], output, "ReducerOptions", keepDims=False)
    return {
        **{"input": x, "output": net.run(x), "input_scale": scale_in, "output_scale": scale_out},
        **{"input_zero_point": zero_in, "output_zero_point": zero_out},
    }


def quantize(rng: np.random.Generator, exact: bool) -> dict[str, Any]:
    """Run QUANTIZE from int8 to int8 on all 256 values."""
    scale_in = scale_near(rng, 0.05, exact)
    scale_out = scale_near(rng, 0.05 * 8 ** rng.uniform(-1, 1), exact)
    zero_in, zero_out = (int(z) for z in rng.choice([-128, -3, 0, 5, 127], 2))
    x = np.arange(-128, 128).astype(np.int8)
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, "int8", scale_in, zero_in)]
    output = net.tensor(x.shape, "int8", scale_out, zero_out)
    net.operator("QUANTIZE", 2, net.graph.inputs, output, "QuantizeOptions")
    return {
        **{"input": x, "output": net.run(x), "input_scale": scale_in, "output_scale": scale_out},
        **{"input_zero_point": zero_in, "output_zero_point": zero_out},
    }


OPERATORS = (
    conv2d,
    depthwise_conv2d,
    fully_connected,
    max_pool2d,
    average_pool2d,
    add,
    global_average_pool2d,
    quantize,
)


def main() -> None:
    """Write the vectors and their provenance beside this file."""
    stored: dict[str, Array] = {}
    counts = {}
    for number, operator in enumerate(OPERATORS):
        name = operator.__name__
        for case in range(CASES):
            rng = np.random.default_rng([SEED, number, case])
            for key, value in operator(rng, case % 2 == 1).items():
                stored[f"{name}/{case}/{key}"] = np.asarray(value)
        counts[name] = sum(stored[f"{name}/{case}/output"].size for case in range(CASES))
    here = Path(__file__).resolve().parent
    np.savez_compressed(here / "tflm_operators.npz", **stored)  # type: ignore[arg-type]
    provenance = {
        "made_by": Path(__file__).name,
        "oracle": "TFLite-Micro reference kernels through the PyPI package tflite-micro (Apache-2.0)",
        "versions": {name: version(name) for name in ("tflite-micro", "flatbuffers", "numpy")},
        "profile": "tflite_double",
        "seed": SEED,
        "cases_per_operator": CASES,
        "odd_cases": "power-of-two scales: exact ties of both signs",
        "output_elements": counts,
    }
    (here / "tflm_operators.json").write_text(json.dumps(provenance, indent=2) + "\n")


if __name__ == "__main__":
    main()
