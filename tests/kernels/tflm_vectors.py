"""Reads the stored one-operator results of TFLite-Micro and derives their multipliers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STORED = Path(__file__).resolve().parents[1] / "golden" / "tflm_operators.npz"


def stored_cases(operator: str) -> list[dict[str, Any]]:
    """Return the cases of one operator: arrays as stored, scalars as Python numbers."""
    cases: dict[str, dict[str, Any]] = {}
    with np.load(STORED) as stored:
        for key in stored.files:
            name, case, argument = key.split("/")
            if name == operator:
                value = stored[key]
                cases.setdefault(case, {})[argument] = value if value.ndim else value.item()
    return list(cases.values())


def pair(real: float) -> tuple[int, int]:
    """Return (multiplier, shift) with real ~ multiplier * 2**(shift - 31): TFLite's rule, in double."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (multiplier, shift) if shift >= -31 else (0, 0)


def pairs(reals: NDArray[np.float64]) -> dict[str, NDArray[np.int32]]:
    """Return the arguments `multiplier` and `shift` for some real multipliers."""
    multiplier, shift = zip(*[pair(float(real)) for real in np.atleast_1d(reals)], strict=True)
    return {"multiplier": np.array(multiplier, np.int32), "shift": np.array(shift, np.int32)}
