"""Whether a case that was changed is still legal: what judges may simplify and still blame a target for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import Arrays, expected_of
from fxpgrad_kernels.spec import KernelSpec

# What a definition raises for arguments that it was not made for.
REFUSALS = (ValueError, OverflowError, ArithmeticError, IndexError)


def accumulator_bounds(case: Case) -> NDArray[np.int64]:
    """Return 128 * sum|w| + |bias - zero point * sum w| of each output channel of a layer of int8 inputs."""
    weights = np.asarray(case["weights"]).astype(np.int64)
    channels = len(case["bias"])
    if weights.ndim == 4 and weights.shape[0] == 1 and weights.shape[3] == channels:  # depthwise: 1HWO
        rows = weights.reshape(-1, channels).T
    else:
        rows = weights.reshape(channels, -1)
    folded = np.asarray(case["bias"]).astype(np.int64) - case["input_zero_point"] * rows.sum(axis=1)
    bounds: NDArray[np.int64] = 128 * abs(rows).sum(axis=1) + abs(folded)
    return bounds


def expected_if_legal(spec: KernelSpec, case: Case) -> Arrays | None:
    """Return what a kernel must write, or None where the case breaks its contract."""
    for argument in spec.arguments:
        if argument.role in {"prepared", "workspace", "output"}:
            continue
        values: Any = case[argument.name]
        if np.size(values) and not (argument.low <= np.min(values) <= np.max(values) <= argument.high):
            return None
        if argument.least and ((values != 0) & (np.abs(values) < argument.least)).any():
            return None
    if case.get("clamp_low", 0) > case.get("clamp_high", 0):
        return None
    promised = case.get("accumulator_bits") == 32 and "saturate" not in case
    if promised and "bias" in case and accumulator_bounds(case).max(initial=0) >= 2**31:
        return None
    try:
        return expected_of(spec, case)
    except REFUSALS:
        return None
