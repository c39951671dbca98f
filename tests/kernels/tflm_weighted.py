"""Reads tflm_weighted.npz and tflm_formation.npz, and turns their cases into kernel arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.kernels.tflm_vectors import pairs

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
Case = dict[str, Any]
# What TFLite-Micro does with int16 activations: an int32 bias means a 32-bit accumulator and its rounding;
# an int64 bias, and none at all, mean a 64-bit accumulator and a 16-bit multiplier.
DOUBLE_AWAY, WIDE_16 = 0, 4


def weighted_cases(family: str) -> list[Case]:
    """Return the stored cases of one family: arrays, and the numbers of their JSON text."""
    cases: dict[str, Case] = {}
    with np.load(GOLDEN / "tflm_weighted.npz") as stored:
        for key in stored.files:
            name, case, argument = key.split("/")
            if name == family:
                value = json.loads(str(stored[key])) if argument == "numbers" else {argument: stored[key]}
                cases.setdefault(case, {}).update(value)
    return list(cases.values())


def formation_cases(operator: str) -> list[Case]:
    """Return the stored cases of one operator of tflm_formation.npz."""
    cases: dict[str, Case] = {}
    with np.load(GOLDEN / "tflm_formation.npz") as stored:
        for key in stored.files:
            name, case, argument = key.split("/")
            if name == operator:
                cases.setdefault(case, {})[argument] = stored[key]
    return list(cases.values())


def limits(case: Case) -> dict[str, int]:
    """Return the clamps of a layer without a fused activation."""
    info = np.iinfo(case["output"].dtype)
    return {"clamp_low": int(info.min), "clamp_high": int(info.max)}


def layer_arguments(family: str, case: Case) -> Case:
    """Return the arguments of a layer with weights; its rounding follows from the family's name."""
    wide = "a16w8" in family and "bias32" not in family
    real = case["input_scale"] * case["weights_scale"] / case["output_scale"]
    arguments = {
        **case,
        **pairs(real),
        **limits(case),
        "bias": case["bias"].astype(np.int64 if case["input"].dtype == np.int16 else np.int32),
        "rounding": WIDE_16 if wide else DOUBLE_AWAY,
        "accumulator_bits": 32,
        "output_shape": case["output"].shape,
    }
    if family.startswith("fully_connected"):
        arguments["input"] = case["input"].reshape(-1, case["input"].shape[-1])
        arguments["output_shape"] = (len(arguments["input"]), len(case["weights"]))
        if case["weights_zero_point"]:
            arguments["weights"] = case["weights"].astype(np.int16) - case["weights_zero_point"]
    else:
        arguments["output_size"] = case["output"].shape[1:3]
    return arguments


def matmul_arguments(case: Case) -> Case:
    """Return the arguments of a product of two matrices, flat."""
    real = case["input_a_scale"] * case["input_b_scale"] / case["output_scale"]
    return {
        **case,
        **pairs(np.array([real])),
        **limits(case),
        **{name: case[name].ravel() for name in ("input_a", "input_b")},
        "rounding": WIDE_16 if case["output"].dtype == np.int16 else DOUBLE_AWAY,
        "output_shape": (case["output"].size,),
    }


def svdf_steps(case: Case) -> list[Case]:
    """Return the arguments of each step; the state is that of a fresh start in the first one only."""
    real = [
        case["input_scale"] * case["feature_scale"] / case["state_scale"],
        case["state_scale"] * case["time_scale"] / case["output_scale"],
    ]
    batch, dtype = case["output"].shape[1], case["time_weights"].dtype
    return [
        {
            **case,
            **pairs(np.array(real)),
            **limits(case),
            "input": step,
            "state": np.full((batch, case["time_weights"].size), case["state_zero_point"], dtype),
            "rounding": DOUBLE_AWAY,
            "output_shape": output.shape,
        }
        for step, output in zip(case["input"], case["output"], strict=True)
    ]
