"""The definition of residuals, in Python integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.loss.cross_entropy_ref import clamp_logit_ref, exp_negative_ref, round_up_ref

FRACTION_BITS = 15


def residuals_linear_ref(
    accumulators: NDArray[np.int32], multiplier: NDArray[Any], shift: NDArray[Any], labels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return round(2**15 * softmax) - 2**15 * onehot of every row, ties up (int32 [B, N])."""
    rows = []
    for row, label in zip(accumulators, labels, strict=True):
        logits = [
            clamp_logit_ref(round_up_ref(int(a) * int(m), 31 - int(s)))
            for a, m, s in zip(row, multiplier, shift, strict=True)
        ]
        powers = [exp_negative_ref(max(logits) - logit) for logit in logits]
        total = sum(powers)
        shares = [(power * 2**FRACTION_BITS + total // 2) // total for power in powers]
        shares[int(label)] -= 2**FRACTION_BITS
        rows.append(shares)
    return np.array(rows, np.int32)
