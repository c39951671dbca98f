"""Causes in pooling: what padding counts for, and how a mean is rounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.causes.cause import Cause
from fxpgrad.conformance.definition import Arrays
from fxpgrad_kernels.spec import KernelSpec

# values in the image, elements of the window -> result before the clamp
Reduce = Callable[[list[int], int], int]


def _half_away(value: Fraction) -> int:
    size = (abs(value) + Fraction(1, 2)) // 1
    return size if value >= 0 else -size


_AVERAGES: dict[str, tuple[str, Reduce]] = {
    "padding counted": (
        "padding is counted as zeros: sums are divided by the size of the whole window",
        lambda values, size: _half_away(Fraction(sum(values), size)),
    ),
    "mean rounded down": (
        "means are rounded down instead of to nearest",
        lambda values, size: sum(values) // len(values),
    ),
    "mean truncated": (
        "means are rounded towards 0, as C divides, instead of to nearest",
        lambda values, size: int(Fraction(sum(values), len(values))),
    ),
    "ties up": (
        "ties of means go up instead of away from zero",
        lambda values, size: (Fraction(sum(values), len(values)) + Fraction(1, 2)) // 1,
    ),
    "ties to even": (
        "ties of means go to even instead of away from zero",
        lambda values, size: round(Fraction(sum(values), len(values))),
    ),
    "half added whatever the sign": (
        "half of the count is added to negative sums too, where it must be subtracted",
        lambda values, size: int(Fraction(sum(values) + len(values) // 2, len(values))),
    ),
}
_MAXIMA: dict[str, tuple[str, Reduce]] = {
    "maximum starts at 0": (
        "no maximum is below 0: it starts at 0 instead of at the first value",
        lambda values, size: max(0, *values),
    ),
    "padding counted": (
        "padding is counted as 0",
        lambda values, size: max(values) if len(values) == size else max(0, *values),
    ),
    "minimum": ("the least value is taken instead of the greatest", lambda values, size: min(values)),
}


def pooling_causes(spec: KernelSpec) -> Iterator[Cause]:
    """Yield the causes of a pooling kernel; none for other kernels."""
    families = {"average_pool2d_a": _AVERAGES, "max_pool2d_a": _MAXIMA}
    for start, causes in families.items():
        if spec.name.startswith(start):
            for name, (sentence, reduce) in causes.items():
                yield Cause(name, sentence, _pooled(spec, reduce))


def _pooled(spec: KernelSpec, reduce: Reduce) -> Callable[[Case], Arrays | None]:
    dtype = spec.of_role("output")[0].dtype

    def outputs(case: Case) -> Arrays | None:
        image = case["input"]
        _, height, width, _ = image.shape
        output = np.zeros(case["shapes"]["output"], np.int64)
        for b, oh, ow, c in np.ndindex(*output.shape):
            top, left = oh * case["stride_h"] - case["pad_top"], ow * case["stride_w"] - case["pad_left"]
            rows = range(max(top, 0), min(top + case["size_h"], height))
            columns = range(max(left, 0), min(left + case["size_w"], width))
            values = [int(image[b, y, x, c]) for y in rows for x in columns]
            if not values:
                return None
            value = reduce(values, case["size_h"] * case["size_w"])
            output[b, oh, ow, c] = max(case["clamp_low"], min(case["clamp_high"], value))
        return {"output": output.astype(dtype)}

    return outputs
