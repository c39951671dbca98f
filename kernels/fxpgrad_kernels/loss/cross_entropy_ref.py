"""The definition of the integer cross-entropy, in Python integers: slow and obvious.

exp and ln are part of the format (two targets must agree bit by bit), so that their steps are
written again here, from the contract; how near they are to the real functions is tested apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.loss import exp_ln_tables as tables

_LIMIT = 2**36


def round_up_ref(numerator: int, power: int) -> int:
    """Return numerator / 2**power rounded to nearest, ties up."""
    return (numerator + (1 << (power - 1))) // (1 << power)


def exp_negative_ref(x: int) -> int:
    """Return exp(-x / 2**24) in Q40."""
    whole, fraction = divmod(x, 2**24)
    if whole >= len(tables.EXP_WHOLE):
        return 0
    coarse, rest = divmod(fraction, 2**18)
    fine, rest = divmod(rest, 2**12)
    tail = 2**31 - 2**7 * rest + round_up_ref(rest * rest, 18)
    product = round_up_ref(tables.EXP_COARSE[coarse] * tables.EXP_FINE[fine], 31)
    product = round_up_ref(product * tail, 31)
    return round_up_ref(product * tables.EXP_WHOLE[whole], 22 + tables.EXP_WHOLE_SHIFT[whole])


def ln_ref(value: int) -> int:
    """Return ln(value / 2**40) in Q32."""
    exponent = value.bit_length() - 1
    mantissa = value // 2 ** (exponent - 31)
    segment = (mantissa - 2**31) // 2**25
    y = round_up_ref(mantissa * tables.LN_RECIPROCAL[segment] - 2**62, 30)
    poly = 0
    for constant in (2**32 // 5, 2**30, 2**32 // 3, 2**31, 2**32):
        poly = constant - y * poly // 2**32
    return (exponent - 40) * tables.LN_2 + tables.LN_OFFSET[segment] + round_up_ref(y * poly, 32)


def clamp_logit_ref(value: int) -> int:
    """Clamp a Q24 logit to +-4096 nats."""
    return max(-_LIMIT, min(_LIMIT, value))


def sample_loss_ref(logits: Sequence[int], label: int) -> int:
    """Return the Q24 loss of one sample from its clamped Q24 logits."""
    largest = max(logits)
    total = sum(exp_negative_ref(largest - logit) for logit in logits)
    return round_up_ref(ln_ref(total), 8) + largest - logits[label]


def cross_entropy_logits_ref(logits: NDArray[np.int64], labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Define `cross_entropy_logits`: the losses [B]; the kernel returns their sum besides."""
    rows = [[clamp_logit_ref(int(value)) for value in row] for row in logits]
    losses = [sample_loss_ref(row, int(label)) for row, label in zip(rows, labels, strict=True)]
    return np.array(losses, np.int64)


def cross_entropy_linear_ref(
    accumulators: NDArray[np.int32], multiplier: NDArray[Any], shift: NDArray[Any], labels: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Define `cross_entropy_linear`: the losses [B]; the kernel returns their sum besides."""
    logits = [
        [
            clamp_logit_ref(round_up_ref(int(a) * int(m), 31 - int(s)))
            for a, m, s in zip(row, multiplier, shift, strict=True)
        ]
        for row in accumulators
    ]
    return cross_entropy_logits_ref(np.array(logits, np.int64), labels)
