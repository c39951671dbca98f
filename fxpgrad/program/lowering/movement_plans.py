"""Shapes and attributes become the arguments of `rearrange` and `gather`: pure functions, no scales.

Shapes leave the batch axis out, as everywhere in a Graph; a scalar sample is the shape ().
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError

Shape = tuple[int, ...]
GREATEST_RANK = 8
MirrorMode = Literal["reflect", "symmetric"]


@dataclass(frozen=True, slots=True)
class Rearrangement:
    """The arguments of the kernels `rearrange_a8`, `rearrange_a16`, `rearrange_a32`.

    For each index i within `extents`, element `output_offset + i . output_strides` of the output is
    element `input_offset + i . input_strides` of the input; all other elements are `fill`.
    """

    extents: tuple[int, ...]
    input_strides: tuple[int, ...]
    output_strides: tuple[int, ...]
    input_elements: int
    output_elements: int
    input_offset: int = 0
    output_offset: int = 0
    fill: int = 0

    @property
    def is_copy(self) -> bool:
        """Whether the output is the input, element for element."""
        return self == contiguous(self.input_elements, self.fill)

    def constants(self) -> dict[str, NDArray[np.int32]]:
        """Return the kernel's constants by name."""
        names = ("extents", "input_strides", "output_strides")
        return {name: np.array(getattr(self, name), np.int32) for name in names}

    def parameters(self) -> dict[str, int]:
        """Return the kernel's parameters by name."""
        names = ("input_elements", "output_elements", "input_offset", "output_offset", "fill")
        return {name: getattr(self, name) for name in names}


def contiguous(elements: int, fill: int = 0) -> Rearrangement:
    """Return the plan that copies `elements` elements in order."""
    return Rearrangement((elements,), (1,), (1,), elements, elements, 0, 0, fill)


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the step in elements along each axis of a C-ordered array."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def merged(plan: Rearrangement) -> Rearrangement:
    """Return a plan that moves the same elements with the fewest axes and the output in order.

    Axes of extent 1 go; the rest are sorted by their step in the output; neighbours that are one
    evenly spaced run in both arrays become one axis, so that the innermost loop is long.

    Raises
    ------
    LoweringError
        More than 8 axes are left.
    """
    axes = [
        axis
        for axis in zip(plan.extents, plan.input_strides, plan.output_strides, strict=True)
        if axis[0] > 1
    ]
    axes.sort(key=lambda axis: -axis[2])
    kept: list[tuple[int, int, int]] = []
    for extent, source, target in axes:
        if kept and kept[-1][1:] == (extent * source, extent * target):
            kept[-1] = (kept[-1][0] * extent, source, target)
        else:
            kept.append((extent, source, target))
    if not kept:
        kept = [(1, 1, 1)]
    if len(kept) > GREATEST_RANK:
        raise LoweringError(f"a movement of {len(kept)} axes: at most {GREATEST_RANK} can be lowered")
    extents, sources, targets = zip(*kept, strict=True)
    return replace(plan, extents=extents, input_strides=sources, output_strides=targets)


def transpose_plan(shape: Shape, permutation: Sequence[int]) -> Rearrangement:
    """Axis k of the output is axis `permutation[k]` of the input."""
    strides, target = strides_of(shape), tuple(shape[axis] for axis in permutation)
    elements = math.prod(shape)
    sources = tuple(strides[axis] for axis in permutation)
    return merged(Rearrangement(target, sources, strides_of(target), elements, elements))


def slice_plan(
    shape: Shape, begin: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> Rearrangement:
    """Element i of the output is element begin + i * stride of the input; a stride may be negative."""
    strides = strides_of(shape)
    return merged(
        Rearrangement(
            tuple(size),
            tuple(step * own for step, own in zip(stride, strides, strict=True)),
            strides_of(size),
            math.prod(shape),
            math.prod(size),
            input_offset=sum(first * own for first, own in zip(begin, strides, strict=True)),
        )
    )


def pad_plan(shape: Shape, padding: Sequence[int], fill: int) -> Rearrangement:
    """Surround by `fill`; `padding` is (before, after) of the first axis, then of the next."""
    before, after = padding[0::2], padding[1::2]
    target = tuple(b + extent + a for b, extent, a in zip(before, shape, after, strict=True))
    steps = strides_of(target)
    return merged(
        Rearrangement(
            shape,
            strides_of(shape),
            steps,
            math.prod(shape),
            math.prod(target),
            output_offset=sum(first * step for first, step in zip(before, steps, strict=True)),
            fill=fill,
        )
    )


def broadcast_plan(shape: Shape, target: Shape) -> Rearrangement:
    """Repeat axes of extent 1, and put new axes in front, until the shape is `target`."""
    full = (1,) * (len(target) - len(shape)) + shape
    steps = tuple(0 if extent == 1 else step for extent, step in zip(full, strides_of(full), strict=True))
    return merged(Rearrangement(target, steps, strides_of(target), math.prod(shape), math.prod(target)))


def tile_plan(shape: Shape, multiples: Sequence[int]) -> Rearrangement:
    """Repeat the whole tensor `multiples[k]` times along axis k."""
    target = tuple(extent * times for extent, times in zip(shape, multiples, strict=True))
    extents, sources, targets = [], [], []
    for extent, times, source, step in zip(
        shape, multiples, strides_of(shape), strides_of(target), strict=True
    ):
        extents += [times, extent]
        sources += [0, source]
        targets += [extent * step, step]
    return merged(
        Rearrangement(tuple(extents), tuple(sources), tuple(targets), math.prod(shape), math.prod(target))
    )


def depth_to_space_plan(shape: Shape, block: int) -> Rearrangement:
    """[..., H, W, b*b*C] to [..., b*H, b*W, C]: channels hold (row in block, column in block, channel)."""
    height, width, depth = shape[-3:]
    blocks = (math.prod(shape[:-3]), height, width, block, block, depth // block**2)
    return transpose_plan(blocks, (0, 1, 3, 2, 4, 5))


def space_to_depth_plan(shape: Shape, block: int) -> Rearrangement:
    """[..., b*H, b*W, C] to [..., H, W, b*b*C], the inverse of `depth_to_space_plan`."""
    height, width, depth = shape[-3:]
    blocks = (math.prod(shape[:-3]), height // block, block, width // block, block, depth)
    return transpose_plan(blocks, (0, 1, 3, 2, 4, 5))


def mirror_pad_indices(extent: int, before: int, after: int, mode: MirrorMode) -> NDArray[np.int32]:
    """Return, for each entry of a mirrored axis, the entry of the input that it is.

    Parameters
    ----------
    extent : int
        Entries of the axis, at least 1.
    before, after : int
        Entries added; at most extent - 1 ("reflect") or extent ("symmetric").
    mode : str
        "reflect" does not repeat the edge, "symmetric" does.

    Raises
    ------
    LoweringError
        The padding asks for entries that the axis does not have.
    """
    edge = {"reflect": 1, "symmetric": 0}[mode]
    if max(before, after) > extent - edge:
        raise LoweringError(
            f"{mode} padding of an axis of {extent} must be at most {extent - edge}; got {before}, {after}"
        )
    inside = np.arange(extent)
    left, right = inside[edge : edge + before][::-1], inside[::-1][edge : edge + after]
    return np.concatenate([left, inside, right]).astype(np.int32)


def resize_nearest_indices(
    input_size: int, output_size: int, align_corners: bool, half_pixel_centers: bool
) -> NDArray[np.int32]:
    """Return, for each entry of a resized axis, the nearest entry of the input, as TFLite counts.

    The arithmetic is TFLite's, in float32: position = (i + offset) * ratio, offset 1/2 with
    `half_pixel_centers`; rounded half up with `align_corners`, else down; at most input_size - 1.
    """
    single = np.float32
    if align_corners and output_size > 1:
        ratio = single(input_size - 1) / single(output_size - 1)
    else:
        ratio = single(input_size) / single(output_size)
    offset = single(0.5 if half_pixel_centers else 0.0)
    position: NDArray[np.floating] = (np.arange(output_size).astype(single) + offset) * ratio
    if align_corners:
        # Half away from zero. Positions are not negative; float64 holds position + 1/2 exactly.
        position = position.astype(np.float64) + 0.5
    indices: NDArray[np.int32] = np.minimum(np.floor(position), input_size - 1).astype(np.int32)
    return indices
