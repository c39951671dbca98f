"""Pieces of portable vector IR that the tile and its ends are made of: 8 lanes of 32 bits at a time.

Nothing here names a processor. LLVM turns `pair_products` into one multiply-add instruction where
there is one (vpmaddwd, vpdpwssd, smull and smlal), see `contract.md`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fxpgrad_kernels.jit import cgutils, ir

LANES = 8

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
SUMS = ir.VectorType(I32, LANES)
PAIRS = ir.VectorType(I16, 2 * LANES)
HALVES = ir.VectorType(I64, LANES // 2)
_PRODUCTS = ir.VectorType(I32, 2 * LANES)


def constant(kind, value):
    """Return `value` as a scalar, or in every lane of a vector."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def indices(*lanes):
    """Return the mask of a shuffle."""
    return ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))


def load(builder, pointer, kind, align):
    """Load one vector or scalar of any alignment from a pointer to something else."""
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = align
    return value


def store(builder, value, pointer, align):
    """Store one vector or scalar of any alignment at a pointer to something else."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = align


def at(builder, pointer, index):
    """Return the address of element `index` (a value or an int)."""
    return builder.gep(pointer, [constant(I64, index) if isinstance(index, int) else index])


def broadcast(builder, value, kind):
    """Return a scalar in every lane of `kind`."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, constant(I32, 0))
    return builder.shuffle_vector(first, undefined, indices(*[0] * kind.count))


def broadcast_pair(builder, pointer):
    """Return two neighbouring int16 in every pair of lanes."""
    return builder.bitcast(broadcast(builder, load(builder, pointer, I32, 2), SUMS), PAIRS)


def pair_products(builder, a, w):
    """Return the int32 sums a[2i]*w[2i] + a[2i+1]*w[2i+1] of two vectors of int16 pairs.

    The products are made first and shuffled after: the order that LLVM recognizes.
    """
    product = builder.mul(builder.sext(a, _PRODUCTS), builder.sext(w, _PRODUCTS))
    undefined = ir.Constant(_PRODUCTS, ir.Undefined)
    even = builder.shuffle_vector(product, undefined, indices(*range(0, 2 * LANES, 2)))
    odd = builder.shuffle_vector(product, undefined, indices(*range(1, 2 * LANES, 2)))
    return builder.add(even, odd)


def maximum(builder, a, b):
    """Return the greater of two signed vectors, lane by lane."""
    return builder.select(builder.icmp_signed(">", a, b), a, b)


def minimum(builder, a, b):
    """Return the smaller of two signed vectors, lane by lane."""
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def split_signed(builder, lanes):
    """Return the even and the odd lanes of 8 int32 as two vectors of 4 int64.

    Shifts in place instead of shuffles: LLVM then knows that the products of two such vectors need
    the low halves only, and picks the one instruction for that.
    """
    wide = builder.bitcast(lanes, HALVES)
    half = constant(HALVES, 32)
    return [builder.ashr(builder.shl(wide, half), half), builder.ashr(wide, half)]


def split_unsigned(builder, lanes):
    """As `split_signed`, for lanes that are not negative."""
    wide = builder.bitcast(lanes, HALVES)
    return [builder.and_(wide, constant(HALVES, 0xFFFFFFFF)), builder.lshr(wide, constant(HALVES, 32))]


def join(builder, even, odd):
    """Return 8 int32: the low halves of 4 even and 4 odd int64."""
    low = builder.and_(even, constant(HALVES, 0xFFFFFFFF))
    return builder.bitcast(builder.or_(low, builder.shl(odd, constant(HALVES, 32))), SUMS)


@contextlib.contextmanager
def inner_loop(builder: Any, count: Any) -> Iterator[Any]:
    """Loop as `cgutils.for_range` does, over code that begins at a multiple of 64 bytes.

    Where a loop of 160 bytes begins decides how many lines of instructions are fetched for each turn: up
    to a tenth of a convolution's time, and else left to chance.
    """
    with cgutils.for_range(builder, count) as loop:
        yield loop
        last = builder.block
    wanted = builder.module.add_metadata(["llvm.loop.align", constant(I32, 64)])
    mark = ir.MDValue(builder.module, [], name=str(len(builder.module.metadata)))
    mark.operands = (mark, wanted)  # a loop's mark is one that holds itself
    last.terminator.set_metadata("llvm.loop", mark)
