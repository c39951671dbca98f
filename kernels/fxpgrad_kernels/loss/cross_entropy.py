"""Integer cross-entropy: Q24 logits in, Q24 loss of every sample out, the int64 sum returned.

See `contract.md` for the formats, the ranges and the error bound.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.loss.cross_entropy_ref import cross_entropy_linear_ref, cross_entropy_logits_ref
from fxpgrad_kernels.loss.exp_ln import exp_negative_q40, ln_q32
from fxpgrad_kernels.spec import KernelSpec, array

FRACTION_BITS = 24
LOGIT_LIMIT = np.int64(1 << 36)  # 4096 nats in Q24


@device
def clamp_logit(value):
    """Clamp a Q24 logit to +-2**36 (4096 nats)."""
    return min(max(value, -LOGIT_LIMIT), LOGIT_LIMIT)


@device
def scaled_logit(accumulator, multiplier, shift):
    """Return accumulator * multiplier * 2**(shift - 31), nearest, ties up, clamped (int64, Q24)."""
    right = np.int64(31) - np.int64(shift)
    product = np.int64(accumulator) * np.int64(multiplier)
    return clamp_logit((product + (np.int64(1) << (right - np.int64(1)))) >> right)


@device
def softmax_total(row, multiplier, shift):
    """Return (largest Q24 logit, sum of exp(logit - largest) in Q40) of a row of accumulators."""
    largest = -LOGIT_LIMIT
    for n in range(row.size):
        largest = max(largest, scaled_logit(row[n], multiplier[n], shift[n]))
    total = np.int64(0)
    for n in range(row.size):
        total += exp_negative_q40(largest - scaled_logit(row[n], multiplier[n], shift[n]))
    return largest, total


@device
def loss_of(total, largest, own):
    """Return ln(total / 2**40) + largest - own in Q24, rounded to nearest."""
    return ((ln_q32(total) + np.int64(128)) >> np.int64(8)) + largest - own


@kernel
def cross_entropy_logits(logits, labels, losses):
    """Write the loss of every row of Q24 logits (int64 [B, N]) and return their sum."""
    summed = np.int64(0)
    for b in range(losses.size):
        row = logits[b]
        largest = -LOGIT_LIMIT
        for n in range(row.size):
            largest = max(largest, clamp_logit(row[n]))
        total = np.int64(0)
        for n in range(row.size):
            total += exp_negative_q40(largest - clamp_logit(row[n]))
        losses[b] = loss_of(total, largest, clamp_logit(row[labels[b]]))
        summed += losses[b]
    return summed


@kernel
def cross_entropy_linear(accumulators, multiplier, shift, labels, losses):
    """Write the loss of every row of int32 accumulators, scaled to Q24 wide, and return their sum.

    The logits are never cut to int8, so that a perturbation that moves them by less than one
    output step still moves the loss.
    """
    summed = np.int64(0)
    for b in range(losses.size):
        row = accumulators[b]
        largest, total = softmax_total(row, multiplier, shift)
        label = labels[b]
        losses[b] = loss_of(total, largest, scaled_logit(row[label], multiplier[label], shift[label]))
        summed += losses[b]
    return summed


SPECS = (
    KernelSpec(
        name="cross_entropy_logits",
        operator="loss",
        function=cross_entropy_logits,
        reference=cross_entropy_logits_ref,
        arguments=(
            array("logits", "input", "int64", "B N"),
            array("labels", "input", "int32", "B", 0),
            array("losses", "output", "int64", "B", 0),
        ),
        returned="the sum of all losses",
    ),
    KernelSpec(
        name="cross_entropy_linear",
        operator="loss",
        function=cross_entropy_linear,
        reference=cross_entropy_linear_ref,
        arguments=(
            array("accumulators", "input", "int32", "B N"),
            array("multiplier", "input", "int32", "N", 0),
            array("shift", "input", "int32", "N", -31, 30),
            array("labels", "input", "int32", "B", 0),
            array("losses", "output", "int64", "B", 0),
        ),
        returned="the sum of all losses",
    ),
)
