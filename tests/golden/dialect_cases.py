"""Drawn int8 operators whose results tell dialects apart: ties, near ties, zero points, large accumulators.

Shared by the makers of golden vectors for runtimes that multiply by float scales. A case is a mapping from
the names of this project's kernel arguments to arrays and numbers; scales are float32 numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Case = dict[str, Any]
KINDS = ("random", "ties", "near ties", "near ties", "random", "ties", "near ties", "near ties")
ZERO_POINTS = (-128, -5, 0, 3, 127, -8)
PAIRS = 2048


def scales(rng: np.random.Generator, low: float, high: float, kind: str, size: int) -> Array:
    """Return float32 scales between low and high; powers of two where exact ties are wanted."""
    exponents = rng.uniform(np.log2(low), np.log2(high), size)
    return np.exp2(np.round(exponents) if kind == "ties" else exponents).astype(np.float32)


def beside(rng: np.random.Generator, value: float) -> np.float32:
    """Return a float32 at most three steps from `value`: products with it lie beside exact ties."""
    nearest = np.float32(value)
    return np.float32(nearest + np.spacing(nearest) * np.float32(rng.integers(-3, 4)))


def forms_apart(first: np.float32, second: np.float32, output: np.float32, half: float) -> bool:
    """Whether first * second / output is `half` in float32, and something else in double."""
    exact = float(first) * float(second) / float(output)
    return bool((first * second) / output == np.float32(half) != np.float32(exact))


def partner(rng: np.random.Generator, first: np.float32, output: np.float32, half: float) -> np.float32:
    """Return a scale whose product with `first`, over `output`, is `half` in float32 but not in double.

    Such a scale does not exist for every pair; then one beside it is returned.
    """
    near = np.float32(float(output) * half / float(first))
    candidates = near + np.spacing(near) * np.arange(-3, 4).astype(np.float32)
    chosen = candidates[[forms_apart(first, candidate, output, half) for candidate in candidates]]
    return np.float32(rng.choice(chosen)) if chosen.size else beside(rng, float(near))


def zero_point(rng: np.random.Generator, *allowed: int) -> int:
    """Return one of the zero points."""
    return int(rng.choice(allowed or ZERO_POINTS))


def layer(rng: np.random.Generator, kind: str, operator: str, *, per_tensor: bool = False) -> Case:
    """Return a conv2d, depthwise_conv2d or fully_connected, SAME padding, stride 1."""
    outputs = 8
    shapes = {
        "conv2d": ((2, 6, 6, 4), (outputs, 3, 3, 4), 36),
        "depthwise_conv2d": ((2, 6, 6, outputs), (1, 3, 3, outputs), 9),
        "fully_connected": ((24, 12), (outputs, 12), 12),
    }
    data_shape, weights_shape, products = shapes[operator]
    data = rng.integers(-128, 128, data_shape).astype(np.int8)
    input_scale = scales(rng, 0.02, 0.2, kind, 1)[0]
    count = 1 if per_tensor else outputs
    if kind == "near ties":
        output_scale = scales(rng, 0.05, 0.4, kind, 1)[0]
        halves = 2.0 ** -rng.integers(1, 3 if per_tensor else 5, count)
        for _attempt in range(100):
            weights_scale = np.array([partner(rng, input_scale, output_scale, half) for half in halves])
            if forms_apart(input_scale, weights_scale[0], output_scale, halves[0]):
                break
            input_scale = scales(rng, 0.02, 0.2, kind, 1)[0]
        weights = rng.integers(-1, 2, weights_shape)
        bias, output_zero = rng.integers(-20, 20, outputs), zero_point(rng, -5, 0, 3, -8)
    else:
        weights_scale = scales(rng, 0.005, 0.02, kind, count)
        size = float(input_scale) * float(np.median(weights_scale)) * products**0.5 * 73 * 73
        output_scale = scales(rng, size / 60, size / 40, kind, 1)[0]
        weights = rng.integers(-127, 128, weights_shape)
        bias, output_zero = rng.integers(-20000, 20000, outputs), zero_point(rng)
    return {
        "input": data,
        "weights": weights.astype(np.int8),
        "bias": bias.astype(np.int32),
        "input_scale": input_scale,
        "weights_scale": weights_scale.astype(np.float32),
        "output_scale": output_scale,
        "input_zero_point": zero_point(rng),
        "output_zero_point": output_zero,
    }


def deep_layer(rng: np.random.Generator) -> Case:
    """Return a fully_connected whose accumulators lie beyond 2**24, where float32 loses bits."""
    depth, rows, outputs = 1600, 6, 6
    data = np.where(rng.random((rows, depth)) < 0.85, 127, rng.integers(-128, 128, (rows, depth)))
    weights = np.where(rng.random((outputs, depth)) < 0.85, 127, rng.integers(-127, 128, (outputs, depth)))
    input_scale, weights_scale = np.float32(0.0625), np.full(outputs, 2.0**-7, np.float32)
    return {
        "input": data.astype(np.int8),
        "weights": weights.astype(np.int8),
        "bias": rng.integers(-20000, 20000, outputs).astype(np.int32),
        "input_scale": input_scale,
        "weights_scale": weights_scale,
        "output_scale": np.float32(2.0**8),
        "input_zero_point": -128,
        "output_zero_point": -101,
    }


def pair_of_values(rng: np.random.Generator, kind: str, operator: str) -> Case:
    """Return the quantization of an add, sub or mul; its inputs are those of `value_pairs`."""
    if kind == "near ties":
        output = scales(rng, 0.05, 0.4, kind, 1)[0]
        first = scales(rng, 0.02, 0.2, kind, 1)[0]
        if operator == "mul":
            second = partner(rng, first, output, 2.0 ** -int(rng.integers(2, 6)))
        else:
            first, second = (beside(rng, float(output) * 2.0 ** -int(rng.integers(0, 3))) for _ in range(2))
    else:
        first, second = scales(rng, 0.02, 0.2, kind, 2)
        size = float(first) * float(second) * 100 if operator == "mul" else 1.3 * float(max(first, second))
        output = scales(rng, size / 1.4, size * 1.4, kind, 1)[0]
    return {
        "input_a_scale": first,
        "input_b_scale": second,
        "output_scale": output,
        "input_a_zero_point": zero_point(rng),
        "input_b_zero_point": zero_point(rng),
        "output_zero_point": zero_point(rng, -5, 0, 3, -8),
    }


def value_pairs(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the two inputs of every add, sub and mul."""
    first, second = rng.integers(-128, 128, (2, PAIRS)).astype(np.int8)
    return first, second


def one_value(rng: np.random.Generator, kind: str) -> Case:
    """Return the quantization of a quantize or leaky_relu; its input is every int8 value."""
    output = scales(rng, 0.05, 0.4, kind, 1)[0]
    ratio = 2.0 ** int(rng.integers(-3, 2)) if kind != "random" else rng.uniform(0.1, 2)
    source = np.float32(float(output) * ratio) if kind == "ties" else beside(rng, float(output) * ratio)
    return {
        "input_scale": source,
        "output_scale": output,
        "input_zero_point": int(rng.integers(-128, 128)),
        "output_zero_point": int(rng.integers(-128, 128)),
        "alpha": np.float32(rng.choice([0.1, 0.25, 0.3, 0.5])),
    }
