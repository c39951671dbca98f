"""The exact gradient of the last linear layer, residuals times features, and a step against it.

No backward pass is in it: what it takes lies in the arena after any inference. See `contract.md`, and
`exact_gradient_ref.py` for the definition.
"""

from __future__ import annotations

import numpy as np

from fxpgrad_kernels.jit import kernel
from fxpgrad_kernels.random.philox import SEED, STEP, TENSOR, fill_words
from fxpgrad_kernels.spec import INT_RANGES, Argument, KernelSpec, Parameters, Shapes, array, parameter
from fxpgrad_kernels.training.exact_gradient_ref import add_outer_products_ref, descend_ref
from fxpgrad_kernels.training.steps import STOCHASTIC, rounded, saturate

WORDS = 1024  # random words at a time
_PURPOSE_ROUNDING = np.int64(1)


@kernel
def add_outer_products(features, residuals, before, before_bias, gradient, bias_gradient, input_zero_point):
    """Write before[n, d] + sum_b residuals[b, n] * (features[b, d] - input_zero_point), and the bias's sum.

    The outputs may be the arrays before.
    """
    for n in range(bias_gradient.size):
        total = before_bias[n]
        row, old = gradient[n], before[n]
        for d in range(row.size):
            row[d] = old[d]
        for b in range(features.shape[0]):
            residual = np.int64(residuals[b, n])
            total += residual
            values = features[b]
            for d in range(row.size):
                row[d] += residual * (np.int64(values[d]) - input_zero_point)
        bias_gradient[n] = total


@kernel
def descend(
    weights, gradient, multiplier, shift, decay, words, counts, seed, step, tensor, rounding_rule, coarse,
    first_index,
):  # fmt: skip
    """Step in place: w -= round((round(g / 2**coarse) * multiplier + w * decay) / 2**right).

    right = 31 - shift. The weights are those of the tensor from `first_index` on, a multiple of 8.
    """
    per_channel = np.int64(weights.size // multiplier.size)
    moved, saturated = np.int64(0), np.int64(0)
    for start in range(0, weights.size, WORDS):
        end = min(start + WORDS, weights.size)
        if rounding_rule == STOCHASTIC:
            block = (first_index + np.int64(start)) >> np.int64(2)
            fill_words(words, block, _PURPOSE_ROUNDING, seed, step, np.int64(0), tensor)
        for j in range(start, end):
            channel = np.int64(j) // per_channel
            g = np.int64(gradient[j])
            size = abs(g)
            if coarse > np.int64(0):
                size = ((size >> (coarse - np.int64(1))) + np.int64(1)) >> np.int64(1)
            right = np.int64(31) - np.int64(shift[channel])
            old = np.int64(weights[j])
            value = (-size if g < np.int64(0) else size) * np.int64(multiplier[channel])
            value += old * np.int64(decay[channel])
            kept, clipped = saturate(old - rounded(value, right, rounding_rule, words[j - start]), weights)
            weights[j] = kept
            moved += np.int64(kept != old)
            saturated += clipped
    counts[0] = moved
    counts[1] = saturated


def _arguments(dtype: str) -> tuple[Argument, ...]:
    lowest, limit = INT_RANGES[dtype]
    return (
        array("weights", "input", dtype, "N", lowest if dtype == "int32" else -limit, limit),  # in place
        array("gradient", "input", "int64", "N", -(2**46), 2**46),
        array("multiplier", "constant", "int32", "C", 0),
        array("shift", "constant", "int32", "C", -62, 30),
        array("decay", "constant", "int32", "C", 0, 0 if dtype == "int32" else None),
        array("words", "workspace", "uint32", "Z"),
        array("counts", "output", "int64", "2"),
        SEED,
        STEP,
        TENSOR,
        parameter("rounding_rule", 0, 2),
        parameter("coarse", 0, 15),
        parameter("first_index", 0, 2**34 - 8),
    )


def _words(shapes: Shapes, parameters: Parameters) -> dict[str, int]:
    return {"words": WORDS}


SPECS = (
    KernelSpec(
        "add_outer_products",
        "training",
        add_outer_products,
        add_outer_products_ref,
        (
            array("features", "input", "int8", "B D"),
            array("residuals", "input", "int32", "B N", -(2**15), 2**15),
            array("before", "input", "int64", "N D", -(2**46), 2**46),
            array("before_bias", "input", "int64", "N", -(2**38), 2**38),
            array("gradient", "output", "int64", "N D", -(2**46), 2**46),
            array("bias_gradient", "output", "int64", "N", -(2**38), 2**38),
            parameter("input_zero_point", -128, 127),
        ),
    ),
    *(
        KernelSpec(
            f"descend_{name}", "training", descend, descend_ref, _arguments(dtype), _words, in_place="weights"
        )
        for name, dtype in (("w8", "int8"), ("w16", "int16"), ("b32", "int32"))
    ),
)
