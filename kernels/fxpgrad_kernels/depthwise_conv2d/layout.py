"""How a depthwise layer lies in vectors: channels in lanes, image rows in pairs, taps in blocks of six.

Plain integer functions, each also compiled for kernels (`*_in_kernel`): the host sizes workspaces and
prepared arrays by the same rule by which the kernel walks them. `contract.md` draws the layout.
"""

from __future__ import annotations

from fxpgrad_kernels.jit import device

GROUP = 8
"""Channels that one vector of sums holds."""

COLUMNS = 3
"""Columns of a block of taps; a block also has two pairs of rows."""

BLOCK = 2 * COLUMNS * GROUP
"""Pairs of weights of a block of taps for one group of channels."""

PIXELS = 3
"""Output pixels of one tile; a row of sums is rounded up to it."""


def filter_layout(outputs, kernel_h, kernel_w, stride_h, stride_w, dilation_h):
    """Return (repeats, lanes, phases, pairs, blocks) of the prepared filters.

    repeats: pixels whose channels lie side by side in the prepared lanes, where channels are no multiple
    of 16 but of 8, or few; lanes: a multiple of 16, lane i belongs to channel i % outputs; phases: 2
    where a window may start at the second row of a pair, else 1; pairs: pairs of rows that a window
    touches; blocks: of taps.
    """
    repeats = 1
    while outputs * repeats % 16 != 0 and (outputs % 8 == 0 or (stride_w == 1 and outputs < 48)):
        repeats *= 2
    lanes = (outputs * repeats + 15) // 16 * 16
    phases = 2 if dilation_h == 1 and stride_h % 2 == 1 else 1
    pairs = (kernel_h + phases) // 2
    return repeats, lanes, phases, pairs, (pairs + 1) // 2 * ((kernel_w + 2) // 3)


def row_layout(
    channels, outputs, lanes, repeats, kernel_w, stride_w, dilation_w, output_height, output_width
):
    """Return (wide, width, reach, length, pitch, rows) of the rows of a call.

    wide: pixels that are requantized side by side (1: one by one); width: lanes of such a step; reach:
    lanes from one image pixel to the next; length: lanes of a row of sums; pitch: of a row of pairs; rows:
    that are requantized together, 0 where the lanes of a row are more than its channels.
    `lanes` and `repeats` are those of `filter_layout`.
    """
    single = (outputs + 15) // 16 * 16
    wide, width, reach = 1, single, single
    together = (output_width + repeats - 1) // repeats
    if repeats > 1 and channels == outputs and together * lanes <= output_width * single:
        wide, width, reach = repeats, lanes, outputs
    steps = (output_width + wide - 1) // wide
    length = (steps + 2) // 3 * 3 * width
    pitch = length * stride_w - (stride_w - 1) * reach + (kernel_w - 1) * dilation_w * reach
    rows = 0
    if (wide > 1 or width == outputs) and output_width * outputs % width == 0:
        rows = max(1, min(output_height, 24 // output_width, 1600 // (output_width * outputs)))
    return wide, width, reach, length, (pitch + 15) // 16 * 16, rows


filter_layout_in_kernel = device(filter_layout)
row_layout_in_kernel = device(row_layout)
