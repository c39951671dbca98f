"""Make litert_elementwise.npz: operators element by element, run by LiteRT's own kernels and by XNNPACK.

Needs the PyPI packages ai-edge-litert and tflite-micro (whose schema builds the models) in one environment::

    python -m venv both && both/bin/pip install --pre ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759
    both/bin/python tests/golden/make_litert_elementwise.py

Arrays are stored as "<operator>_<type>/<name>" like those of `make_tflm_elementwise.py`; `optimized` and
`xnnpack` are the results under BUILTIN_WITHOUT_DEFAULT_DELEGATES and AUTO. Scales of two cases in three lie
at most three float32 steps from a power of two: ties, and multipliers that tell how they are formed. int16
sums have other scales, because LiteRT adds powers of two in another way if a flag of the model says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import interpreter
from make_tflm_elementwise import ALL_INT8, Affine, Store, scale_near, values
from one_operator_model import Array, OneOperator

SEED = 20261125
CASES = 15
RESOLVERS = interpreter.OpResolverType
# Versions that LiteRT has; the others are 2.
VERSIONS = {"PRELU": 1, "HARD_SWISH": 1}
VERSIONS_OF_16_BITS = {"MUL": 4, "RELU": 3, "ABS": 4}
ZERO_POINTS = (-128, -3, 0, 2, 5, 127)


def run(
    name: str, inputs: list[tuple[Array, Affine]], dtype: str, output: Affine, kind: str, **attributes: Any
) -> dict[str, Array]:
    """Run one operator in both ways."""
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, str(x.dtype), scale, zero) for x, (scale, zero) in inputs]
    version = (VERSIONS if dtype == "int8" else VERSIONS_OF_16_BITS).get(name, 2)
    result = net.tensor(inputs[0][0].shape, dtype, *output)
    net.operator(name, version, net.graph.inputs, result, kind, **attributes)
    results = {}
    for key, resolver in (
        ("optimized", RESOLVERS.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
        ("xnnpack", RESOLVERS.AUTO),
    ):
        runner = interpreter.Interpreter(model_content=net.content(), experimental_op_resolver_type=resolver)
        runner.allocate_tensors()
        for detail, (x, _) in zip(runner.get_input_details(), inputs, strict=True):
            runner.set_tensor(detail["index"], x)
        runner.invoke()
        results[key] = runner.get_tensor(runner.get_output_details()[0]["index"])
    return results


def affine(rng: np.random.Generator, dtype: str, size: float, near: bool) -> Affine:
    """Return a scale of any kind or beside a power of two, and a zero point (0 for int16)."""
    scale = np.float32(scale_near(rng, size, near))
    for _ in range(int(rng.integers(0, 4)) if near else 0):
        scale = np.nextafter(scale, np.float32(rng.choice([0.0, 1e9])))
    return float(scale), int(rng.choice(ZERO_POINTS)) if dtype == "int8" else 0


def one_case(store: Store, rng: np.random.Generator, near: bool) -> None:
    """Run every operator once for each type."""
    for dtype in ("int8", "int16"):
        unit = 0.05 if dtype == "int8" else 0.0003
        a, b = values(rng, dtype), values(rng, dtype)
        first = affine(rng, dtype, unit, near)
        second = affine(rng, dtype, unit * 4 ** rng.uniform(-1, 1), near)
        larger, span = max(first[0], second[0]), 2.0 ** (np.iinfo(dtype).bits - 2)
        ratio = 2.0 ** rng.integers(-2, 3)
        sizes = {
            "ADD": larger * ratio,
            "SUB": larger * ratio,
            "MUL": first[0] * second[0] * span * ratio,
            "SQUARED_DIFFERENCE": larger * larger * span * ratio,
        }
        kinds = ("AddOptions", "SubOptions", "MulOptions", "SquaredDifferenceOptions")
        for (name, size), kind in zip(sizes.items(), kinds, strict=True):
            if dtype == "int16" and name == "SQUARED_DIFFERENCE":
                continue
            general = dtype == "int16" and name in ("ADD", "SUB")
            q1, q2 = (
                (affine(rng, dtype, unit, False), affine(rng, dtype, unit, False))
                if general
                else (first, second)
            )
            result = affine(rng, dtype, size, near and not general)
            outputs = run(name, [(a, q1), (b, q2)], dtype, result, kind)
            store.add(
                f"{name.lower()}_{dtype}",
                [q1, q2, result],
                attribute=0,
                **{"input_a": a, "input_b": b},
                **outputs,
            )
        x = ALL_INT8 if dtype == "int8" else a
        given: dict[str, Any] = {} if dtype == "int8" else {"input": x}
        result = affine(rng, dtype, first[0] * ratio, near)
        alpha = scale_near(rng, 0.2, near)
        named = {
            "LEAKY_RELU": "LeakyReluOptions",
            "QUANTIZE": "QuantizeOptions",
            "RELU": "",
            "ABS": "AbsOptions",
        }
        if dtype == "int8":
            slope = affine(rng, dtype, 0.01, near)
            outputs = run("PRELU", [(a, first), (b, slope)], dtype, result, "")
            store.add("prelu_int8", [first, slope, result], input_a=a, input_b=b, **outputs)
            named |= {"RELU6": "", "HARD_SWISH": "HardSwishOptions"}
        for name, kind in named.items():
            options = {"alpha": alpha} if name == "LEAKY_RELU" else {}
            target = affine(rng, dtype, first[0] * 2, near) if name == "HARD_SWISH" else result
            key = f"quantize_{dtype}_{dtype}" if name == "QUANTIZE" else f"{name.lower()}_{dtype}"
            outputs = run(name, [(x, first)], dtype, target, kind, **options)
            store.add(key, [first, target], attribute=alpha, **given, **outputs)


def clamped(store: Store, rng: np.random.Generator) -> None:
    """Run ADD and MUL with bounds that lie half way between two steps."""
    for half in range(1, 20):
        for code, reach in ((2, 1.0), (3, 6.0)):  # relu_n1_to_1, relu6
            scale = float(np.float32(2 * reach / (2 * half + 1)))
            first, second = (scale, 0), (scale, int(rng.integers(-4, 5)))
            result = (scale, int(rng.integers(-4, 5)))
            a, b = (rng.integers(-30, 31, 40).astype(np.int8) for _ in range(2))
            for name, kind, other in (("ADD", "AddOptions", second), ("MUL", "MulOptions", (1.0, second[1]))):
                inputs = [(a, first), (b, other)]
                outputs = run(name, inputs, "int8", result, kind, fusedActivationFunction=code)
                stored = {"input_a": a, "input_b": b, **outputs}
                store.add(f"{name.lower()}_clamped", [first, other, result], attribute=code, **stored)


def main() -> None:
    """Write the vectors beside this file."""
    store = Store()
    for case in range(CASES):
        one_case(store, np.random.default_rng([SEED, case]), case % 3 != 0)
    clamped(store, np.random.default_rng([SEED, CASES]))
    path = Path(__file__).resolve().parent / "litert_elementwise.npz"
    np.savez_compressed(path, **store.stacked())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
