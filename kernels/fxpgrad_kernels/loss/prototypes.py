"""Prototype classifiers in integers: class sums, exact squared distances, prototype cross-entropy.

A prototype is a class mean, kept as (sum, count) and never divided: the squared distance of f is
||count * f - sum||**2 / count**2. Zero points cancel in the difference. Bounds: `contract.md`.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import device, kernel
from fxpgrad_kernels.loss.cross_entropy import LOGIT_LIMIT, loss_of
from fxpgrad_kernels.loss.exp_ln import exp_negative_q40
from fxpgrad_kernels.loss.prototypes_ref import (
    cross_entropy_prototypes_ref,
    prototype_distances_ref,
    prototype_sums_ref,
)
from fxpgrad_kernels.spec import KernelSpec, array, parameter

DISTANCE_BITS = 16
MAX_BATCH = 2**16
MAX_FEATURES = 2**14
NO_CLASS = np.int64(2**63 - 1)


@device
def _sum_by_class(embeddings, labels, sums, counts):
    for n in range(counts.size):
        counts[n] = 0
        row = sums[n]
        for d in range(row.size):
            row[d] = 0
    for b in range(labels.size):
        label = labels[b]
        counts[label] = np.int32(counts[label] + np.int32(1))
        row = sums[label]
        embedding = embeddings[b]
        for d in range(row.size):
            row[d] = np.int32(row[d] + np.int32(embedding[d]))


@device
def _distance_q16(embedding, row, count, divisor):
    """Return ||count * f - sum||**2 / divisor**2 in Q16, nearest, ties up."""
    total = np.int64(0)
    members = np.int32(count)
    for d in range(row.size):
        difference = np.int64(np.int32(np.int32(members * np.int32(embedding[d])) - row[d]))
        total += difference * difference
    square = np.int64(divisor) * np.int64(divisor)
    quotient = total // square
    rest = total - quotient * square
    return (quotient << np.int64(16)) + ((rest << np.int64(16)) + (square >> np.int64(1))) // square


@device
def _negative_logit(distance, multiplier, shift):
    """Return -(distance / 2**16) * multiplier * 2**(shift - 31) in Q24, clamped to -2**36."""
    right = np.int64(31) - np.int64(shift)
    high = distance >> np.int64(16)
    low = distance & np.int64(0xFFFF)
    product = high * np.int64(multiplier) + ((low * np.int64(multiplier)) >> np.int64(16))
    return -min((product + (np.int64(1) << (right - np.int64(1)))) >> right, LOGIT_LIMIT)


@device
def _own_divisor(count, leave_one_out):
    """Return the size of a sample's own class without the sample; a class of one keeps it."""
    if leave_one_out != np.int64(0) and count > np.int64(1):
        return count - np.int64(1)
    return count


@device
def _sample_logit(embedding, row, count, is_own, multiplier, shift, leave_one_out):
    # (count - 1) * f - (sum - f) == count * f - sum: leaving f out changes the divisor only.
    divisor = _own_divisor(count, leave_one_out) if is_own else count
    return _negative_logit(_distance_q16(embedding, row, count, divisor), multiplier, shift)


@kernel
def cross_entropy_prototypes(embeddings, labels, multiplier, shift, sums, counts, losses, leave_one_out):
    """Write class sums, counts, and every sample's loss against the class means; return the losses' sum."""
    _sum_by_class(embeddings, labels, sums, counts)
    m = np.int64(multiplier[0])
    s = np.int64(shift[0])
    summed = np.int64(0)
    for b in range(labels.size):
        embedding = embeddings[b]
        label = np.int64(labels[b])
        largest = -LOGIT_LIMIT
        own = np.int64(0)
        for n in range(counts.size):
            count = np.int64(counts[n])
            if count > np.int64(0):
                logit = _sample_logit(embedding, sums[n], count, n == label, m, s, leave_one_out)
                largest = max(largest, logit)
                if n == label:
                    own = logit
        total = np.int64(0)
        for n in range(counts.size):
            count = np.int64(counts[n])
            if count > np.int64(0):
                logit = _sample_logit(embedding, sums[n], count, n == label, m, s, leave_one_out)
                total += exp_negative_q40(largest - logit)
        losses[b] = loss_of(total, largest, own)
        summed += losses[b]
    return summed


@kernel
def prototype_sums(embeddings, labels, sums, counts):
    """Write the sum and the number of the embeddings of every class."""
    _sum_by_class(embeddings, labels, sums, counts)


@kernel
def prototype_distances(queries, sums, counts, output):
    """Write the squared distance of every query to every class mean, Q16; 2**63 - 1 for an empty class."""
    for q in range(queries.shape[0]):
        query = queries[q]
        row = output[q]
        for n in range(counts.size):
            count = np.int64(counts[n])
            row[n] = NO_CLASS
            if count > np.int64(0):
                row[n] = _distance_q16(query, sums[n], count, count)


_SUM_LIMIT = 128 * MAX_BATCH

SPECS = (
    KernelSpec(
        name="cross_entropy_prototypes",
        operator="loss",
        function=cross_entropy_prototypes,
        reference=cross_entropy_prototypes_ref,
        arguments=(
            array("embeddings", "input", "int8", "B D"),
            array("labels", "input", "int32", "B", 0),
            array("multiplier", "constant", "int32", "1", 0),
            array("shift", "constant", "int32", "1", -31, 30),
            array("sums", "output", "int32", "N D", -_SUM_LIMIT, _SUM_LIMIT),
            array("counts", "output", "int32", "N", 0, MAX_BATCH),
            array("losses", "output", "int64", "B", 0),
            parameter("leave_one_out", 0, 1),
        ),
        returned="the sum of all losses",
    ),
    KernelSpec(
        name="prototype_sums",
        operator="loss",
        function=prototype_sums,
        reference=prototype_sums_ref,
        arguments=(
            array("embeddings", "input", "int8", "B D"),
            array("labels", "input", "int32", "B", 0),
            array("sums", "output", "int32", "N D", -_SUM_LIMIT, _SUM_LIMIT),
            array("counts", "output", "int32", "N", 0, MAX_BATCH),
        ),
    ),
    KernelSpec(
        name="prototype_distances",
        operator="loss",
        function=prototype_distances,
        reference=prototype_distances_ref,
        arguments=(
            array("queries", "input", "int8", "Q D"),
            array("sums", "input", "int32", "N D", -_SUM_LIMIT, _SUM_LIMIT),
            array("counts", "input", "int32", "N", 0, MAX_BATCH),
            array("output", "output", "int64", "Q N", 0),
        ),
    ),
)
