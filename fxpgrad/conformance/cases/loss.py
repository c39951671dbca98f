"""Cases of the losses: cross-entropy, residuals, distances to prototypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.cases.draws import Draws
from fxpgrad.conformance.cases.numbers import Case
from fxpgrad_kernels.arithmetic.profiles import Profile
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec

LIMIT = 2**36
Logits = NDArray[np.int64]
Values = NDArray[np.int32]


def by_position(spec: KernelSpec, values: Any) -> Case:
    """Name values that come in the order of the arguments which are not outputs or workspaces."""
    roles = ("input", "constant", "state", "parameter")
    return dict(zip((a.name for a in spec.arguments if a.role in roles), values, strict=True))


def any_logits(rng: Draws, classes: int | None = None) -> tuple[Logits, Values]:
    """Return Q24 logits [B, N] of any size, ties, near ties and clamped ones, and labels."""
    batch = int(rng.integers(1, 4))
    classes = classes or int(rng.choice([1, 2, 3, 10, 33]))
    reach = 2 ** int(rng.choice([44, 4, 16, 22, 26, 28, 34]))
    logits = rng.integers(-reach, reach + 1, (batch, classes))
    if rng.random() < 0.3:
        logits = rng.integers(-5, 6, (batch, classes)) + int(rng.integers(-LIMIT, LIMIT))
    if rng.random() < 0.2:
        ends = [0, LIMIT, -LIMIT, LIMIT + 1, -LIMIT - 1, 2**63 - 1, -(2**63)]
        logits[0, :] = rng.choice(ends, classes)
    return logits, rng.integers(0, classes, batch).astype(np.int32)


def linear_case(rng: Draws) -> tuple[Values, ...]:
    """Return accumulators [B, N], multipliers, shifts and labels."""
    batch, classes = int(rng.integers(1, 4)), int(rng.choice([1, 2, 5, 12]))
    size = 2 ** (31 - int(rng.integers(0, 31)))
    accumulators = rng.integers(-size // 2, size // 2, (batch, classes))
    if rng.random() < 0.3:
        accumulators[0] = rng.choice([0, 1, -1, 2**31 - 1, -(2**31)], classes)
    multiplier = rng.choice([2**30, int(rng.integers(2**30, 2**31)), 2**31 - 1], classes)
    shift = np.full(classes, rng.integers(0, 16))
    if rng.random() < 0.4:
        shift = rng.integers(-31, 31, classes)
    labels = rng.integers(0, classes, batch)
    return tuple(array.astype(np.int32) for array in (accumulators, multiplier, shift, labels))


def residual_rows(rng: Draws) -> tuple[Values, ...]:
    """Return accumulators [B, N] of any size, multipliers, shifts and labels."""
    rows, classes = int(rng.integers(1, 6)), int(rng.integers(1, 12))
    reach = 2 ** (30 - int(rng.integers(0, 30)))
    accumulators = rng.integers(-reach, reach, (rows, classes)).astype(np.int32)
    multiplier = rng.integers(2**30, 2**31, classes).astype(np.int32)
    shift = np.full(classes, rng.choice([0, 5, 12, -20]), np.int32)
    return accumulators, multiplier, shift, rng.integers(0, classes, rows).astype(np.int32)


def embeddings_case(rng: Draws) -> Case:
    """Return a batch with empty classes, classes of one, extreme embeddings and any legal factor."""
    batch, features = int(rng.integers(1, 9)), int(rng.choice([1, 2, 7, 20]))
    classes, kind = int(rng.integers(1, 5)), rng.integers(3)
    if kind == 0:
        embeddings = rng.integers(-128, 128, (batch, features))
    elif kind == 1:
        embeddings = rng.integers(-2, 3, (batch, features))
    else:
        embeddings = rng.choice([127, -128], (batch, features))
    shift = int(rng.integers(0, 20))
    if rng.random() < 0.4:
        shift = int(rng.integers(-31, 31))
    return {
        "embeddings": embeddings.astype(np.int8),
        "labels": rng.integers(0, classes, batch).astype(np.int32),
        "multiplier": np.array([rng.choice([2**30, int(rng.integers(2**30, 2**31)), 2**31 - 1])], np.int32),
        "shift": np.array([shift], np.int32),
        "leave_one_out": int(rng.integers(2)),
        "classes": classes,
    }


def cross_entropy_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the kernels on logits or accumulators."""
    drawn: Any
    if spec.name == "cross_entropy_logits":
        drawn = any_logits(rng)
    elif spec.name == "residuals_linear":
        drawn = residual_rows(rng)
        return {**by_position(spec, drawn), "output_shape": drawn[0].shape}
    else:
        drawn = linear_case(rng)
    return {**by_position(spec, drawn), "output_shape": drawn[-1].shape}


def prototype_case(spec: KernelSpec, rng: Draws, profile: Profile) -> Case:
    """Return a case of one of the kernels on prototypes."""
    case = embeddings_case(rng)
    classes, (batch, width) = case.pop("classes"), case["embeddings"].shape
    shapes = {"sums": (classes, width), "counts": (classes,), "losses": (batch,)}
    if spec.name != "prototype_distances":
        return {**case, "output_size": classes, "shapes": shapes}
    sums, counts = kernel_named("prototype_sums").reference(
        case["embeddings"], case["labels"], output_size=classes
    )
    taken = {"queries": case["embeddings"], "sums": sums, "counts": counts}
    return {**taken, "shapes": {"output": (batch, classes)}}
