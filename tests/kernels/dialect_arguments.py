"""From scales to kernel arguments as LiteRT's optimized kernels, XNNPACK and ONNX Runtime form them.

`docs/dialects.md` states the formulas; here they make the arguments with which the kernels of this project
must give those runtimes' results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fxpgrad.program.multiplier import Formation, derive_multiplier, real_multiplier
from fxpgrad_kernels.arithmetic.profiles import PROFILES, Rounding

Case = dict[str, Any]
GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FULL_RANGE = {"clamp_low": -128, "clamp_high": 127}
IMAGE = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "pad_top": 1, "pad_left": 1}
RUNTIMES = {
    "optimized": PROFILES["tflite_x86_optimized"],
    "xnnpack": PROFILES["xnnpack_float32"],
    "onnx": PROFILES["onnx_float32"],
}


def stored_cases(file: str) -> dict[str, list[Case]]:
    """Return the cases of each operator: arrays as stored, scalars as Python numbers or float32."""
    operators: dict[str, dict[str, Case]] = {}
    with np.load(GOLDEN / file) as stored:
        for key in stored.files:
            if key.count("/") == 2:
                operator, number, name = key.split("/")
                value = stored[key]
                kept = value if value.ndim or value.dtype == np.float32 else value.item()
                operators.setdefault(operator, {}).setdefault(number, {})[name] = kept
            else:
                operators.setdefault("pairs", {}).setdefault("0", {})[key.split("/")[1]] = stored[key]
    return {operator: list(cases.values()) for operator, cases in operators.items()}


def pairs(real: Any, rounding: Rounding) -> Case:
    """Return multiplier and shift of real multipliers, and the rounding, as one formula takes them."""
    rule: Any = "float32" if rounding == Rounding.FLOAT32_EVEN else "double"
    multiplier, shift = derive_multiplier(real, rule)
    return {"multiplier": multiplier, "shift": shift, "rounding": int(rounding)}


def layer(operator: str, case: Case, runtime: str, formation: Formation | None = None) -> Case:
    """Return the arguments of conv2d, depthwise_conv2d, fully_connected or fully_connected_per_tensor."""
    usual: Formation = "float32_product" if operator.endswith("per_tensor") else "double"
    if runtime != "optimized":
        usual = "float32"
    real = real_multiplier(
        [case["input_scale"], case["weights_scale"]], case["output_scale"], formation or usual
    )
    outputs = case["bias"].size
    image = {} if operator.startswith("fully") else IMAGE
    return {
        **case,
        **pairs(np.broadcast_to(real, (outputs,)), RUNTIMES[runtime].rounding),
        **FULL_RANGE,
        **image,
        **({"groups": 1} if operator == "conv2d" else {}),
        "accumulator_bits": 32,
        "output_shape": (*case["input"].shape[:-1], outputs),
    }


def product(case: Case, runtime: str, formation: Formation = "float32") -> Case:
    """Return the arguments of mul."""
    scales = [case["input_a_scale"], case["input_b_scale"]]
    rounding = RUNTIMES[runtime].rounding_of("mul")
    real = real_multiplier(scales, case["output_scale"], formation)
    return {**case, **pairs(real, rounding), **FULL_RANGE, "output_shape": case["input_a"].shape}


def sum_of_two(case: Case, operator: str, runtime: str) -> Case:
    """Return the arguments of add or sub.

    XNNPACK multiplies both operands by integers of at most 21 bits and shifts the sum once: each step
    but the last is exact in `add_a8`.
    """
    if runtime == "xnnpack":
        ratios = [np.float32(case[f"input_{side}_scale"]) / np.float32(case["output_scale"]) for side in "ab"]
        power = 21 - int(np.frexp(max(ratios))[1])
        steps = [float(np.rint(np.ldexp(float(ratio), power))) for ratio in ratios]
        real = [steps[0] * 2.0**-20, steps[1] * 2.0**-20, 2.0**-power]
    else:
        first, second = float(case["input_a_scale"]), float(case["input_b_scale"])
        double = 2 * max(first, second)
        real = [first / double, second / double, double / (2**20 * float(case["output_scale"]))]
    rounding = RUNTIMES[runtime].rounding_of(operator)
    shape = case["input_a"].shape
    return {**case, **pairs(np.array(real), rounding), **FULL_RANGE, "left_shift": 20, "output_shape": shape}


def one_value(case: Case, operator: str, runtime: str) -> Case:
    """Return the arguments of quantize or leaky_relu; XNNPACK rounds the ratio to 8 fraction bits."""
    formation: Formation = "double" if operator == "quantize" else "float32"
    positive = real_multiplier([case["input_scale"]], case["output_scale"], formation)
    negative = real_multiplier([case["input_scale"], case["alpha"]], case["output_scale"], formation)
    if runtime == "xnnpack":
        ratio = np.float32(case["input_scale"]) / np.float32(case["output_scale"])
        positive = np.rint(np.atleast_1d(256 * np.float64(ratio))) / 256
        negative = np.rint(np.atleast_1d(256 * np.float64(ratio * np.float32(case["alpha"])))) / 256
    real = positive if operator == "quantize" else np.concatenate([positive, negative])
    rounding = RUNTIMES[runtime].rounding_of(operator)
    values = np.arange(-128, 128).astype(np.int8)
    return {**case, **pairs(real, rounding), "input": values, "output_shape": values.shape}
