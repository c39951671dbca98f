"""Repeat what belongs to a channel along a row of pixels, so that the row is one long pixel."""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device

NARROW = 48
"""With fewer channels than this a pixel does not fill the vector unit, and rows are tiled."""


def tile_of(channels: int, outputs: int, stride_w: int, output_width: int) -> int:
    """Return how many pixels become one: the row's where a row is contiguous and channels few, else 1."""
    return output_width if stride_w == 1 and channels == outputs and channels < NARROW else 1


@device
def tile_of_row(channels, outputs, stride_w, output_width):
    """Return `tile_of` in a kernel."""
    narrow = stride_w == 1 and channels == outputs and channels < NARROW
    return np.int64(output_width) if narrow else np.int64(1)


@device
def repeat(values, tile, tiled):
    """Write int32 `values` [O] `tile` times one after the other."""
    for t in range(tile):
        for o in range(values.size):
            tiled[t * values.size + o] = values[o]


@device
def repeat_taps(weights, taps, tile, tiled):
    """Write the O weights of each tap `tile` times one after the other; weights: [taps * O], flat."""
    outputs = weights.size // taps
    for tap in range(taps):
        for t in range(tile):
            for o in range(outputs):
                tiled[(tap * tile + t) * outputs + o] = weights[tap * outputs + o]
