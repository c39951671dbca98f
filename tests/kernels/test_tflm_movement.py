"""Movements against TFLite-Micro: vectors of tests/golden/make_tflm_movement.py, by plan and kernel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fxpgrad.program.lowering import movement_plans as plans
from fxpgrad_kernels.registry import kernel_named
from tests.kernels.spec_call import by_kernel, reference_of

STORED = Path(__file__).resolve().parents[1] / "golden" / "tflm_movement.npz"
Array = NDArray[Any]
Case = dict[str, Any]


def stored_cases(operator: str) -> list[Case]:
    cases: dict[str, Case] = {}
    with np.load(STORED) as stored:
        for key in stored.files:
            name, *rest = key.split("/")
            if name == operator:
                cases.setdefault(rest[0], {})[rest[1]] = stored[key]
    return list(cases.values())


def numbered(case: Case, what: str) -> list[Array]:
    return [case[f"{what}_{i}"] for i in range(sum(key.startswith(f"{what}_") for key in case))]


def run(kernel: str, x: Array, **arguments: Any) -> Array:
    """Run a kernel and its definition on the flat values; they must agree."""
    spec = kernel_named(f"{kernel}_a{8 * x.itemsize}")
    case = {"input": x.reshape(-1), **arguments}
    result = by_kernel(spec)(case)
    np.testing.assert_array_equal(result, reference_of(spec, case))
    return result


def rearrange(x: Array, plan: plans.Rearrangement) -> Array:
    samples = x.size // plan.input_elements
    shape = (samples * plan.output_elements,)
    return run("rearrange", x, **plan.constants(), **plan.parameters(), output_shape=shape)


def gather(x: Array, axis: int, indices: Array) -> Array:
    """Pick entries of an axis of the array, the batch included."""
    extent, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    target = (*x.shape[:axis], indices.size, *x.shape[axis + 1 :])
    arguments = {"indices": indices.astype(np.int32), "extent": extent, "inner": inner}
    return run("gather", x, **arguments, output_shape=(math.prod(target),)).reshape(target)


def concatenate(parts: Sequence[Array], axis: int) -> Array:
    widths = [math.prod(part.shape[axis:]) for part in parts]
    spec = kernel_named(f"concatenate_block_a{8 * parts[0].itemsize}")
    output = np.zeros(sum(part.size for part in parts), parts[0].dtype)
    column = 0
    for part, width in zip(parts, widths, strict=True):
        spec.function(part.reshape(-1), output, width, sum(widths), column)
        column += width
    return output


def sample(x: Array) -> tuple[int, ...]:
    return x.shape[1:]


def pad(case: Case) -> Array:
    plan = plans.pad_plan(sample(case["input"]), case["padding"].tolist(), int(case["value"]))
    return rearrange(case["input"], plan)


def mirror_pad(case: Case) -> Array:
    x, mode = case["input"], "reflect" if case["reflect"] else "symmetric"
    for axis, (before, after) in enumerate(case["padding"].reshape(-1, 2).tolist()):
        indices = plans.mirror_pad_indices(x.shape[axis + 1], before, after, mode)  # type: ignore[arg-type]
        x = gather(x, axis + 1, indices)
    return x


def transpose(case: Case) -> Array:
    return rearrange(case["input"], plans.transpose_plan(sample(case["input"]), case["permutation"].tolist()))


def slice_(case: Case) -> Array:
    begin, size = case["begin"].tolist(), case["size"].tolist()
    return rearrange(case["input"], plans.slice_plan(sample(case["input"]), begin, size, [1] * len(size)))


def strided_slice(case: Case) -> Array:
    """Clamp the ends as Python's slices do: TFLite's rule; a dropped axis is one entry."""
    begin_mask, end_mask, shrink = case["masks"].tolist()
    first, count, steps = [], [], case["stride"].tolist()[1:]
    for axis, extent in enumerate(case["input"].shape[1:], 1):
        begin, end = int(case["begin"][axis]), int(case["end"][axis])
        if shrink >> axis & 1:
            entries = range(begin % extent, begin % extent + 1)
        else:
            bounds = (None if begin_mask >> axis & 1 else begin, None if end_mask >> axis & 1 else end)
            entries = range(*slice(*bounds, int(case["stride"][axis])).indices(extent))
        first.append(entries.start)
        count.append(len(entries))
    return rearrange(case["input"], plans.slice_plan(sample(case["input"]), first, count, steps))


def split(case: Case) -> list[Array]:
    """Take equal parts of one axis; for UNPACK each part is one entry, and the axis goes."""
    shape, axis, outputs = sample(case["input"]), int(case["axis"]), numbered(case, "output")
    size = [*shape[:axis], shape[axis] // len(outputs), *shape[axis + 1 :]]
    begins = [[0] * axis + [size[axis] * k] + [0] * (len(shape) - axis - 1) for k in range(len(outputs))]
    return [
        rearrange(case["input"], plans.slice_plan(shape, begin, size, [1] * len(shape))) for begin in begins
    ]


def pack(case: Case) -> Array:
    axis = int(case["axis"]) + 1
    return concatenate([np.expand_dims(part, axis) for part in numbered(case, "input")], axis)


def concatenation(case: Case) -> Array:
    return concatenate(numbered(case, "input"), int(case["axis"]) + 1)


def gather_list(case: Case) -> Array:
    return gather(case["input"], int(case["axis"]) + 1, case["indices"])


def broadcast_to(case: Case) -> Array:
    return rearrange(case["input"], plans.broadcast_plan(sample(case["input"]), sample(case["output"])))


def depth_to_space(case: Case) -> Array:
    return rearrange(case["input"], plans.depth_to_space_plan(sample(case["input"]), int(case["block"])))


def space_to_depth(case: Case) -> Array:
    return rearrange(case["input"], plans.space_to_depth_plan(sample(case["input"]), int(case["block"])))


def space_to_batch(case: Case) -> Array:
    """Move the positions within a block in front of the batch."""
    x, (block_h, block_w) = case["input"], case["block"].tolist()
    _, height, width, depth = case["output"].shape
    blocks = (len(x), height, block_h, width, block_w, depth)
    return rearrange(x, plans.transpose_plan(blocks, (2, 4, 0, 1, 3, 5)))


def batch_to_space(case: Case) -> Array:
    """Undo `space_to_batch`; then cut instead of padding."""
    (block_h, block_w), (top, bottom, left, right) = case["block"].tolist(), case["crops"].tolist()
    batch, height, width, depth = case["input"].shape
    blocks = (block_h, block_w, batch // (block_h * block_w), height, width, depth)
    whole = rearrange(case["input"], plans.transpose_plan(blocks, (2, 3, 0, 4, 1, 5)))
    shape = (block_h * height, block_w * width, depth)
    size = (shape[0] - top - bottom, shape[1] - left - right, depth)
    return rearrange(whole, plans.slice_plan(shape, (top, left, 0), size, (1, 1, 1)))


def resize_nearest(case: Case) -> Array:
    x, modes = case["input"], (bool(case["align_corners"]), bool(case["half_pixel_centers"]))
    for axis in (1, 2):
        x = gather(x, axis, plans.resize_nearest_indices(x.shape[axis], case["output"].shape[axis], *modes))
    return x


RULES: dict[str, Callable[[Case], Array | list[Array]]] = {
    "pad": pad,
    "mirror_pad": mirror_pad,
    "transpose": transpose,
    "slice": slice_,
    "strided_slice": strided_slice,
    "split": split,
    "unpack": split,
    "pack": pack,
    "concatenation": concatenation,
    "gather": gather_list,
    "broadcast_to": broadcast_to,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "space_to_batch": space_to_batch,
    "batch_to_space": batch_to_space,
    "resize_nearest": resize_nearest,
}


@pytest.mark.parametrize("operator", RULES)
def test_movement_is_that_of_tflite_micro(operator: str) -> None:
    cases = stored_cases(operator)
    assert len(cases) == 8
    for case in cases:
        results = RULES[operator](case)
        expected = [case["output"]] if "output" in case else numbered(case, "output")
        results = results if isinstance(results, list) else [results]
        for result, output in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result.reshape(-1), output.reshape(-1))


def test_every_stored_operator_is_compared() -> None:
    with np.load(STORED) as stored:
        assert {key.split("/")[0] for key in stored.files} == {*RULES, "nearest_lists"}


NEAREST_MODES = [(align, half) for align in (False, True) for half in (False, True)]


def nearest_by_float64(source: int, target: int, align: bool, half: bool) -> Array:
    """Compute the same lists in float64: what a plausible reading of the operator would do."""
    ratio = (source - 1) / (target - 1) if align and target > 1 else source / target
    position = (np.arange(target) + 0.5 * half) * ratio
    return np.minimum(np.floor(position + 0.5 * align), source - 1).astype(np.int32)


def lists_differ(rule: Callable[..., Array], align: bool, half: bool) -> bool:
    with np.load(STORED) as stored:
        expected = stored[f"nearest_lists/align_{align:d}_half_{half:d}"]
        sizes = stored["nearest_lists/sizes"].tolist()
    chosen = np.concatenate([rule(source, target, align, half) for source, target in sizes])
    assert chosen.size == expected.size
    return not np.array_equal(chosen, expected)


@pytest.mark.parametrize(("align", "half"), NEAREST_MODES)
def test_nearest_lists_are_those_of_tflite_micro(align: bool, half: bool) -> None:
    assert not lists_differ(plans.resize_nearest_indices, align, half)


def test_nearest_lists_tell_float32_from_float64() -> None:
    assert any(lists_differ(nearest_by_float64, *modes) for modes in NEAREST_MODES)
