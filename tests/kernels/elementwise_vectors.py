"""Reads the stored results of TFLite-Micro for operators element by element."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ALL_INT8 = np.arange(-128, 128).astype(np.int8)
ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6")
BOUNDS = ((-np.inf, np.inf), (0.0, np.inf), (-1.0, 1.0), (0.0, 6.0))


def stored_rows(name: str, file: str = "tflm_elementwise.npz") -> list[dict[str, Any]]:
    """Return the cases of one operator; "quantization" is [tensors, (scale, zero point)]."""
    with np.load(GOLDEN / file) as stored:
        arrays = {key.split("/")[1]: stored[key] for key in stored.files if key.split("/")[0] == name}
    return [{key: rows[i] for key, rows in arrays.items()} for i in range(len(arrays["quantization"]))]


def clamps(code: int, scale: float, zero_point: int, bits: int) -> dict[str, int]:
    """Return the integer bounds of a fused activation: bound / scale in float32, halves away from zero."""
    ends = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    steps = [float(np.float32(bound) / np.float32(scale)) for bound in BOUNDS[code]]
    low, high = (np.clip(zero_point + np.copysign(np.floor(abs(step) + 0.5), step), *ends) for step in steps)
    return {"clamp_low": int(low), "clamp_high": int(high)}
