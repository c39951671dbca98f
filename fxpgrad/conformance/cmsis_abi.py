"""Calls of functions with CMSIS-NN's signatures: structs of dimensions, parameters and quantization.

Conventions there: NHWC; an input's offset is the negative of its zero point, an output's is its zero point;
shifts are signed as TFLite's. Filters are OHWI for convolutions, 1HWO for depthwise ones, [out, in] for dense
layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxpgrad.conformance.call_plan import CallPlan, Value
from fxpgrad.conformance.calls import Case
from fxpgrad.conformance.definition import Arrays
from fxpgrad.conformance.legality import accumulator_bounds
from fxpgrad.errors import InputError
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.spec import KernelSpec

_SCRATCH = 1 << 16  # bytes, where the library does not say how many it needs
_ROUNDINGS = {int(Rounding.DOUBLE_AWAY): "double", int(Rounding.SINGLE): "single"}


def _ints(*values: Any) -> list[Value]:
    return [["int32", int(value)] for value in values]


def _dims(n: int, h: int, w: int, c: int) -> Value:
    return ["struct", _ints(n, h, w, c)]


def _pair(first: int, second: int) -> Value:
    return ["struct", _ints(first, second)]


def _window(case: Case) -> list[Value]:
    """Return the fields stride, padding, dilation, activation: (width, height) each, then (low, high)."""
    return [
        _pair(case["stride_w"], case["stride_h"]),
        _pair(case["pad_left"], case["pad_top"]),
        _pair(case["dilation_w"], case["dilation_h"]),
        _pair(case["clamp_low"], case["clamp_high"]),
    ]


_PER_CHANNEL: Value = ["struct", [["array", "multiplier"], ["array", "shift"]]]
_NO_CONTEXT: Value = ["struct", [["null"], ["int32", 0]]]


def _context(symbol: str, arguments: list[Value]) -> Value:
    return ["struct", [["scratch", symbol, arguments, _SCRATCH], ["scratch_size"]]]


def _convolve(symbol: str, case: Case, arrays: Arrays, upscale: bool) -> list[Value]:
    outputs, height, width, depth = arrays["weights"].shape
    image, filters = _dims(*arrays["input"].shape), _dims(outputs, height, width, depth)
    offsets = _ints(-case["input_zero_point"], case["output_zero_point"])
    return [
        _context(f"{symbol}_get_buffer_size", [image, filters]),
        ["struct", [*offsets, *_window(case)]],
        _PER_CHANNEL,
        *(image, ["array", "input"], filters, ["array", "weights"]),
        *(_dims(1, 1, 1, outputs), ["array", "bias"]),
        *([["null"]] if upscale else []),
        *(_dims(*arrays["output"].shape), ["array", "output"]),
    ]


def _depthwise(symbol: str, case: Case, arrays: Arrays, upscale: bool) -> list[Value]:
    del upscale
    _, height, width, outputs = arrays["weights"].shape
    image, filters = _dims(*arrays["input"].shape), _dims(1, height, width, outputs)
    offsets = _ints(-case["input_zero_point"], case["output_zero_point"])
    multiplicity = outputs // arrays["input"].shape[3]
    return [
        _context(f"{symbol}_get_buffer_size", [image, filters]),
        ["struct", [*offsets, *_ints(multiplicity), *_window(case)]],
        _PER_CHANNEL,
        *(image, ["array", "input"], filters, ["array", "weights"]),
        *(_dims(1, 1, 1, outputs), ["array", "bias"]),
        *(_dims(*arrays["output"].shape), ["array", "output"]),
    ]


def _dense(symbol: str, case: Case, arrays: Arrays, upscale: bool) -> list[Value]:
    del upscale
    (batch, depth), outputs = arrays["input"].shape, len(arrays["weights"])
    filters = _dims(depth, 1, 1, outputs)
    offsets = _ints(-case["input_zero_point"], 0, case["output_zero_point"])
    clamp = _pair(case["clamp_low"], case["clamp_high"])
    return [
        _context(f"{symbol}_get_buffer_size", [filters]),
        ["struct", [*offsets, clamp]],
        _pair(arrays["multiplier"][0], arrays["shift"][0]),
        *(_dims(batch, 1, 1, depth), ["array", "input"], filters, ["array", "weights"]),
        *(_dims(1, 1, 1, outputs), ["array", "bias"], _dims(batch, 1, 1, outputs), ["array", "output"]),
    ]


@dataclass(frozen=True, slots=True)
class _Function:
    symbol: str
    arguments: Callable[[str, Case, Arrays, bool], list[Value]]
    per_tensor: bool = False


FUNCTIONS: Mapping[str, _Function] = {
    "conv2d_a8w8": _Function("arm_convolve_s8", _convolve),
    "depthwise_conv2d_a8w8": _Function("arm_depthwise_conv_s8", _depthwise),
    "fully_connected_a8w8": _Function("arm_fully_connected_s8", _dense, per_tensor=True),
}


class CmsisAbi:
    """Calls a function as CMSIS-NN's function for a kernel is called."""

    def __init__(self, spec: KernelSpec, symbol: str | None = None, *, upscale: bool = True) -> None:
        """Prepare.

        Parameters
        ----------
        symbol : str, optional
            Another function of the same signature, such as a wrapper.
        upscale : bool
            Whether a convolution takes the dimensions of an upscaling (always null here): arm_convolve_s8 of
            newer releases does, its wrappers and older releases do not.

        Raises
        ------
        InputError
            No signature is known for the kernel.
        """
        if spec.name not in FUNCTIONS:
            raise InputError(
                f"--abi cmsis knows {', '.join(FUNCTIONS)}; for {spec.name} write a C function with the "
                "signature of our ports, or a Python callable"
            )
        self._function = FUNCTIONS[spec.name]
        self._upscale = upscale
        self.symbol = symbol or self._function.symbol

    def plan(self, case: Case, arrays: Arrays) -> CallPlan:
        """Return the call; 0 is success."""
        taken = self._function.arguments(self.symbol, case, arrays, self._upscale)
        return CallPlan(self.symbol, taken, "int32", success=0)

    def adapted(self, case: dict[str, Any]) -> dict[str, Any]:
        """Return the case with what these signatures leave no choice of.

        All channels of a dense layer get one multiplier and shift. A left shift that could leave int32
        becomes 0: CMSIS-NN leaves its result open.
        """
        bounds = accumulator_bounds(case)
        shift = np.asarray(case["shift"])
        shift = np.where(bounds * 2.0 ** np.maximum(shift, 0) < 2**31, shift, np.minimum(shift, 0))
        changed = {**case, "shift": shift.astype(np.int32)}
        if bounds.max(initial=0) < 2**31:
            changed["accumulator_bits"] = 32
        if self._function.per_tensor:
            for name in ("multiplier", "shift"):
                changed[name] = np.full_like(case[name], changed[name][shift.argmin()])
        return changed

    def refusal(self, case: Case) -> str:
        """Name what CMSIS-NN's structs have no field for, or what its int32 sums cannot hold."""
        if case["rounding"] not in _ROUNDINGS:
            return "a rounding that CMSIS-NN does not have"
        if case.get("groups", 1) != 1:
            return "groups"
        if case["accumulator_bits"] != 32:
            return "accumulators that may leave int32"
        return ""
