"""The rate at which this core multiplies and adds int16 pairs when nothing else is in its way.

The loop does what the inner loop of the matrix product must: pair products (one vpmaddwd, or its like) and
an addition to the sums. Four broadcast operands and eight sums stay in registers; two vectors are loaded for
each eight multiply-adds, from 2 KiB that never leave the first cache: otherwise the compiler would take the
products out of the loop. The vector IR names no processor.

An edit of this file is not seen by the kernels' cache, whose key is the kernels' own sources: rename
`multiply_add` with it.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np

from fxpgrad.benchmarks.candidate import PEAK, Built, Candidate, Case, Options
from fxpgrad_kernels.jit import cgutils, intrinsic, ir, kernel, types

_LANES, _ROWS, _VECTORS = 8, 4, 2
_STEPS = 32  # of _VECTORS vectors: the operands that the loop walks over, again and again
_RUNS = 4096
MACS = _RUNS * _STEPS * _ROWS * _VECTORS * 2 * _LANES  # of one call

_I16, _I32, _I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_I32, _LANES)
_PAIRS = ir.VectorType(_I16, 2 * _LANES)
_PRODUCTS = ir.VectorType(_I32, 2 * _LANES)


def _pair_products(builder, a, w):
    product = builder.mul(builder.sext(a, _PRODUCTS), builder.sext(w, _PRODUCTS))
    nothing = ir.Constant(_PRODUCTS, ir.Undefined)
    even, odd = (
        builder.shuffle_vector(product, nothing, ir.Constant(_SUMS, list(range(first, 2 * _LANES, 2))))
        for first in (0, 1)
    )
    return builder.add(even, odd)


def _load(builder, pointer, element):
    at = builder.gep(pointer, [element])
    value = builder.load(builder.bitcast(at, _PAIRS.as_pointer()))
    value.align = 2
    return value


@intrinsic
def _multiply_add_loop(typing_context, operands, weights, sums, runs):
    """Add the products of 4 operands (int16 [64]) with all weights (int16 [1024]), `runs` times."""
    signature = types.void(operands, weights, sums, types.int64)

    def codegen(context, builder, signature, args):
        operands_at, weights_at, sums_at = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in range(3)
        )

        def const(value):
            return ir.Constant(_I64, value)

        rows = [_load(builder, operands_at, const(2 * _LANES * row)) for row in range(_ROWS)]
        zero = ir.Constant(_SUMS, [0] * _LANES)
        cells = [cgutils.alloca_once_value(builder, zero) for _ in range(_ROWS * _VECTORS)]
        for cell in cells:
            builder.store(zero, cell)
        with cgutils.for_range(builder, args[3]), cgutils.for_range(builder, const(_STEPS)) as steps:
            start = builder.mul(steps.index, const(_VECTORS * 2 * _LANES))
            for vector in range(_VECTORS):
                w = _load(builder, weights_at, builder.add(start, const(2 * _LANES * vector)))
                for row in range(_ROWS):
                    cell = cells[row * _VECTORS + vector]
                    product = _pair_products(builder, rows[row], w)
                    builder.store(builder.add(builder.load(cell), product), cell)
        for index, cell in enumerate(cells):
            at = builder.bitcast(builder.gep(sums_at, [const(index * _LANES)]), _SUMS.as_pointer())
            builder.store(builder.load(cell), at).align = 4
        return context.get_dummy_value()

    return signature, codegen


@kernel
def multiply_add(operands, weights, sums, runs):
    """Run the loop; sums: int32 [64], overwritten."""
    _multiply_add_loop(operands, weights, sums, runs)


def peak_arrays() -> tuple[Any, Any, Any]:
    """Return (operands, weights, sums) for `multiply_add`: small numbers, so that no sum wraps."""
    rng = np.random.default_rng(0)
    operands = rng.integers(-9, 10, _ROWS * 2 * _LANES).astype(np.int16)
    weights = rng.integers(-9, 10, _STEPS * _VECTORS * 2 * _LANES).astype(np.int16)
    return operands, weights, np.zeros(_ROWS * _VECTORS * _LANES, np.int32)


def peak_sums(operands: Any, weights: Any, runs: int) -> Any:
    """Return the sums that `multiply_add` must leave, by NumPy."""
    a = operands.reshape(_ROWS, 1, _LANES, 2).astype(np.int64)
    w = weights.reshape(_STEPS, _VECTORS, _LANES, 2).astype(np.int64).sum(axis=0)
    return ((a * w).sum(axis=-1) * runs).reshape(-1)


def peak_candidate() -> Candidate:
    """Return the loop, checked once, as something to be timed beside the others."""
    operands, weights, sums = peak_arrays()
    multiply_add(operands, weights, sums, 3)
    exact = np.array_equal(sums, peak_sums(operands, weights, 3))
    return Candidate(
        PEAK,
        lambda: multiply_add(operands, weights, sums, _RUNS),
        MACS,
        "exact" if exact else "inexact",
    )


def peak_cases(options: Options) -> list[Case]:
    """Return the one case of the suite `peak`."""
    del options
    return [Case("int16 pairs, one core", lambda: Built((peak_candidate(),)), base=PEAK)]
