"""Cases of the kernels of training that look at a whole layer: bounds, gains, moments, exact gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.loss import by_position
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.weights import stream, weights
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.spec import KernelSpec
from fxpgrad_kernels.training.alignment_ref import channel_moments_ref
from fxpgrad_kernels.training.gain_ref import HIGHEST, LOWEST, ONE

Array = NDArray[Any]


def any_layer(rng: Draws, dtype: str) -> tuple[Array, Array, int]:
    """Return weights [O, I], biases and the input's zero point."""
    outputs, inputs = int(rng.integers(1, 6)), int(rng.integers(1, 70))
    layer = weights(rng, outputs * inputs, dtype).reshape(outputs, inputs)
    return layer, weights(rng, outputs, "int32"), int(rng.choice([0, 1, -1, 127, -128]))


def channel_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a layer of which bounds or sums are taken by channel."""
    layer, bias, zero_point = any_layer(rng, spec.arguments[0].dtype)
    if rng.random() < 0.2:  # rows that are summed run by run
        layer = np.resize(layer, (len(layer), int(rng.choice([255, 600, 2049, 2**15 + 3]))))
    case: Case = {"weights": layer, "output_shape": (len(layer),)}
    if spec.name.startswith("channel_bounds"):
        case |= {"bias": bias, "input_zero_point": zero_point}
    return case


def gained_layer(rng: Draws) -> tuple[Array, Array, Array]:
    """Return multipliers, shifts and gains, the ends of their ranges among them."""
    channels = int(rng.integers(1, 20))
    multiplier = rng.choice([2**30, 2**30 + 1, int(rng.integers(2**30, 2**31)), 2**31 - 1, 0], channels)
    ends = [ONE, ONE + 1, LOWEST, LOWEST - 1, HIGHEST - 1, HIGHEST, 0, -(2**31)]
    gains = [*ends, int(rng.integers(LOWEST, HIGHEST))]
    gain = rng.choice(gains, 1 if rng.random() < 0.3 else channels)
    shift = rng.integers(-28, 30, channels)
    return multiplier.astype(np.int32), shift.astype(np.int32), gain.astype(np.int32)


def gain_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a layer's multipliers with gains."""
    drawn = gained_layer(rng)
    return {**by_position(spec, drawn), "output_shape": drawn[0].shape}


def moments_case(rng: Draws) -> Case:
    """Return values by channel, many of them at the ends."""
    rows, channels = int(rng.integers(1, 40)), int(rng.integers(1, 9))
    values = rng.choice([0, 127, -128, 126, -127, int(rng.integers(-128, 128))], (rows, channels))
    low, zero_point = int(rng.choice([-128, 0, 5])), int(rng.choice([0, 3, 127, -128]))
    return {
        **{"values": values.astype(np.int8), "zero_point": zero_point, "clamp_low": low},
        "output_shape": (3, channels),
    }


def alignment_case(rng: Draws) -> Case:
    """Return moments as values of a few spreads have them, and a layer."""
    channels = int(rng.integers(1, 9))
    moments, counts = [], []
    for _ in range(2):
        rows, spread = int(rng.integers(1, 99)), int(rng.choice([0, 1, 8, 90]))
        values = rng.integers(-spread, spread + 1, (rows, channels)) + rng.integers(-90, 90)
        clipped = np.clip(values, -128, 127).astype(np.int8)
        moments.append(channel_moments_ref(clipped, int(rng.integers(-128, 128)), -128))
        counts.append(rows)
    bias = rng.choice([0, 1, int(rng.integers(-(2**20), 2**20)), 2**31 - 1, -(2**31) + 1], channels)
    multiplier = rng.choice([2**30, 3 * 2**29 + 7, 2**31 - 1, 0], channels).astype(np.int32)
    gains = 1 if rng.random() < 0.5 else channels
    return {
        **{"moments": moments[0], "target": moments[1], "bias": bias.astype(np.int32)},
        **{
            "multiplier": multiplier.astype(np.int32),
            "shift": rng.integers(-31, 31, channels).astype(np.int32),
        },
        **{"count": counts[0], "target_count": counts[1], "gains": gains},
        "shapes": {"gain": (gains,), "new_bias": (channels,)},
    }


def outer_batch(rng: Draws) -> tuple[Array, Array, Array, Array, int]:
    """Return features, residuals, the gradients so far, and the features' zero point."""
    rows, classes, width = (int(rng.integers(1, n)) for n in (12, 6, 40))
    features = rng.choice([0, -1, 127, -128, int(rng.integers(-128, 128))], (rows, width)).astype(np.int8)
    residuals = rng.integers(-(2**15), 2**15 + 1, (rows, classes)).astype(np.int32)
    before = rng.integers(-(2**40), 2**40, (classes, width))
    before_bias = rng.integers(-(2**37), 2**37, classes)
    return features, residuals, before, before_bias, int(rng.choice([0, 5, 127, -128]))


def outer_products_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of the gradient of a dense layer."""
    case = by_position(spec, outer_batch(rng))
    return {
        **case, "shapes": {"gradient": case["before"].shape, "bias_gradient": case["before_bias"].shape},
    }  # fmt: skip


def descent_case(rng: Draws, dtype: str) -> Case:
    """Return a step against an exact gradient."""
    channels, per_channel = int(rng.integers(1, 6)), int(rng.choice([1, 3, 64, 700]))
    count = channels * per_channel
    coarse = int(rng.choice([0, 1, 7, 15]))
    reach = 2 ** (30 + coarse)
    gradient = rng.choice([0, 1, -1, reach, -reach, int(rng.integers(-reach, reach))], count)
    decay = rng.choice([0, 0, 1, 2**20, 2**31 - 1] if dtype != "int32" else [0], channels)
    return {
        "weights": weights(rng, count, dtype),
        "gradient": gradient.astype(np.int64),
        "multiplier": rng.choice([2**30, 2**31 - 1, 0], channels).astype(np.int32),
        "shift": rng.choice([0, -1, -2, -15, -31, -40, -62, 30], channels).astype(np.int32),
        "decay": decay.astype(np.int32),
        **stream(rng),
        "rounding_rule": int(rng.integers(3)),
        "coarse": coarse,
        "first_index": int(rng.choice([0, 8, 1000])),
    }


def any_descent_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the steps."""
    return {**descent_case(rng, spec.arguments[0].dtype), "shapes": {"counts": (2,)}}


def differences_case(rng: Draws) -> Case:
    """Return differences of losses of any size and the usual size so far."""
    reach = 2 ** (48 - int(rng.integers(0, 48)))
    few = rng.choice([0, 1, -1, reach, -reach, int(rng.integers(-reach, reach))], int(rng.integers(1, 65)))
    typical = np.array([int(rng.choice([0, 1, 5, reach // 3, reach]))], np.int64)
    places = int(rng.integers(0, 11))
    return {"differences": few, "typical": typical, "places": places, "output_shape": few.shape}
