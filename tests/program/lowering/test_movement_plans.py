"""Plans of movements against NumPy, carried out by the definitions of the kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.program.lowering.movement_plans import (
    Rearrangement,
    broadcast_plan,
    contiguous,
    depth_to_space_plan,
    merged,
    mirror_pad_indices,
    pad_plan,
    resize_nearest_indices,
    slice_plan,
    space_to_depth_plan,
    strides_of,
    tile_plan,
    transpose_plan,
)
from fxpgrad_kernels.shape.rearrange_ref import rearrange_ref

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)
BATCH = 2


def numbered(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return samples in which every element has its own number."""
    return np.arange(BATCH * math.prod(shape), dtype=np.int32).reshape(BATCH, *shape)


def check(plan: Rearrangement, x: NDArray[np.int32], expected: NDArray[Any]) -> None:
    """Carry a plan out and compare; no two indices may meet, and nothing may be read outside."""
    assert expected[0].size == plan.output_elements
    assert x[0].size == plan.input_elements
    assert all(extent > 1 for extent in plan.extents) or plan.extents == (1,)
    targets = sum(np.ix_(*[np.arange(e) * s for e, s in zip(plan.extents, plan.output_strides, strict=True)]))
    assert len(np.unique(targets)) == np.size(targets)
    result = rearrange_ref(x.reshape(-1), *plan.constants().values(), **plan.parameters())
    np.testing.assert_array_equal(result, expected.reshape(-1))


@given(shape=shapes, data=st.data())
def test_transpose_plan_is_a_transposition(shape: tuple[int, ...], data: st.DataObject) -> None:
    permutation = data.draw(st.permutations(range(len(shape))))
    x = numbered(shape)
    plan = transpose_plan(shape, permutation)
    check(plan, x, x.transpose(0, *[axis + 1 for axis in permutation]))
    assert plan.is_copy or sorted(permutation) != list(permutation)


@given(shape=shapes, rng=generators)
def test_slice_plan_is_a_slice(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    begin = [int(rng.integers(extent)) for extent in shape]
    stride = [int(rng.choice([-3, -2, -1, 1, 1, 2, 3])) for _ in shape]
    picked = []
    for first, step, extent in zip(begin, stride, shape, strict=True):
        legal = np.arange(first, extent if step > 0 else -1, step)
        picked.append(legal[: int(rng.integers(1, legal.size + 1))])
    x = numbered(shape)
    check(slice_plan(shape, begin, [p.size for p in picked], stride), x, x[np.ix_(np.arange(BATCH), *picked)])


@given(shape=shapes, rng=generators)
def test_pad_plan_pads(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    padding = rng.integers(0, 3, (len(shape), 2)) * (rng.random((len(shape), 2)) < 0.6)
    x = numbered(shape)
    expected = np.pad(x, [(0, 0), *padding.tolist()], constant_values=-7)
    check(pad_plan(shape, padding.ravel().tolist(), -7), x, expected)


@given(shape=shapes, rng=generators)
def test_broadcast_plan_broadcasts(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    target = (*rng.integers(1, 3, rng.integers(0, 3)).tolist(), *shape)
    source = tuple(1 if rng.random() < 0.5 else extent for extent in shape)
    x = numbered(source)
    inserted = x.reshape(BATCH, *(1,) * (len(target) - len(shape)), *source)
    check(broadcast_plan(source, target), x, np.broadcast_to(inserted, (BATCH, *target)))


@given(shape=shapes, rng=generators)
def test_tile_plan_tiles(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    multiples = rng.integers(1, 4, len(shape)).tolist()
    x = numbered(shape)
    check(tile_plan(shape, multiples), x, np.tile(x, (1, *multiples)))


@given(rng=generators)
def test_space_to_depth_undoes_depth_to_space(rng: np.random.Generator) -> None:
    height, width, channels, block = rng.integers(1, 5, 4).tolist()
    deep, flat = (height, width, block**2 * channels), (height * block, width * block, channels)
    x = numbered(deep)
    y = x.reshape(BATCH, height, width, block, block, channels).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(BATCH, *flat)
    check(depth_to_space_plan(deep, block), x, y)
    check(space_to_depth_plan(flat, block), y, x)


def test_plans_merge_axes_into_long_runs() -> None:
    assert transpose_plan((2, 3, 4, 5), (2, 0, 1, 3)).extents == (4, 6, 5)
    assert pad_plan((8, 8, 16), (1, 1, 1, 1, 0, 0), 0).extents == (8, 128)
    assert pad_plan((8, 8, 16), (1, 1, 0, 0, 0, 0), 0).extents == (1024,)
    assert slice_plan((8, 8, 16), (2, 0, 0), (3, 8, 16), (1, 1, 1)).extents == (384,)
    assert slice_plan((8,), (7,), (8,), (-1,)).input_strides == (-1,)
    assert transpose_plan((1, 5, 1), (2, 1, 0)).is_copy
    assert transpose_plan((), ()).is_copy
    assert broadcast_plan((1, 1, 6), (4, 4, 6)).extents == (16, 6)


@given(shape=shapes)
def test_whole_slice_is_a_copy(shape: tuple[int, ...]) -> None:
    ones = (1,) * len(shape)
    assert slice_plan(shape, (0,) * len(shape), shape, ones).is_copy
    assert contiguous(math.prod(shape)).is_copy


def test_more_than_eight_axes_are_refused() -> None:
    shape = (2,) * 9
    plan = Rearrangement(shape, strides_of(shape)[::-1], strides_of(shape), 2**9, 2**9)
    with pytest.raises(LoweringError, match="at most 8"):
        merged(plan)
    assert merged(Rearrangement(shape, strides_of(shape), strides_of(shape), 2**9, 2**9)).is_copy


@given(extent=st.integers(1, 6), before=st.integers(0, 6), after=st.integers(0, 6))
@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_mirror_indices_are_those_of_numpy(mode: Any, extent: int, before: int, after: int) -> None:
    if max(before, after) > extent - (mode == "reflect"):
        with pytest.raises(LoweringError, match=f"{mode} padding of an axis of {extent}"):
            mirror_pad_indices(extent, before, after, mode)
        return
    indices = mirror_pad_indices(extent, before, after, mode)
    np.testing.assert_array_equal(indices, np.pad(np.arange(extent), (before, after), mode))


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("half", [False, True])
@given(source=st.integers(1, 300), target=st.integers(1, 300))
def test_nearest_indices_rise_and_stay_inside(align: bool, half: bool, source: int, target: int) -> None:
    indices = resize_nearest_indices(source, target, align, half)
    assert indices.dtype == np.int32
    assert indices.min() >= 0
    assert indices.max() < source
    assert (np.diff(indices) >= 0).all()
    if source == target and not (align and half):
        np.testing.assert_array_equal(indices, np.arange(source))


def test_nearest_indices_of_known_sizes() -> None:
    assert resize_nearest_indices(2, 5, False, False).tolist() == [0, 0, 0, 1, 1]
    assert resize_nearest_indices(2, 4, False, True).tolist() == [0, 0, 1, 1]
    assert resize_nearest_indices(3, 2, True, False).tolist() == [0, 2]
    assert resize_nearest_indices(2, 3, True, False).tolist() == [0, 1, 1]  # one half is rounded up
    assert resize_nearest_indices(4, 1, True, False).tolist() == [0]
