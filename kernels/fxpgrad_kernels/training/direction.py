"""The parts of a direction: drawn, thinned, masked, guided by those before, and summed.

`perturb` and `update` draw and use z in one go, never keeping more than a short run of it. Where a direction
is more than a draw, z is put together in one slab by these kernels, each of which does one thing to it, and
`perturb_along` and `descend` use it. See `contract.md`, and `direction_ref.py` for the definitions.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.random.distributions import Purpose
from fxpgrad_kernels.random.philox import (
    DIRECTION,
    DISTRIBUTION,
    SCRATCH_BYTES,
    SEED,
    STEP,
    TABLE,
    TENSOR,
    chunk_of,
    fill_directions,
    fill_words,
)
from fxpgrad_kernels.spec import INT_RANGES, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.direction_ref import (
    WEIGHT_ONE,
    add_direction_ref,
    fill_direction_ref,
    guide_direction_ref,
    mask_direction_ref,
    thin_direction_ref,
)

BLOCK = 9 * 2048 + SCRATCH_BYTES  # workspace bytes: 2048 values at a time; least 576 + SCRATCH_BYTES
_ONE = np.int64(WEIGHT_ONE)
_HALF = np.int64(WEIGHT_ONE // 2)
_THINNING = np.int64(Purpose.THINNING)


@kernel
def fill_direction(table, block, z, seed, step, direction, tensor, first_index, distribution):
    """Fill z (int8) with the direction's values at indices first_index, first_index + 1, ..."""
    chunk = chunk_of(block, np.int64(9))
    scratch = block[: 4 * chunk + SCRATCH_BYTES].view(np.int16)
    start = np.int64(0)
    while start < z.size:
        end = min(np.int64(start + chunk), np.int64(z.size))
        fill_directions(
            table, z[start:end], scratch, first_index + start, seed, step, direction, tensor, distribution
        )
        start = end


@device
def _add_scaled(sums, z, weight):
    for j in range(z.size):
        sums[j] = np.int32(sums[j] + np.int32(np.int32(z[j]) * weight))


@kernel
def guide_direction(z, weights, table, block, output, seed, step, tensor, first_index, own, distribution):
    """Write own * z + sum_k sum_j weights[k, j] * (direction j of step - 1 - k), in units of 2**-12, rounded.

    The output may be z.
    """
    chunk = chunk_of(block, np.int64(9))
    drawn_before = block[:chunk]
    sums_of_chunk = block[chunk : 5 * chunk].view(np.int32)
    scratch = block[5 * chunk : 9 * chunk + SCRATCH_BYTES].view(np.int16)
    start = np.int64(0)
    while start < z.size:
        end = min(np.int64(start + chunk), np.int64(z.size))
        sums, drawn, values = sums_of_chunk[: end - start], drawn_before[: end - start], z[start:end]
        sums[:] = np.int32(0)
        _add_scaled(sums, values, np.int32(own))
        for k in range(weights.shape[0]):
            before = step - np.int64(1) - np.int64(k)
            for direction in range(weights.shape[1]):
                weight = weights[k, direction]
                if weight != np.int32(0) and before >= np.int64(0):
                    fill_directions(
                        table, drawn, scratch, first_index + start, seed, before, np.int64(direction), tensor,
                        distribution,
                    )  # fmt: skip
                    _add_scaled(sums, drawn, weight)
        for j in range(sums.size):
            total = np.int64(sums[j])
            magnitude = min((abs(total) + _HALF) // _ONE, np.int64(127))
            output[start + j] = np.int8(-magnitude if total < np.int64(0) else magnitude)
        start = end


@kernel
def thin_direction(z, block, output, density, seed, step, direction, tensor, first_index):
    """Write z where a 16-bit random number lies below `density`, else 0; the output may be z."""
    chunk = chunk_of(block, np.int64(9))
    words = block[: 2 * chunk].view(np.uint32)
    uniforms = words.view(np.uint16)
    start = np.int64(0)
    while start < z.size:
        end = min(np.int64(start + chunk), np.int64(z.size))
        needed = np.int64((end - start + np.int64(63)) >> np.int64(6)) * np.int64(32)
        first_block = (first_index + start) >> np.int64(3)
        fill_words(words[:needed], first_block, _THINNING, seed, step, direction, tensor)
        for j in range(end - start):
            kept = np.int64(uniforms[j]) < density
            output[start + j] = z[start + j] if kept else np.int8(0)
        start = end


@kernel
def mask_direction(z, weights, low, high, output):
    """Write z where low_c <= |w| <= high_c, else 0; the output may be z."""
    per_channel = np.int64(weights.size // low.size)
    for c in range(low.size):
        least, most = np.int64(low[c]), np.int64(high[c])
        for j in range(np.int64(c) * per_channel, np.int64(c + 1) * per_channel):
            size = abs(np.int64(weights[j]))
            output[j] = z[j] if least <= size <= most else np.int8(0)


@kernel
def add_direction(z, scalars, before, gradient, index):
    """Write before + scalars[index] * z, without `before` if index is 0; the output may be `before`."""
    scalar = np.int64(scalars[index])
    kept = np.int64(-1) if index > np.int64(0) else np.int64(0)
    for j in range(z.size):
        gradient[j] = (before[j] & kept) + scalar * np.int64(z[j])


def _block(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"block": BLOCK}


_Z, _WORK, _OUTPUT = (
    array("z", "input", "int8", "N", -127),
    array("block", "workspace", "int8", "Z"),
    "output",
)
_FIRST = parameter("first_index", 0, 2**34 - 8)
_RESULT = array(_OUTPUT, "output", "int8", "N", -127)

SPECS = (
    KernelSpec(
        "fill_direction",
        "training",
        fill_direction,
        fill_direction_ref,
        (
            TABLE, _WORK, array("z", "output", "int8", "N", -127), SEED, STEP, DIRECTION, TENSOR, _FIRST,
            DISTRIBUTION,
        ),
        _block,
    ),
    KernelSpec(
        "guide_direction",
        "training",
        guide_direction,
        guide_direction_ref,
        (
            _Z, array("weights", "input", "int32", "K M", -WEIGHT_ONE, WEIGHT_ONE), TABLE, _WORK, _RESULT,
            SEED, STEP, TENSOR, _FIRST, parameter("own", 0, WEIGHT_ONE), DISTRIBUTION,
        ),
        _block,
    ),
    KernelSpec(
        "thin_direction",
        "training",
        thin_direction,
        thin_direction_ref,
        (_Z, _WORK, _RESULT, parameter("density", 0, 2**16), SEED, STEP, DIRECTION, TENSOR, _FIRST),
        _block,
    ),
    *(
        KernelSpec(
            f"mask_direction_{name}",
            "training",
            mask_direction,
            mask_direction_ref,
            (
                _Z,
                array("weights", "input", dtype, "N", -INT_RANGES[dtype][1]),
                array("low", "constant", "int32", "C", 0),
                array("high", "constant", "int32", "C", 0),
                _RESULT,
            ),
        )
        for name, dtype in (("w8", "int8"), ("w16", "int16"))
    ),
    KernelSpec(
        "add_direction",
        "training",
        add_direction,
        add_direction_ref,
        (
            _Z,
            array("scalars", "input", "int32", "M", -(2**15), 2**15),
            array("before", "input", "int64", "N", -(2**30), 2**30),
            array("gradient", "output", "int64", "N", -(2**30), 2**30),
            parameter("index", 0, 63),
        ),
    ),
)  # fmt: skip
