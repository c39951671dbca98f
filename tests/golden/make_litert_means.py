"""Make litert_means.npz: MEAN and SUM of int8, run by LiteRT's optimized kernels and by XNNPACK.

Environment as for make_litert_vectors.py, which runs each model in a process of its own::

    both/bin/python tests/golden/make_litert_means.py

Arrays are stored as "<operator>/<case>/<name>"; `optimized` and `xnnpack` are the two outputs, `axes` counts
the batch as axis 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dialect_cases import beside
from make_litert_vectors import run
from one_operator_model import OneOperator

SEED = 20261125
# operator, input shape, axes, keep_dims
FORMS = (
    ("mean", (12, 7, 7, 16), (1, 2), True),
    ("mean", (12, 7, 7, 32), (1, 2), True),
    ("mean", (40, 5, 6, 8), (1, 2), True),
    ("mean", (40, 5, 6, 8), (1, 2), False),
    ("mean", (40, 4, 4, 12), (2,), False),
    ("mean", (60, 33), (1,), False),
    ("sum", (60, 4, 6), (1,), False),
    ("sum", (60, 4, 6), (2,), True),
)


def main() -> None:
    """Draw, run and store."""
    rng = np.random.default_rng(SEED)
    stored: dict[str, Any] = {}
    for number, (operator, shape, axes, keep_dims) in enumerate(form for form in FORMS for _ in range(3)):
        count = int(np.prod([shape[axis] for axis in axes]))
        power = number % 3 == 0
        input_scale = np.float32(0.0625 if power else rng.uniform(0.02, 0.2))
        size = float(input_scale) * (0.25 if operator == "mean" else count**0.5)
        output_scale = beside(rng, 2.0 ** round(np.log2(size))) if power else np.float32(size)
        zeros = [int(z) for z in rng.choice([-128, -5, 0, 3, 127, -8], 2)]
        x = np.clip(rng.normal(rng.integers(-60, 60), 50, shape), -128, 127).astype(np.int8)
        model = OneOperator()
        source = model.tensor(shape, "int8", input_scale, zeros[0])
        which = model.tensor((len(axes),), "int32", data=np.array(axes, np.int32))
        kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
        dropped = tuple(extent for axis, extent in enumerate(shape) if axis not in axes)
        output = model.tensor(kept if keep_dims else dropped, "int8", output_scale, zeros[1])
        model.graph.inputs = [source]
        model.operator(operator.upper(), 2, [source, which], output, "ReducerOptions", keepDims=keep_dims)
        values = {
            "input": x,
            "axes": np.array(axes),
            "keep_dims": keep_dims,
            "input_scale": input_scale,
            "output_scale": output_scale,
            "input_zero_point": zeros[0],
            "output_zero_point": zeros[1],
            **run(model, x),
        }
        for name, value in values.items():
            stored[f"{operator}/{number}/{name}"] = value
    np.savez_compressed(Path(__file__).with_name("litert_means.npz"), **stored)


if __name__ == "__main__":
    main()
