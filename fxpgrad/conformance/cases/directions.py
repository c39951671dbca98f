"""Cases of the kernels that draw a direction, put several together, or use one."""

from __future__ import annotations

import numpy as np

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad.conformance.cases.weights import LIMITS, channels, stream, weights
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.spec import KernelSpec


def run_of_z(rng: Draws) -> dict[str, int]:
    """Return a legal name of a run of z, extremes included; `count` crosses blocks of 8 and 128."""
    return {
        "seed": int(rng.choice([0, 1, -1, 2**63 - 1, -(2**63), int(rng.integers(-(2**63), 2**63))])),
        "step": int(rng.choice([0, 1, 2**32 - 1, int(rng.integers(2**32))])),
        "direction": int(rng.choice([0, 1, 2**24 - 1, int(rng.integers(2**24))])),
        "tensor": int(rng.choice([0, 1, 2**32 - 1, int(rng.integers(2**32))])),
        "first_index": int(rng.choice([0, 1, 7, 8, 120, 127, int(rng.integers(2**34)), 2**35 - 300])),
        "count": int(rng.choice([1, 2, 8, 9, 31, 33, 140])),
        "distribution": int(rng.integers(3)),
    }


def draw_directions_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of the generator."""
    case: Case = dict(run_of_z(rng))
    count = case.pop("count")
    table = direction_table(case["distribution"])
    return {**case, "table": table, "output_size": count, "shapes": {"z": (count,)}}


def part_case(rng: Draws, name: str, dtype: str) -> Case:
    """Return a legal case of one of the kernels that put a direction together, or use one."""
    groups, per_channel = channels(rng)
    if rng.random() < 0.2:
        groups, per_channel = 3, int(rng.choice([129, 500, 2100]))
    count = groups * per_channel
    case: Case = {
        "z": rng.integers(-127, 128, count).astype(np.int8),
        "workspace": int(rng.choice([960, 967, 1536, 18816])),
        "distribution": int(rng.integers(3)),
        "direction": int(rng.choice([0, 1, 2**24 - 1])),
        **stream(rng),
        "first_index": int(rng.choice([0, 8, 120, 2**33])),
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


def direction_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case with the table of its distribution, the output's shape and the workspace's size."""
    dtype = next((a.dtype for a in spec.arguments if a.name == "weights"), "int8")
    case = part_case(rng, spec.name, dtype)
    count, output = case["z"].size, spec.of_role("output")[0].name
    case |= {"table": direction_table(case["distribution"]), "shapes": {output: (count,)}}
    if spec.name == "fill_direction":
        case["output_size"] = count
    return case | {"sizes": {"block": case.pop("workspace")}}
