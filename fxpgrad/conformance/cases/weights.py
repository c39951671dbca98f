"""Cases of perturb and update, and the weights, channels and streams that training draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.spec import KernelSpec

LIMITS = {"int8": (-127, 127), "int16": (-32767, 32767), "int32": (-(2**31), 2**31 - 1)}


def weights(rng: Draws, count: int, dtype: str) -> NDArray[Any]:
    """Return uniform, small or extreme weights within the limits of `dtype`."""
    low, high = LIMITS[dtype]
    kind = rng.integers(3)
    if kind == 0:
        values = rng.integers(low, high + 1, count)
    elif kind == 1:
        values = rng.integers(-3, 4, count)
    else:
        values = rng.choice([0, high, low, high - 1, low + 1], count)
    result: NDArray[Any] = values.astype(dtype)
    return result


def stream(rng: Draws) -> dict[str, int]:
    """Return seed, step and tensor."""
    return {
        "seed": int(rng.integers(-(2**63), 2**63)),
        "step": int(rng.choice([0, 1, 2**32 - 1, int(rng.integers(2**32))])),
        "tensor": int(rng.choice([0, 1, 2**32 - 1])),
    }


def channels(rng: Draws) -> tuple[int, int]:
    """Return (channels, weights per channel): one channel, one weight each, odd sizes."""
    kind = rng.integers(5)
    if kind == 0:
        return 1, int(rng.integers(1, 50))
    return (int(rng.integers(1, 30)), 1) if kind == 1 else ((3, 7), (2, 16), (5, 9))[kind - 2]


def perturb_case(rng: Draws, dtype: str) -> Case:
    """Return a legal case of perturb; epsilons with exact ties (odd multiples of 16) among them."""
    groups, per_channel = channels(rng)
    greatest = 2**31 - 1 if dtype == "int32" else 2**24
    usual = 2 ** (11 - int(rng.integers(0, 11)))
    epsilon = rng.integers(0, usual, groups)
    if rng.random() < 0.6:
        special = rng.choice([0, 1, 16, 48, greatest - 1, greatest], groups)
        epsilon = np.where(rng.random(groups) < 0.5, special, epsilon)
    return {
        "weights": weights(rng, groups * per_channel, dtype),
        "epsilon": epsilon.astype(np.int32),
        **stream(rng),
        "direction": int(rng.choice([0, 1, 2**24 - 1])),
        "sign": int(rng.choice([1, 1, -1, 0])),
        "form": int(rng.integers(2)),
        "distribution": int(rng.integers(3)),
        "first_index": int(rng.choice([0, 0, 8, 120, 1000, 2**33])),
        "workspace": int(rng.choice([704, 711, 1024, 1344, 5504])),
    }


def update_case(rng: Draws, dtype: str) -> Case:
    """Return a legal case of update; steps of about one weight unit, exact ties and tiny rates."""
    groups, per_channel = channels(rng)
    count = int(rng.integers(1, 4))
    if rng.random() < 0.1:
        count = 64
    # Signs, or scalars up to what 16 bits can sum.
    reach = 86 if count <= 3 and rng.random() < 0.4 else 1
    kind = rng.integers(3)
    multiplier = rng.choice([2**30, 2**31 - 1, int(rng.integers(2**30, 2**31))], groups)
    shift = rng.integers(-9, -2, groups)
    if kind == 1:
        shift = rng.integers(-62, 31, groups)
    elif kind == 2:  # powers of two against z of +-32: exact halves
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


def many_weights(case: Case, rng: Draws, *by_channel: str) -> Case:
    """Now and then make the tensor longer than the least workspace takes at a time, or one of 2048."""
    if rng.random() < 0.15:
        count, length = ((3, 129), (2, 515), (130, 1), (1, 2100))[rng.integers(4)]
        case["weights"] = np.resize(case["weights"], count * length)
        case |= {key: np.resize(case[key], count) for key in by_channel}
    return case


def _with_table(case: Case, shapes: dict[str, tuple[int, ...]]) -> Case:
    sizes = {"block": case.pop("workspace")}
    return {**case, "table": direction_table(case["distribution"]), "shapes": shapes, "sizes": sizes}


def any_perturb_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the kernels that perturb weights; longer tensors now and then."""
    case = many_weights(perturb_case(rng, spec.arguments[0].dtype), rng, "epsilon")
    return _with_table(case, dict.fromkeys((a.name for a in spec.of_role("output")), case["weights"].shape))


def any_update_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the kernels that update weights; longer tensors now and then."""
    case = many_weights(update_case(rng, spec.arguments[0].dtype), rng, "multiplier", "shift")
    return _with_table(case, {"counts": (2,)})
