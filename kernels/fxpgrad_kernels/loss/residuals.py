"""Residuals: softmax minus the label's one, the gradient of the cross-entropy by the logits.

See `contract.md` for the format and `residuals_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.loss.cross_entropy import scaled_logit, softmax_total
from fxpgrad_kernels.loss.exp_ln import exp_negative_q40
from fxpgrad_kernels.loss.residuals_ref import FRACTION_BITS, residuals_linear_ref
from fxpgrad_kernels.spec import KernelSpec, array

_BITS = np.int64(FRACTION_BITS)


@kernel
def residuals_linear(accumulators, multiplier, shift, labels, residuals):
    """Write softmax(logits) - onehot(label) of every row in Q15; logits as in `cross_entropy_linear`."""
    for b in range(labels.size):
        row = accumulators[b]
        largest, total = softmax_total(row, multiplier, shift)
        for n in range(row.size):
            share = exp_negative_q40(largest - scaled_logit(row[n], multiplier[n], shift[n])) << _BITS
            residuals[b, n] = np.int32((share + (total >> np.int64(1))) // total)
        residuals[b, labels[b]] -= np.int32(1 << FRACTION_BITS)


SPECS = (
    KernelSpec(
        name="residuals_linear",
        operator="loss",
        function=residuals_linear,
        reference=residuals_linear_ref,
        arguments=(
            array("accumulators", "input", "int32", "B N"),
            array("multiplier", "input", "int32", "N", 0),
            array("shift", "input", "int32", "N", -31, 30),
            array("labels", "input", "int32", "B", 0),
            array("residuals", "output", "int32", "B N", -(2**FRACTION_BITS), 2**FRACTION_BITS),
        ),
    ),
)
