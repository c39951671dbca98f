"""Reads the stored TOSA unit tests, made by tests/golden/make_tosa_conformance.py."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

STORED = Path(__file__).resolve().parents[1] / "golden" / "tosa_conformance.npz"


@functools.cache
def _all_cases(path: Path) -> tuple[dict[str, Any], ...]:
    with np.load(path) as stored:
        flat = {name: stored[name] for name in stored.files}
    cases = json.loads(flat.pop("index").tobytes())
    for case in cases:
        for key, (kind, shape, start) in case.pop("arrays").items():
            count = int(np.prod(shape, dtype=np.int64))
            case[key] = flat[kind][start : start + count].reshape(shape)
    return tuple(cases)


def tosa_cases(operator: str, path: Path = STORED) -> list[dict[str, Any]]:
    """Return the cases of one TOSA operator: attributes in lower case, arrays by name."""
    return [case for case in _all_cases(path) if case["operator"] == operator]


def scalar(array: np.ndarray[Any, Any]) -> int:
    """Return the number in an array of one."""
    return int(array.reshape(-1)[0])
