"""Make tflm_formation.npz: how TFLite-Micro forms a real multiplier from scales, operator by operator.

Needs the environment of make_tflm_weighted.py::

    tflm/bin/python tests/golden/make_tflm_formation.py

Inputs and weights are zero, so that each output is a scaled bias. The biases lie where float64 throughout, a
product in float32 and float32 throughout give different outputs. Arrays are named "<operator>/<case>/<name>":
`scales` float64 (input, weights, output; exact in float32), `bias` int32, `output` int8. For svdf they are
the state's scale, the time weights' and the output's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator

SEED, CASES, UNITS = 20261123, 6, 8
OPERATORS = (
    "conv2d",
    "depthwise_conv2d",
    "fully_connected",
    "fully_connected_per_channel",
    "transpose_conv2d",
    "svdf",
)


def pair(real: float) -> tuple[int, int]:
    """Return the (multiplier, shift) of a real multiplier."""
    fraction, shift = np.frexp(real)
    return int(np.floor(fraction * 2**31 + 0.5)), int(shift)


def rounded(accumulator: int, real: float) -> int:
    """Return the accumulator times `real`, rounded twice as TFLite rounds; for shifts below 0."""
    multiplier, shift = pair(real)
    high = (accumulator * multiplier + 2**30) >> 31
    return (high + (1 << (-shift - 1)) - (high < 0)) >> -shift


def telling_case(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return scales with three different real multipliers, and biases that tell them apart."""
    reals, scales = [1.0] * 3, [np.float32(0)] * 3
    while len({pair(real) for real in reals}) < 3:
        a, b = (np.float32(rng.uniform(0.01, 0.1)) for _ in range(2))
        o = np.float32(float(a) * float(b) * 2.0**30 / rng.uniform(60, 120))
        scales = [a, b, o]
        reals = [float(a) * float(b) / float(o), float(a * b) / float(o), float((a * b) / o)]
    bias: list[int] = []
    while len(bias) < UNITS:
        middle = int((int(rng.integers(-50, 50)) + 0.5) / reals[0])
        reach = abs(middle) // 2**22
        telling = (
            x for x in range(middle - reach, middle + reach) if len({rounded(x, r) for r in reals}) > 1
        )
        bias += [x for x, _ in zip(telling, range(1), strict=False)]
    return np.array(scales, np.float64), np.array(bias, np.int32)


def run(operator: str, scales: Array, biases: Array) -> Array:
    """Run a layer on zeros: its output is the scaled bias."""
    net = OneOperator()
    dense, depthwise = operator.startswith("fully_connected") or operator == "svdf", operator[0] == "d"
    channels = UNITS if depthwise else 4
    pixel = (1, channels) if dense else (1, 1, 1, channels)
    shape = (1, 1, 1, UNITS) if depthwise else (UNITS, *(() if dense else (1, 1)), channels)
    per_tensor = operator in ("fully_connected", "svdf")
    x = net.tensor(pixel, "int8", scales[0])
    w_scale = scales[1] if per_tensor else np.full(UNITS, scales[1])
    w = net.tensor(shape, "int8", w_scale, 0, np.zeros(shape, np.int8), axis=3 if depthwise else 0)
    bias = net.tensor((UNITS,), "int32", np.float32(scales[0] * scales[1]), 0, biases)
    output = net.tensor((1, UNITS) if dense else (1, 1, 1, UNITS), "int8", scales[2])
    net.graph.inputs = [x]
    options: dict[str, Any] = {"padding": 1, "strideH": 1, "strideW": 1}
    if operator == "conv2d":
        options |= {"dilationHFactor": 1, "dilationWFactor": 1}
        net.operator("CONV_2D", 3, [x, w, bias], output, "Conv2DOptions", **options)
    elif depthwise:
        options |= {"dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": 1}
        net.operator("DEPTHWISE_CONV_2D", 3, [x, w, bias], output, "DepthwiseConv2DOptions", **options)
    elif operator == "transpose_conv2d":
        size = net.tensor((4,), "int32", data=np.array([1, 1, 1, UNITS], np.int32))
        net.operator("TRANSPOSE_CONV", 3, [size, w, x, bias], output, "TransposeConvOptions", **options)
    elif operator == "svdf":
        time = net.tensor((UNITS, 1), "int16", scales[1], 0, np.zeros((UNITS, 1), np.int16))
        state = net.tensor((1, UNITS), "int16", scales[0], is_variable=True)
        net.operator("SVDF", 2, [x, w, time, bias, state], output, "SVDFOptions", rank=1)
    else:
        net.operator("FULLY_CONNECTED", 4, [x, w, bias], output, "FullyConnectedOptions")
    return net.run(np.zeros(pixel, np.int8)).ravel()


def main() -> None:
    """Write the vectors beside this file."""
    stored: dict[str, Array] = {}
    for number, operator in enumerate(OPERATORS):
        for case in range(CASES):
            scales, bias = telling_case(np.random.default_rng([SEED, number, case]))
            values = {"scales": scales, "bias": bias, "output": run(operator, scales, bias)}
            stored |= {f"{operator}/{case}/{name}": value for name, value in values.items()}
    np.savez_compressed(Path(__file__).resolve().parent / "tflm_formation.npz", **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
