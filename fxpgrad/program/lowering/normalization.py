"""Softmax, log-softmax and L2 normalization: rows along the last axis, outputs of a fixed quantization."""

from __future__ import annotations

from typing import Any

from fxpgrad.errors import LoweringError
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad.program.lowering.softmax_parameters import (
    exponent_pair,
    reverse_pair,
    softmax_tables,
    table_pair,
)
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.errors import MultiplierError
from fxpgrad_kernels.registry import kernel_named


def _depth(state: Lowering, node: Node, kernel: str) -> int:
    """Return the length of a row, or refuse what the kernel's sum cannot hold."""
    depth = state.shape(state.sources(node)[0])[-1]
    (limit,) = (argument.high for argument in kernel_named(kernel).arguments if argument.name == "depth")
    if depth > limit:
        raise LoweringError(
            f"node {node.name} ({node.op}): rows must have at most {limit} values; got {depth}"
        )
    return depth


def _require_output(
    state: Lowering, node: Node, scale: float, zero_point: int, tolerance: float = 0.0
) -> None:
    """Refuse an output whose quantization is not the one that the arithmetic makes."""
    given = state.scale(node.output), state.zero_point(node.output)
    if abs(given[0] - scale) > tolerance * scale or given[1] != zero_point:
        raise LoweringError(
            f"node {node.name} ({node.op}): the output must have scale {scale} and zero point {zero_point}; "
            f"{node.output} has {given[0]} and {given[1]}"
        )


def _single(state: Lowering) -> bool:
    return state.profile.name == "tflite_single"


def _softmax(state: Lowering, node: Node) -> None:
    attributes: Any = node.attributes
    source = state.sources(node)[0]
    kernel = {
        (8, 8): "softmax_a8",
        (8, 16): "softmax_a8_a16",
        (16, 16): "softmax_a16",
    }.get((state.bits(source), state.bits(node.output)))
    if kernel is None:
        raise LoweringError(
            f"node {node.name} (softmax) must take int8 to int8 or int16, or int16 to int16; got "
            f"int{state.bits(source)} to int{state.bits(node.output)}"
        )
    depth, scale, beta = _depth(state, node, kernel), state.scale(source), attributes["beta"]
    try:
        if kernel == "softmax_a16":
            _require_output(state, node, 2.0**-15, 0, 0.001)
            multiplier, shift = table_pair(scale, beta)
            if shift > 15:
                raise LoweringError(
                    f"node {node.name} (softmax): int16 needs scale * beta below 5; got {scale} * {beta}"
                )
            exp_table, reciprocal_table = softmax_tables()
            constants = {
                "exp_table": state.constant(f"{node.name}/exp_table", exp_table),
                "reciprocal_table": state.constant(f"{node.name}/reciprocal_table", reciprocal_table),
            }
            parameters = {"depth": depth, "multiplier": multiplier, "shift": shift}
            state.call(node, kernel, parameters, constants)
            return
        if kernel == "softmax_a8":
            _require_output(state, node, 2.0**-8, -128)
        else:
            _require_output(state, node, 2.0**-16, -32768, 0.001)
        pair = exponent_pair(scale, beta, single_rounding=_single(state))
    except MultiplierError as error:
        raise LoweringError(f"node {node.name}: {error}") from error
    state.call(node, kernel, {"depth": depth, **pair.parameters()})


def _log_softmax(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    _require_output(state, node, 16.0 / 256.0, 127)
    try:
        pair = exponent_pair(state.scale(state.sources(node)[0]), 1.0, single_rounding=_single(state))
        reverse_multiplier, reverse_shift = reverse_pair(pair)
    except MultiplierError as error:
        raise LoweringError(f"node {node.name}: {error}") from error
    parameters = {
        "depth": _depth(state, node, "log_softmax_a8"),
        **pair.parameters(),
        "reverse_multiplier": reverse_multiplier,
        "reverse_shift": reverse_shift,
        "rounding": _plain_rounding(state, node),
    }
    state.call(node, "log_softmax_a8", parameters)


def _l2_normalization(state: Lowering, node: Node) -> None:
    state.width(node, 8)
    _require_output(state, node, 2.0**-7, 0)
    parameters = {
        "depth": _depth(state, node, "l2_normalization_a8"),
        "input_zero_point": state.zero_point(state.sources(node)[0]),
        "rounding": _plain_rounding(state, node),
    }
    state.call(node, "l2_normalization_a8", parameters)


def _plain_rounding(state: Lowering, node: Node) -> int:
    """Return the rounding of 32-bit products; these operators have no 16-bit multiplier anywhere."""
    rounding = state.element_rounding
    if rounding == Rounding.WIDE_16:
        raise LoweringError(
            f"node {node.name} ({node.op}): it needs the rounding of 32-bit products that "
            f"{state.profile.name} does not have; choose tflite_double"
        )
    return rounding


RULES: dict[str, Rule] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "l2_normalization": _l2_normalization,
}
