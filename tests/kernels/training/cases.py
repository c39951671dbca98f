"""Legal cases for perturb and update, with the nasty ones far more often than chance would."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

LIMITS = {"int8": (-127, 127), "int16": (-32767, 32767), "int32": (-(2**31), 2**31 - 1)}

Case = dict[str, Any]
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def weights(rng: np.random.Generator, count: int, dtype: str) -> NDArray[Any]:
    """Return uniform, small or extreme weights within the limits of `dtype`."""
    low, high = LIMITS[dtype]
    kind = rng.integers(3)
    if kind == 0:
        values = rng.integers(low, high + 1, count)
    elif kind == 1:
        values = rng.integers(-3, 4, count)
    else:
        values = rng.choice([low, low + 1, 0, high - 1, high], count)
    return values.astype(dtype)


def stream(rng: np.random.Generator) -> dict[str, int]:
    """Return seed, step and tensor."""
    return {
        "seed": int(rng.integers(-(2**63), 2**63)),
        "step": int(rng.choice([0, 1, 2**32 - 1, int(rng.integers(2**32))])),
        "tensor": int(rng.choice([0, 1, 2**32 - 1])),
    }


def channels(rng: np.random.Generator) -> tuple[int, int]:
    """Return (channels, weights per channel): one channel, one weight each, odd sizes."""
    return ((1, int(rng.integers(1, 50))), (int(rng.integers(1, 30)), 1), (3, 7), (2, 16), (5, 9))[
        rng.integers(5)
    ]


def perturb_case(rng: np.random.Generator, dtype: str) -> Case:
    """Return a legal case of perturb; epsilons with exact ties (odd multiples of 16) among them."""
    groups, per_channel = channels(rng)
    greatest = 2**31 - 1 if dtype == "int32" else 2**24
    usual = 2 ** int(rng.integers(1, 12))
    epsilon = np.where(
        rng.random(groups) < 0.7,
        rng.integers(0, usual, groups),
        rng.choice([0, 1, 16, 48, greatest - 1, greatest], groups),
    )
    return {
        "weights": weights(rng, groups * per_channel, dtype),
        "epsilon": epsilon.astype(np.int32),
        **stream(rng),
        "direction": int(rng.choice([0, 1, 2**24 - 1])),
        "sign": int(rng.choice([-1, 1, 1, 0])),
        "form": int(rng.integers(2)),
        "distribution": int(rng.integers(3)),
        "first_index": int(rng.choice([0, 0, 8, 120, 1000, 2**33])),
        "workspace": int(rng.choice([704, 711, 1024, 1344, 5504])),
    }


def update_case(rng: np.random.Generator, dtype: str) -> Case:
    """Return a legal case of update; steps of about one weight unit, exact ties and tiny rates."""
    groups, per_channel = channels(rng)
    count = int(rng.choice([1, 2, 3, 3, 64])) if rng.random() < 0.3 else int(rng.integers(1, 4))
    reach = 1 if count > 3 or rng.random() < 0.6 else 86  # signs, or scalars up to what 16 bits can sum
    kind = rng.integers(3)
    multiplier = rng.choice([2**30, 2**31 - 1, int(rng.integers(2**30, 2**31))], groups)
    shift = rng.integers(-62, 31, groups)
    if kind == 0:
        shift = rng.integers(-9, -2, groups)
    elif kind == 1:  # powers of two against z of +-32: exact halves
        multiplier, shift = np.full(groups, 2**30), np.full(groups, -5)
    return {
        "weights": weights(rng, groups * per_channel, dtype),
        "signs": rng.integers(-reach, reach + 1, count).astype(np.int32),
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int32),
        **stream(rng),
        "rounding_rule": int(rng.integers(3)),
        "distribution": int(rng.integers(3)),
        "workspace": int(rng.choice([832, 839, 1280, 7552])),
    }


def direction_case(rng: np.random.Generator, name: str, dtype: str) -> Case:
    """Return a legal case of one of the kernels that put a direction together, or use one."""
    groups, per_channel = channels(rng) if rng.random() < 0.8 else (3, int(rng.choice([129, 500, 2100])))
    count = groups * per_channel
    names = stream(rng) | {"first_index": int(rng.choice([0, 8, 120, 2**33]))}
    case: Case = {
        "z": rng.integers(-127, 128, count).astype(np.int8),
        "workspace": int(rng.choice([960, 967, 1536, 18816])),
        "distribution": int(rng.integers(3)),
        "direction": int(rng.choice([0, 1, 2**24 - 1])),
        **names,
    }
    if name.startswith("guide"):
        history = rng.integers(-4096, 4097, (int(rng.integers(1, 4)), int(rng.integers(1, 3))))
        case |= {"weights": history.astype(np.int32), "own": int(rng.integers(0, 4097))}
    elif name.startswith("thin"):
        case["density"] = int(rng.choice([0, 1, 30000, 2**16]))
    elif name.startswith("mask"):
        low = rng.integers(0, LIMITS[dtype][1], groups)
        case |= {"low": low.astype(np.int32), "high": (low + rng.integers(0, 99)).astype(np.int32)}
        case["weights"] = weights(rng, count, dtype)
    elif name.startswith("add"):
        case |= {"scalars": rng.integers(-300, 301, 5).astype(np.int32), "index": int(rng.integers(5))}
        case["before"] = rng.integers(-(2**30), 2**30, count)
    elif name.startswith("perturb"):
        case |= {"weights": weights(rng, count, dtype), "sign": int(rng.integers(-1, 2))}
        case["epsilon"] = rng.integers(0, 2**12, groups).astype(np.int32)
    return case
