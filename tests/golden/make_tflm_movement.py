"""Make tflm_movement.npz: operators that only move values, run by TFLite-Micro's reference kernels.

Needs the PyPI package tflite-micro in an environment of its own::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_movement.py

Every array is stored as "<operator>/<case>/<name>": input (or input_0, input_1, ...), output (or
output_0, ...), and the operator's attributes without the batch axis, which is the first one of every
tensor. `space_to_batch` and `batch_to_space` move the batch too. `nearest_lists` holds, for each mode
of RESIZE_NEAREST_NEIGHBOR, the chosen entries of an axis for many pairs of sizes, one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator

SEED = 20261123
CASES = 8
BATCH = 2
Case = dict[str, Any]


def pick(rng: np.random.Generator, *dtypes: str) -> str:
    return str(rng.choice(dtypes))


def shape_of(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    """Return a shape without the batch."""
    return tuple(int(n) for n in rng.integers(1, 6, rank))


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


class Movement(OneOperator):
    """One operator whose activations all have one scale and one zero point."""

    def __init__(self, dtype: str, zero_point: int = 0) -> None:
        super().__init__()
        self.dtype, self.zero_point = dtype, zero_point

    def activation(self, shape: tuple[int, ...]) -> int:
        return self.tensor(shape, self.dtype, 0.5, self.zero_point)

    def integers(self, data: Any) -> int:
        array = np.asarray(data, np.int32)
        return self.tensor(array.shape, "int32", data=array)

    def moved(
        self,
        name: str,
        x: Array,
        constants: list[int],
        shape: tuple[int, ...],
        kind: str = "",
        **attributes: Any,
    ) -> Array:
        self.graph.inputs = [self.activation(x.shape)]
        output = self.activation(shape)
        self.operator(name, 2, [self.graph.inputs[0], *constants], output, kind, **attributes)
        return self.run(x)


def pad(rng: np.random.Generator) -> Case:
    """Run PAD, which fills with the zero point, or PADV2, which is told the value."""
    dtype, rank = pick(rng, "int8", "int8", "int16"), int(rng.integers(1, 4))
    zero = int(rng.choice([-128, -3, 0, 5, 127])) if dtype == "int8" else 0
    x = values(rng, (BATCH, *shape_of(rng, rank)), dtype)
    padding = np.concatenate([[[0, 0]], rng.integers(0, 3, (rank, 2))])
    shape = tuple(int(n) for n in np.array(x.shape) + padding.sum(axis=1))
    net = Movement(dtype, zero)
    constants, fill, name = [net.integers(padding)], zero, "PAD"
    if rng.random() < 0.5:
        fill, name = int(rng.integers(-128, 128)), "PADV2"
        constants.append(net.tensor((1,), dtype, 0.5, zero, np.array([fill], dtype)))
    output = net.moved(name, x, constants, shape, f"{'Pad' if name == 'PAD' else 'PadV2'}Options")
    return {"input": x, "output": output, "padding": padding[1:].ravel(), "value": fill}


def mirror_pad(rng: np.random.Generator) -> Case:
    """Run MIRROR_PAD in both modes."""
    reflect = bool(rng.random() < 0.5)
    shape = tuple(int(n) for n in rng.integers(2, 6, 3))
    x = values(rng, (BATCH, *shape), "int8")
    padding = [[0, 0], *(rng.integers(0, extent + (not reflect), 2).tolist() for extent in shape)]
    target = tuple(int(n) for n in np.array(x.shape) + np.sum(padding, axis=1))
    net = Movement("int8")
    output = net.moved(
        "MIRROR_PAD", x, [net.integers(padding)], target, "MirrorPadOptions", mode=0 if reflect else 1
    )
    return {"input": x, "output": output, "padding": np.ravel(padding[1:]), "reflect": reflect}


def transpose(rng: np.random.Generator) -> Case:
    dtype, rank = pick(rng, "int8", "int16"), int(rng.integers(1, 5))
    x = values(rng, (BATCH, *shape_of(rng, rank)), dtype)
    permutation = rng.permutation(rank)
    whole = [0, *(int(axis) + 1 for axis in permutation)]
    shape = tuple(x.shape[axis] for axis in whole)
    net = Movement(dtype)
    output = net.moved("TRANSPOSE", x, [net.integers(whole)], shape, "TransposeOptions")
    return {"input": x, "output": output, "permutation": permutation}


def slice_(rng: np.random.Generator) -> Case:
    dtype, rank = pick(rng, "int8", "int16", "int32"), int(rng.integers(1, 5))
    x = values(rng, (BATCH, *shape_of(rng, rank)), dtype)
    begin = np.array([0, *(rng.integers(extent) for extent in x.shape[1:])])
    left = np.array(x.shape) - begin
    size = np.array([BATCH, *(rng.integers(1, n + 1) for n in left[1:])])
    given = np.where((size == left) & (rng.random(size.size) < 0.5), -1, size)  # -1: to the end
    net = Movement(dtype)
    constants = [net.integers(begin), net.integers(given)]
    output = net.moved("SLICE", x, constants, tuple(size.tolist()), "SliceOptions")
    return {"input": x, "output": output, "begin": begin[1:], "size": size[1:]}


def strided_slice(rng: np.random.Generator) -> Case:
    """Run STRIDED_SLICE with steps of both signs, counts from the end, masks and dropped axes."""
    dtype, rank = pick(rng, "int8", "int16", "int32"), int(rng.integers(1, 4))
    while True:
        x = values(rng, (BATCH, *shape_of(rng, rank)), dtype)
        extents = np.array(x.shape)
        begin, end = rng.integers(-extents, extents), rng.integers(-extents - 1, extents + 3)
        stride = rng.choice([-2, -1, 1, 1, 2, 3], rank + 1)
        begin_mask, end_mask, shrink = (
            int(bits) & ~1
            for bits in rng.integers(0, 2 ** (rank + 1), 3) & rng.integers(0, 2 ** (rank + 1), 3)
        )
        begin[0], end[0], stride[0] = 0, BATCH, 1
        stride[[bool(shrink >> axis & 1) for axis in range(rank + 1)]] = 1
        begin_mask &= ~shrink
        cuts: list[Any] = []
        for axis in range(rank + 1):
            first = None if begin_mask >> axis & 1 else int(begin[axis])
            last = None if end_mask >> axis & 1 else int(end[axis])
            cuts.append(int(begin[axis]) if shrink >> axis & 1 else slice(first, last, int(stride[axis])))
        shape = x[tuple(cuts)].shape  # only the shape: TFLite-Micro is asked for the values
        if 0 not in shape:
            break
    net = Movement(dtype)
    output = net.moved(
        "STRIDED_SLICE", x, [net.integers(begin), net.integers(end), net.integers(stride)], shape,
        "StridedSliceOptions", beginMask=begin_mask, endMask=end_mask, ellipsisMask=0, newAxisMask=0,
        shrinkAxisMask=shrink,
    )  # fmt: skip
    masks = np.array([begin_mask, end_mask, shrink])
    return {"input": x, "output": output, "begin": begin, "end": end, "stride": stride, "masks": masks}


def parts_of(rng: np.random.Generator, unpacked: bool) -> Case:
    """Run SPLIT into up to three parts, or UNPACK, along any axis but the batch."""
    dtype, axis = pick(rng, "int8", "int16", "int32"), int(rng.integers(1, 4))
    shape = [BATCH, *shape_of(rng, 3)]
    parts = shape[axis] if unpacked else int(rng.integers(1, 4))
    part = [*shape[:axis], *([] if unpacked else [shape[axis]]), *shape[axis + 1 :]]
    shape[axis] *= 1 if unpacked else parts
    net = Movement(dtype)
    x = values(rng, tuple(shape), dtype)
    net.graph.inputs = [net.activation(x.shape)]
    outputs = [net.activation(tuple(part)) for _ in range(parts)]
    if unpacked:
        net.operator("UNPACK", 2, net.graph.inputs, outputs, "UnpackOptions", num=parts, axis=axis)
    else:
        along = net.tensor((1,), "int32", data=np.array([axis], np.int32))
        operands = [along, net.graph.inputs[0]]
        net.operator("SPLIT", 2, operands, outputs, "SplitOptions", numSplits=parts)
    return {"input": x, **{f"output_{i}": y for i, y in enumerate(net.run_all(x))}, "axis": axis - 1}


def pack(rng: np.random.Generator) -> Case:
    """Run PACK of one to four tensors."""
    dtype, parts, rank = pick(rng, "int8", "int16", "int32"), int(rng.integers(1, 5)), int(rng.integers(1, 4))
    axis, shape = int(rng.integers(1, rank + 2)), (BATCH, *shape_of(rng, rank))
    net = Movement(dtype)
    x = [values(rng, shape, dtype) for _ in range(parts)]
    net.graph.inputs = [net.activation(shape) for _ in range(parts)]
    output = net.activation((*shape[:axis], parts, *shape[axis:]))
    net.operator("PACK", 2, net.graph.inputs, output, "PackOptions", valuesCount=parts, axis=axis)
    return {**{f"input_{i}": part for i, part in enumerate(x)}, "output": net.run(*x), "axis": axis - 1}


def concatenation(rng: np.random.Generator) -> Case:
    """Run CONCATENATION of one to four tensors."""
    dtype, rank = pick(rng, "int8", "int16", "int32"), int(rng.integers(1, 4))
    axis, shape = int(rng.integers(1, rank + 1)), [BATCH, *shape_of(rng, rank)]
    net, x = Movement(dtype), []
    for _ in range(int(rng.integers(1, 5))):
        shape[axis] = int(rng.integers(1, 5))
        x.append(values(rng, tuple(shape), dtype))
    shape[axis] = sum(part.shape[axis] for part in x)
    net.graph.inputs = [net.activation(part.shape) for part in x]
    output = net.activation(tuple(shape))
    given = axis - len(shape) if rng.random() < 0.5 else axis
    net.operator(
        "CONCATENATION", 2, net.graph.inputs, output, "ConcatenationOptions", axis=given,
        fusedActivationFunction=0,
    )  # fmt: skip
    return {**{f"input_{i}": part for i, part in enumerate(x)}, "output": net.run(*x), "axis": axis - 1}


def gather(rng: np.random.Generator) -> Case:
    """Run GATHER of a constant list along any axis but the batch."""
    dtype, rank = "int8", int(rng.integers(1, 4))
    axis, shape = int(rng.integers(1, rank + 1)), (BATCH, *shape_of(rng, rank))
    x = values(rng, shape, dtype)
    indices = rng.integers(0, shape[axis], int(rng.integers(1, 8)))
    net = Movement(dtype)
    target = (*shape[:axis], indices.size, *shape[axis + 1 :])
    output = net.moved("GATHER", x, [net.integers(indices)], target, "GatherOptions", axis=axis, batchDims=0)
    return {"input": x, "output": output, "indices": indices, "axis": axis - 1}


def broadcast_to(rng: np.random.Generator) -> Case:
    """Run BROADCAST_TO, which repeats axes of extent 1."""
    dtype, target = pick(rng, "int8", "int16"), (BATCH, *shape_of(rng, 3))
    shape = (BATCH, *(1 if rng.random() < 0.5 else extent for extent in target[1:]))
    net = Movement(dtype)
    x = values(rng, shape, dtype)
    return {
        "input": x,
        "output": net.moved("BROADCAST_TO", x, [net.integers(target)], target, "BroadcastToOptions"),
    }


def blocks(rng: np.random.Generator, to_space: bool) -> Case:
    """Run DEPTH_TO_SPACE or SPACE_TO_DEPTH."""
    height, width, channels = shape_of(rng, 3)
    block = int(rng.integers(1, 4))
    deep = (BATCH, height, width, channels * block**2)
    flat = (BATCH, height * block, width * block, channels)
    source, target = (deep, flat) if to_space else (flat, deep)
    name, kind = ("DEPTH_TO_SPACE", "DepthToSpace") if to_space else ("SPACE_TO_DEPTH", "SpaceToDepth")
    x = values(rng, source, "int8")
    output = Movement("int8").moved(name, x, [], target, f"{kind}Options", blockSize=block)
    return {"input": x, "output": output, "block": block}


def space_to_batch(rng: np.random.Generator) -> Case:
    """Run SPACE_TO_BATCH_ND without padding: what TFLite-Micro pads with is memory that it never set."""
    block, counts = rng.integers(1, 4, 2), rng.integers(1, 4, 2)
    x = values(rng, (BATCH, *(block * counts).tolist(), int(rng.integers(1, 4))), "int8")
    net = Movement("int8")
    target = (BATCH * int(block.prod()), *counts.tolist(), x.shape[3])
    constants = [net.integers(block), net.integers(np.zeros((2, 2)))]
    output = net.moved("SPACE_TO_BATCH_ND", x, constants, target, "SpaceToBatchNDOptions")
    return {"input": x, "output": output, "block": block}


def batch_to_space(rng: np.random.Generator) -> Case:
    """Run BATCH_TO_SPACE_ND over height and width with crops."""
    dtype = "int8"
    block, counts = rng.integers(1, 4, 2), rng.integers(1, 4, 2)
    whole = block * counts
    before = rng.integers(0, whole)
    after = rng.integers(0, whole - before)
    x = values(rng, (BATCH * int(block.prod()), *counts.tolist(), int(rng.integers(1, 4))), dtype)
    height, width = (whole - before - after).tolist()
    net = Movement(dtype)
    crops = np.stack([before, after], axis=1)
    constants = [net.integers(block), net.integers(crops)]
    target = (BATCH, height, width, x.shape[3])
    output = net.moved("BATCH_TO_SPACE_ND", x, constants, target, "BatchToSpaceNDOptions")
    return {"input": x, "output": output, "block": block, "crops": crops.ravel()}


def nearest(x: Array, size: tuple[int, int], align: bool, half: bool) -> Array:
    """Run RESIZE_NEAREST_NEIGHBOR."""
    net = Movement(str(x.dtype))
    return net.moved(
        "RESIZE_NEAREST_NEIGHBOR", x, [net.integers(size)], (len(x), *size, x.shape[3]),
        "ResizeNearestNeighborOptions", alignCorners=align, halfPixelCenters=half,
    )  # fmt: skip


def resize_nearest(rng: np.random.Generator) -> Case:
    """Run RESIZE_NEAREST_NEIGHBOR on a small image, up or down."""
    x = values(rng, (BATCH, *shape_of(rng, 3)), pick(rng, "int8", "int16"))
    height, width = rng.integers(1, 9, 2).tolist()
    align, half = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
    output = nearest(x, (height, width), align, half)
    return {"input": x, "output": output, "align_corners": align, "half_pixel_centers": half}


def nearest_lists(rng: np.random.Generator) -> dict[str, Array]:
    """Resize numbered axes, so that the output is the list of chosen entries, in all four modes."""
    sizes = rng.integers(1, 257, (200, 2))
    sizes[:60] = rng.integers(1, 40, (60, 2))
    sizes[60:100, 1] = sizes[60:100, 0] // rng.integers(1, 5, 40) + rng.integers(
        0, 2, 40
    )  # near whole ratios
    sizes = np.clip(sizes, 1, 256)
    stored = {"nearest_lists/sizes": sizes.astype(np.int16)}
    for align in (False, True):
        for half in (False, True):
            lists = [
                nearest(np.arange(n, dtype=np.int16).reshape(1, n, 1, 1), (m, 1), align, half).ravel()
                for n, m in sizes.tolist()
            ]
            stored[f"nearest_lists/align_{align:d}_half_{half:d}"] = np.concatenate(lists).astype(np.uint8)
    return stored


OPERATORS: dict[str, Callable[[np.random.Generator], Case]] = {
    "pad": pad,
    "mirror_pad": mirror_pad,
    "transpose": transpose,
    "slice": slice_,
    "strided_slice": strided_slice,
    "split": partial(parts_of, unpacked=False),
    "unpack": partial(parts_of, unpacked=True),
    "pack": pack,
    "concatenation": concatenation,
    "gather": gather,
    "broadcast_to": broadcast_to,
    "depth_to_space": partial(blocks, to_space=True),
    "space_to_depth": partial(blocks, to_space=False),
    "space_to_batch": space_to_batch,
    "batch_to_space": batch_to_space,
    "resize_nearest": resize_nearest,
}


def main() -> None:
    """Write the vectors beside this file."""
    stored: dict[str, Array] = nearest_lists(np.random.default_rng([SEED, 99]))
    for number, (name, operator) in enumerate(OPERATORS.items()):
        for case in range(CASES):
            for key, value in operator(np.random.default_rng([SEED, number, case])).items():
                array = np.asarray(value)
                if key.split("_")[0] not in ("input", "output"):
                    array = array.astype(np.int32)
                stored[f"{name}/{case}/{key}"] = array
    here = Path(__file__).resolve().parent
    np.savez_compressed(here / "tflm_movement.npz", **stored)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
