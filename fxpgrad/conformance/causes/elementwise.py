"""Causes in operators on two activations, and in requantization alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.causes.cause import Cause, by_edit, taken
from fxpgrad.conformance.causes.scalars import OTHER_ROUNDINGS, Ints, Requantize, requantized, wrapped
from fxpgrad.conformance.definition import Arrays
from fxpgrad.conformance.legality import REFUSALS
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_scalar
from fxpgrad_kernels.spec import KernelSpec

_SIGNS = {"add": 1, "add_mixed": 1, "sub": -1}


def elementwise_causes(spec: KernelSpec) -> Iterator[Cause]:
    """Yield the causes of an operator on two activations or of a requantization; none for other kernels."""
    kind = spec.name.rpartition("_a")[0]
    if spec.name.startswith("requantize_a"):
        yield from _requantizations(spec)
    if kind in _SIGNS:
        yield from _sums(spec, _SIGNS[kind])
    if kind in _SIGNS or kind in {"mul", "squared_difference"}:
        yield from _operands(spec)


def _operands(spec: KernelSpec) -> Iterator[Cause]:
    if any(argument.name == "input_a_zero_point" for argument in spec.arguments):
        swap = taken(input_a_zero_point="input_b_zero_point", input_b_zero_point="input_a_zero_point")
        yield by_edit(spec, "zero points swapped", "the zero points of the two inputs are swapped", swap)
        for one, other in (("a", "b"), ("b", "a")):
            same = taken(**{f"input_{other}_zero_point": f"input_{one}_zero_point"})
            sentence = f"the zero point of input {one} is taken for both inputs"
            yield by_edit(spec, f"zero point of {one} for both", sentence, same)


def _sums(spec: KernelSpec, sign: int) -> Iterator[Cause]:
    right, wrong = ("added", "subtracted") if sign > 0 else ("subtracted", "added")
    sentence = f"input b is {wrong} instead of {right}"
    yield Cause(f"input b {wrong}", sentence, _linear(spec, -sign))
    if sign < 0:
        yield Cause(
            "operands swapped", "b - a is computed instead of a - b", _linear(spec, -sign, turned=True)
        )
    for name, (sentence, scalar) in OTHER_ROUNDINGS.items():
        yield Cause(name, sentence, _linear(spec, sign, last=scalar))
        operands = sentence.replace("results are", "operands are")
        if operands != sentence:
            yield Cause(f"operands: {name}", operands, _linear(spec, sign, first=scalar))
            everything = sentence.replace("results are", "operands and results are")
            yield Cause(f"all: {name}", everything, _linear(spec, sign, first=scalar, last=scalar))
    bits = 8 * np.dtype(spec.of_role("output")[0].dtype).itemsize
    sentence = f"results beyond the type wrap to {bits} bits instead of being clamped"
    yield Cause("result wraps", sentence, _linear(spec, sign, finish=lambda v, case: wrapped(v, bits)))


def _clamped(value: Ints, case: Case) -> Ints:
    result: Ints = np.clip(value, case["clamp_low"], case["clamp_high"])
    return result


def _linear(
    spec: KernelSpec,
    sign: int,
    *,
    first: Requantize = requantize_scalar,
    last: Requantize = requantize_scalar,
    finish: Callable[[Ints, Case], Ints] = _clamped,
    turned: bool = False,
) -> Callable[[Case], Arrays | None]:
    """Return a sum or difference whose two requantizations may be others."""

    def outputs(case: Case) -> Arrays | None:
        m, s, code = case["multiplier"], case["shift"], int(case.get("operand_rounding", case["rounding"]))
        if not any(argument.name == "operand_rounding" for argument in spec.arguments):
            code = int(case["rounding"])
        scaled = []
        try:
            for place, name in enumerate("ab"):
                real = case[f"input_{name}"].astype(np.int64) - case.get(f"input_{name}_zero_point", 0)
                scaled.append(requantized(real << case["left_shift"], m[place], s[place], code, first))
            total = scaled[0] + sign * scaled[1]
            if turned:
                total = scaled[1] - scaled[0]
            value = requantized(total, m[2], s[2], int(case["rounding"]), last)
        except REFUSALS:
            return None
        zero_point = case["output_zero_point"] if _has_zero_point(spec) else 0
        return {"output": finish(value + zero_point, case).astype(spec.of_role("output")[0].dtype)}

    return outputs


def _has_zero_point(spec: KernelSpec) -> bool:
    return any(argument.name == "output_zero_point" for argument in spec.arguments)


def _requantizations(spec: KernelSpec) -> Iterator[Cause]:
    low, high = -(2**31), 2**31 - 1

    def by(scalar: Requantize, finish: Callable[[Any], NDArray[Any]]) -> Callable[[Case], Arrays | None]:
        def outputs(case: Case) -> Arrays | None:
            try:
                value = requantized(
                    case["accumulator"], case["multiplier"], case["shift"], int(case["rounding"]), scalar
                )
            except REFUSALS:
                return None
            return {"output": finish(value).astype(np.int32)}

        return outputs

    for name, (sentence, scalar) in OTHER_ROUNDINGS.items():
        yield Cause(name, sentence, by(scalar, lambda value: np.clip(value, low, high)))
        yield Cause(
            f"{name}, wraps", f"{sentence}, and wrap at 32 bits", by(scalar, lambda v: wrapped(v, 32))
        )
