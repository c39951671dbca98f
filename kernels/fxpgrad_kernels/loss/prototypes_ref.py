"""The definition of the prototype kernels, in Python integers and fractions: slow and obvious."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.loss.cross_entropy_ref import clamp_logit_ref, sample_loss_ref


def _nearest_up(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


def squared_distance_ref(query: list[int], mean: list[Fraction]) -> int:
    """Return ||query - mean||**2 in Q16."""
    return _nearest_up(2**16 * sum(((q - m) ** 2 for q, m in zip(query, mean, strict=True)), Fraction(0)))


def prototype_sums_ref(
    embeddings: NDArray[np.int8], labels: NDArray[np.int32], *, output_size: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (sums [N, D], counts [N]) for N = `output_size` classes."""
    sums = np.zeros((output_size, embeddings.shape[1]), np.int32)
    counts = np.zeros(output_size, np.int32)
    for embedding, label in zip(embeddings, labels, strict=True):
        sums[label] += embedding
        counts[label] += 1
    return sums, counts


def prototype_distances_ref(
    queries: NDArray[np.int8], sums: NDArray[np.int32], counts: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return the Q16 squared distances [Q, N]; 2**63 - 1 where a class is empty."""
    output = np.full((len(queries), len(counts)), 2**63 - 1, np.int64)
    for n, count in enumerate(counts):
        if count:
            mean = [Fraction(int(s), int(count)) for s in sums[n]]
            output[:, n] = [squared_distance_ref([int(v) for v in query], mean) for query in queries]
    return output


def cross_entropy_prototypes_ref(
    embeddings: NDArray[np.int8],
    labels: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    leave_one_out: int,
    *,
    output_size: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Return (sums [N, D], counts [N], losses [B]); the kernel returns the losses' sum besides."""
    losses = []
    present = sorted({int(label) for label in labels})
    factor = Fraction(int(multiplier[0])) * Fraction(2) ** (int(shift[0]) - 31 - 16)
    for b, own in enumerate(int(label) for label in labels):
        logits = []
        for label in present:
            members = [i for i in range(len(labels)) if labels[i] == label]
            if leave_one_out and label == own and len(members) > 1:
                members.remove(b)
            total = embeddings[members].astype(np.int64).sum(axis=0)
            mean = [Fraction(int(value), len(members)) for value in total]
            distance = squared_distance_ref([int(value) for value in embeddings[b]], mean)
            logits.append(clamp_logit_ref(-_nearest_up(distance * factor)))
        losses.append(sample_loss_ref(logits, present.index(own)))
    sums, counts = prototype_sums_ref(embeddings, labels, output_size=output_size)
    return sums, counts, np.array(losses, np.int64)
