"""A legal case for every kernel of training: one part of `legal_cases`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.spec import KernelSpec
from tests.kernels.spec_call import Case
from tests.kernels.training import (
    cases,
    test_accumulator_bound,
    test_exact_gradient,
    test_gain,
)

Generator = np.random.Generator


def by_position(spec: KernelSpec, values: Any) -> Case:
    """Name values that come in the order of the arguments which are not outputs or workspaces."""
    roles = ("input", "constant", "state", "parameter")
    return dict(zip((a.name for a in spec.arguments if a.role in roles), values, strict=True))


def many_weights(case: Case, rng: Generator, *by_channel: str) -> Case:
    """Now and then make the tensor longer than the least workspace takes at a time, or one of 2048."""
    if rng.random() < 0.15:
        count, length = ((3, 129), (2, 515), (130, 1), (1, 2100))[rng.integers(4)]
        case["weights"] = np.resize(case["weights"], count * length)
        case |= {key: np.resize(case[key], count) for key in by_channel}
    return case


def training(spec: KernelSpec, rng: Generator) -> Case:
    """Return a case of one of the kernels that perturb or update weights; longer tensors now and then."""
    dtype = spec.arguments[0].dtype
    if spec.name.startswith("perturb"):
        case = many_weights(cases.perturb_case(rng, dtype), rng, "epsilon")
        shapes = dict.fromkeys((a.name for a in spec.of_role("output")), case["weights"].shape)
    elif spec.name.startswith("update"):
        case = many_weights(cases.update_case(rng, dtype), rng, "multiplier", "shift")
        shapes = {"counts": (2,)}
    else:
        return {**test_exact_gradient.any_step(rng, dtype), "shapes": {"counts": (2,)}}
    sizes = {"block": case.pop("workspace")}
    return {**case, "table": direction_table(case["distribution"]), "shapes": shapes, "sizes": sizes}


def direction(spec: KernelSpec, rng: Generator) -> Case:
    """Return a case of one of the kernels that put a direction together, or use one."""
    dtype = next((a.dtype for a in spec.arguments if a.name == "weights"), "int8")
    case = cases.direction_case(rng, spec.name, dtype)
    count, output = case["z"].size, spec.of_role("output")[0].name
    case |= {"table": direction_table(case["distribution"]), "shapes": {output: (count,)}}
    if spec.name == "fill_direction":
        case["output_size"] = count
    return case | {"sizes": {"block": case.pop("workspace")}}


def trained_layer(spec: KernelSpec, rng: Generator) -> Case:
    """Return a case of one of the kernels that look at a whole layer."""
    dtype = spec.arguments[0].dtype
    if spec.name == "scale_multipliers":
        drawn: Any = test_gain.any_layer(rng)
        return {**by_position(spec, drawn), "output_shape": drawn[0].shape}
    layer, bias, zero_point = test_accumulator_bound.any_layer(rng, dtype)
    if rng.random() < 0.2:  # rows that are summed run by run
        layer = np.resize(layer, (len(layer), int(rng.choice([255, 600, 2049, 2**15 + 3]))))
    case = {"weights": layer, "output_shape": (len(layer),)}
    if spec.name.startswith("channel_bounds"):
        case |= {"bias": bias, "input_zero_point": zero_point}
    return case


def outer_products(spec: KernelSpec, rng: Generator) -> Case:
    case = by_position(spec, test_exact_gradient.any_batch(rng))
    return {
        **case, "shapes": {"gradient": case["before"].shape, "bias_gradient": case["before_bias"].shape},
    }  # fmt: skip
