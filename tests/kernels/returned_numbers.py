"""What kernels that return an integer must return, from the definitions' arithmetic.

References return arrays alone; the number beside them is the sum of losses, or how many values were cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad_kernels.spec import KernelSpec
from fxpgrad_kernels.training.gain_ref import HIGHEST, LOWEST
from fxpgrad_kernels.training.perturb_ref import LIMITS, perturb_with_count_ref, perturbed_ref

Case = Mapping[str, Any]
Results = tuple[NDArray[Any], ...]


def _losses(case: Case, results: Results) -> int:
    return sum(int(loss) for loss in results[-1])


def _cut_gains(case: Case, results: Results) -> int:
    gains = np.broadcast_to(case["gain"], case["multiplier"].shape)
    return sum(not LOWEST <= int(gain) <= HIGHEST for gain in gains)


def _perturbed(case: Case, results: Results) -> int:
    """Count what saturates by the case's sign, or by both where it has none."""
    before = [case[name] for name in ("weights", "epsilon", "seed", "step", "direction", "tensor")]
    after = [case[name] for name in ("form", "distribution", "first_index")]
    signs = (case["sign"],) if len(results) == 1 else (1, -1)
    return sum(perturb_with_count_ref(*before, sign, *after)[1] for sign in signs)


def _perturbed_along(case: Case, results: Results) -> int:
    (output,) = results
    low, high = LIMITS[output.dtype.name]
    weights = [int(w) for w in case["weights"]]
    if output.dtype != case["weights"].dtype:  # the upper bytes alone
        weights = [max(-127, min(127, (w + 128) // 256)) for w in weights]
    sizes = np.repeat(case["epsilon"], len(weights) // case["epsilon"].size)
    moved = [
        perturbed_ref(w, int(e), int(z), case["sign"], 0)
        for w, e, z in zip(weights, sizes, case["z"], strict=True)
    ]
    return sum(not low <= value <= high for value in moved)


# The first prefix of a kernel's name that is here says what it returns.
_RETURNED: dict[str, Callable[[Case, Results], int]] = {
    "cross_entropy": _losses,
    "scale_multipliers": _cut_gains,
    "perturb_along": _perturbed_along,
    "perturb_split": _perturbed_along,
    "perturb": _perturbed,
}


def returned_ref(spec: KernelSpec, case: Case, results: Results) -> int | None:
    """Return what a kernel returns on a case for which its definition gives `results`.

    Raises
    ------
    StopIteration
        The kernel returns a number of which nothing is known here.
    """
    if not spec.returned:
        return None
    return next(number for prefix, number in _RETURNED.items() if spec.name.startswith(prefix))(case, results)
