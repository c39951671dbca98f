"""What all pooling windows share: which pixels of the image they hold."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device

__all__ = ["area", "span"]


@device
def span(index, stride, padding, size, extent):
    """Return the first pixel of a window on one axis and how many are valid (int64)."""
    start = np.int64(index) * np.int64(stride) - np.int64(padding)
    first = max(start, np.int64(0))
    return first, min(start + np.int64(size), np.int64(extent)) - first


@device
def area(image, top, rows, left, columns, width, channels):
    """Return (first, rows, row_step, count, step) of a window for `column_blocks`.

    image: where the image starts in the flat input. A window as wide as the image is one long row.
    """
    first = image + (top * np.int64(width) + left) * np.int64(channels)
    if columns == width:
        return first, np.int64(1), np.int64(0), rows * columns, np.int64(channels)
    return first, rows, np.int64(width) * np.int64(channels), columns, np.int64(channels)
