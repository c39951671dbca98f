"""Make tflm_elementwise.npz: operators element by element, run by TFLite-Micro's reference kernels.

Needs the PyPI package tflite-micro in an environment of its own::

    python -m venv tflm && tflm/bin/pip install --pre tflite-micro==0.dev20261023182759
    tflm/bin/python tests/golden/make_tflm_elementwise.py

Arrays are stored as "<operator>_<type>/<name>", one row a case: `quantization` float64 [cases, tensors, 2]
holds (scale, zero point) of the inputs and the output, each scale exact in float32; `attribute` holds the
code of the fused activation (schema order: none, relu, relu_n1_to_1, relu6) or alpha. Operators of one int8
value ran on all 256 of them, ascending, so that no input is stored (rsqrt: from the zero point on).
Scales of every third case are powers of two: exact ties. "<operator>_formation" holds single int16 elements
whose result depends on whether the real multiplier is formed in double or in float32.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from one_operator_model import Array, OneOperator

SEED = 20261124
CASES = 9
ELEMENTS = 160
ZERO_POINTS = (-128, -3, 0, 5, 127)
ALL_INT8 = np.arange(-128, 128).astype(np.int8)
ALL_INT16 = np.arange(-(2**15), 2**15).astype(np.int16)
Affine = tuple[float, int]


def scale_near(rng: np.random.Generator, size: float, exact: bool) -> float:
    """Return a scale near `size`: any float32, or a power of two."""
    if exact:
        return float(2.0 ** np.round(np.log2(size)))
    return float(np.float32(size * rng.uniform(0.6, 1.6)))


def affine(rng: np.random.Generator, dtype: str, size: float, exact: bool) -> Affine:
    """Return a scale near `size` and a zero point (0 but for int8)."""
    return scale_near(rng, size, exact), int(rng.choice(ZERO_POINTS)) if dtype == "int8" else 0


def values(rng: np.random.Generator, dtype: str, count: int = ELEMENTS) -> Array:
    """Return values of the whole range, a fifth of them at its ends, and many small ones."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, count, dtype, endpoint=True)
    x = np.where(rng.random(count) < 0.3, rng.integers(-40, 41, count), x)
    return np.where(rng.random(count) < 0.2, rng.choice([info.min, info.max], count), x).astype(dtype)


def run(
    name: str,
    inputs: list[tuple[Array, Affine]],
    dtype: str,
    output: Affine,
    kind: str = "",
    shape: tuple[int, ...] | None = None,
    **attributes: Any,
) -> Array:
    """Run one operator."""
    net = OneOperator()
    net.graph.inputs = [net.tensor(x.shape, str(x.dtype), scale, zero) for x, (scale, zero) in inputs]
    result = net.tensor(inputs[0][0].shape if shape is None else shape, dtype, *output)
    net.operator(name, 2, net.graph.inputs, result, kind, **attributes)
    return net.run(*[x for x, _ in inputs])


class Store:
    """Collects the cases of every operator and stacks them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Array]] = {}

    def add(self, name: str, quantization: list[Affine], **arrays: Any) -> None:
        """Append one case."""
        for key, value in {"quantization": quantization, **arrays}.items():
            self.rows.setdefault(f"{name}/{key}", []).append(np.asarray(value))

    def stacked(self) -> dict[str, Array]:
        """Return every array with a row for each case."""
        return {key: np.stack(rows) for key, rows in self.rows.items()}


def binary(store: Store, rng: np.random.Generator, exact: bool) -> None:
    """Run the operators on two activations."""
    for dtype in ("int8", "int16"):
        unit = 0.05 if dtype == "int8" else 0.0003
        a, b = values(rng, dtype), values(rng, dtype)
        first = affine(rng, dtype, unit, exact)
        second = affine(rng, dtype, unit * 4 ** rng.uniform(-2, 2), exact)
        code = int(rng.choice([0, 0, 1, 2, 3]))
        larger = max(first[0], second[0])
        span = 2.0 ** np.iinfo(dtype).bits
        sizes = {
            "ADD": larger,
            "SUB": larger,
            "MUL": first[0] * second[0] * span / 4,
            "SQUARED_DIFFERENCE": larger * larger * span / 4,
        }
        kinds = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}
        for name, size in sizes.items():
            result = affine(rng, dtype, size, exact)
            options: dict[str, Any] = {"fusedActivationFunction": code} if name in kinds else {}
            kind = kinds.get(name, "SquaredDifferenceOptions")
            out = run(name, [(a, first), (b, second)], dtype, result, kind, **options)
            store.add(
                f"{name.lower()}_{dtype}",
                [first, second, result],
                attribute=code if options else 0,
                **{"input_a": a, "input_b": b, "output": out},
            )
        alpha, slope = values(rng, "int8"), affine(rng, "int8", 0.01, exact)
        result = affine(rng, dtype, first[0], exact)
        out = run("PRELU", [(a, first), (alpha, slope)], dtype, result)
        store.add(f"prelu_{dtype}", [first, slope, result], input_a=a, input_b=alpha, output=out)
    for dtype in ("int8", "int16", "int32"):
        a, b = values(rng, dtype), values(rng, dtype)
        both = affine(rng, dtype, 0.05, exact)
        for name in ("MAXIMUM", "MINIMUM"):
            out = run(name, [(a, both), (b, both)], dtype, both, "MaximumMinimumOptions")
            store.add(f"{name.lower()}_{dtype}", [both] * 3, input_a=a, input_b=b, output=out)


def rescaling(store: Store, rng: np.random.Generator, exact: bool) -> None:
    """Run the piecewise linear functions of one value, and QUANTIZE between every two types."""
    for dtype in ("int8", "int16"):
        unit = 0.05 if dtype == "int8" else 0.0003
        x = ALL_INT8 if dtype == "int8" else values(rng, dtype)
        first = affine(rng, dtype, unit, exact)
        other = affine(rng, dtype, first[0] * 2 ** rng.uniform(-2, 1.5), exact)
        given: dict[str, Any] = {} if dtype == "int8" else {"input": x}
        for name in ("RELU", "RELU6", "ABS", "LEAKY_RELU"):
            alpha = float(np.float32(rng.uniform(0.05, 0.9)))
            options = {"kind": "LeakyReluOptions", "alpha": alpha} if name == "LEAKY_RELU" else {}
            result = first if name == "ABS" and rng.random() < 0.3 else other
            out = run(name, [(x, first)], dtype, result, **options)
            store.add(f"{name.lower()}_{dtype}", [first, result], attribute=alpha, output=out, **given)
    wide = {"int8": 0.05, "int16": 0.0003, "int32": 1e-6}
    for source, own in wide.items():
        for target, other_unit in wide.items():
            if (source, target) == ("int32", "int32"):
                continue
            x = values(rng, source)
            if source == "int32":
                x = np.where(rng.random(ELEMENTS) < 0.7, x >> rng.integers(0, 24, ELEMENTS), x).astype(source)
            first = affine(rng, source, own, exact)
            result = affine(rng, target, other_unit * 4 ** rng.uniform(-1, 1), exact)
            out = run("QUANTIZE", [(x, first)], target, result, "QuantizeOptions")
            store.add(f"quantize_{source}_{target}", [first, result], input=x, output=out)


def functions(store: Store, rng: np.random.Generator, exact: bool) -> None:
    """Run the smooth functions of one int8 value, and HARD_SWISH."""
    for _ in range(4):
        first = affine(rng, "int8", 0.05 * 8 ** rng.uniform(-1.2, 1), exact)
        top = first[0] * 128
        results = {
            "LOGISTIC": (1 / 256, -128),
            "TANH": (1 / 128, 0),
            "ELU": affine(rng, "int8", first[0] * 2 ** rng.uniform(-1, 1), exact),
            "HARD_SWISH": affine(rng, "int8", first[0] * 2 ** rng.uniform(0, 1), exact),
            "RSQRT": affine(rng, "int8", 2 ** rng.uniform(-2, 1) / np.sqrt(top) / 20, exact),
        }
        for name, result in results.items():
            if name == "HARD_SWISH" and result[0] * 128 < first[0]:
                continue
            kind = "HardSwishOptions" if name == "HARD_SWISH" else ""
            x = np.maximum(ALL_INT8, first[1]) if name == "RSQRT" else ALL_INT8
            out = run(name, [(x, first)], "int8", result, kind)
            store.add(f"{name.lower()}_int8", [first, result], output=out)


def functions_of_16_bits(store: Store, rng: np.random.Generator) -> None:
    """Run LOGISTIC and TANH on all 65,536 values: every 61st result, and SHA-256 of all of them."""
    scales = [2.0**-12, 2.0**-11, 2.0**-13, 2.0**-10, 2.0**-15, 1.0, 2.0**-30]
    scales += [float(np.float32(2.0 ** rng.uniform(-20, 1))) for _ in range(9)]
    for name in ("LOGISTIC", "TANH"):
        for scale in scales:
            out = run(name, [(ALL_INT16, (scale, 0))], "int16", (2.0**-15, 0))
            digest = np.frombuffer(hashlib.sha256(out.tobytes()).digest(), np.uint8)
            store.add(f"{name.lower()}_int16", [(scale, 0), (2.0**-15, 0)], output=out[::61], sha256=digest)
    # At this scale an input stands for as many steps of the table: tanh shows the table itself.
    scale = float(np.nextafter(np.float32(1 / 48), np.float32(1)))
    x = np.arange(256).astype(np.int16)
    out = run("TANH", [(x, (scale, 0))], "int16", (2.0**-15, 0))
    store.add("tanh_steps_int16", [(scale, 0), (2.0**-15, 0)], input=x, output=out)


def requantized(x: Array, real: float) -> Array:
    """Return int64 x times `real` as int16: a high product, ties up, then a shift, ties away from zero."""
    fraction, shift = math.frexp(real)
    left, right = max(shift, 0), max(-shift, 0)
    high = ((x << left) * math.floor(fraction * 2**31 + 0.5) + 2**30) >> 31
    half = (1 << right) >> 1
    rounded = np.sign(high) * ((np.abs(high) + half) >> right)
    return np.clip(rounded, -(2**15), 2**15 - 1).astype(np.int16)


def formations(store: Store, rng: np.random.Generator) -> None:
    """Run int16 elements that tell a multiplier formed in float32 from one formed in double."""
    a = ALL_INT16
    for name in ("MUL", "LEAKY_RELU", "RELU", "QUANTIZE", "ABS"):
        found = 0
        while found < 40:
            first, second = affine(rng, "int16", 3e-4, False), affine(rng, "int16", 3e-4, False)
            b, alpha = rng.permutation(a), float(np.float32(rng.uniform(0.05, 0.9)))
            size = first[0] * second[0] * 2**14 if name == "MUL" else first[0]
            result = affine(rng, "int16", size, False)
            factors = [first[0], *{"MUL": [second[0]], "LEAKY_RELU": [alpha]}.get(name, [])]
            in_double = float(np.prod(factors)) / result[0]
            in_float32 = float(np.prod(np.array(factors, np.float32)) / np.float32(result[0]))
            x = a.astype(np.int64) * b if name == "MUL" else a.astype(np.int64)
            differs = requantized(x, in_double) != requantized(x, in_float32)
            differs &= {"RELU": a > 0, "LEAKY_RELU": a < 0, "ABS": a > 0}.get(name, True)
            chosen = np.flatnonzero(differs)[:4]
            if chosen.size == 0:
                continue
            inputs = [(a[chosen], first)] + ([(b[chosen], second)] if name == "MUL" else [])
            kind = {"MUL": "MulOptions", "LEAKY_RELU": "LeakyReluOptions"}.get(name, "")
            out = run(name, inputs, "int16", result, kind, **({"alpha": alpha} if "Leaky" in kind else {}))
            for i, place in enumerate(chosen):
                store.add(
                    f"{name.lower()}_formation",
                    [first, second, result],
                    attribute=alpha,
                    **{"input_a": a[place], "input_b": b[place], "output": out[i]},
                )
            found += chosen.size


def main() -> None:
    """Write the vectors beside this file."""
    store = Store()
    for case in range(CASES):
        rng = np.random.default_rng([SEED, case])
        for family in (binary, rescaling, functions):
            family(store, rng, case % 3 == 2)
    functions_of_16_bits(store, np.random.default_rng([SEED, CASES]))
    formations(store, np.random.default_rng([SEED, CASES + 1]))
    path = Path(__file__).resolve().parent / "tflm_elementwise.npz"
    np.savez_compressed(path, **store.stacked())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
