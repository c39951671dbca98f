"""Laws of the sums and largest values down columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fxpgrad.conformance.cases.numbers import integers
from fxpgrad_kernels.arithmetic.column_blocks import LANES, column_maxima, column_sums
from fxpgrad_kernels.jit import kernel
from tests.kernels.drawn import generators


@kernel
def sums_alone(values, first, rows, row_step, count, step, width, sums):
    """Call `column_sums`."""
    column_sums(values, first, rows, row_step, count, step, width, sums)


@kernel
def maxima_alone(values, first, rows, row_step, count, step, width, output, place, low, high):
    """Call `column_maxima`."""
    column_maxima(values, first, rows, row_step, count, step, width, output, place, low, high)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(rng=generators)
def test_columns_equal_those_of_numpy(dtype: str, rng: np.random.Generator) -> None:
    width = int(
        rng.choice([1, 3, LANES - 1, LANES, LANES + 1, 2 * LANES, 3 * LANES + 5, 7 * LANES + 3, 8 * LANES])
    )
    height, breadth = (int(n) for n in rng.integers(1, 7, 2))
    image = integers(rng, (height, breadth, width), dtype)
    top, left = int(rng.integers(height)), int(rng.integers(breadth))
    rows, count = int(rng.integers(1, height - top + 1)), int(rng.integers(1, breadth - left + 1))
    pixels = image[top : top + rows, left : left + count].reshape(-1, width).astype(np.int64)
    area = ((top * breadth + left) * width, rows, breadth * width, count, width)

    sums = np.full(width + 2, 77, np.int32)
    sums_alone(image.ravel(), *area, width, sums)
    np.testing.assert_array_equal(sums, [*pixels.sum(axis=0), 77, 77])

    low, high = sorted(int(bound) for bound in rng.integers(-128, 128, 2))
    largest = np.full(width + 5, 77, dtype)
    maxima_alone(image.ravel(), *area, width, largest, 3, low, high)
    kept = np.clip(pixels.max(axis=0), low, high)
    np.testing.assert_array_equal(largest, [77, 77, 77, *kept, 77, 77])
