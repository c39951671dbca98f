"""Operators on one activation, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.graph import Node
from fxpgrad.program.lowering import optimized, tables, xnnpack
from fxpgrad.program.lowering.elementwise import litert, zero_points
from fxpgrad.program.lowering.lowering import Lowering, Rule
from fxpgrad.program.multiplier import derive_multiplier
from fxpgrad_kernels.arithmetic.profiles import Rounding
from fxpgrad_kernels.registry import kernels

# Runtimes built on TFLite-Micro's own kernels: logistic and tanh in fixed point, relu6 without rescaling.
TFLITE_MICRO = ("tflite_double", "tflite_single", "tflite_16x8", "cmsis_default", "cmsis_single")
LITERT = (optimized.PROFILE, xnnpack.PROFILE)
_SINGLE = ("tflite_single", "cmsis_single")


def _affine(state: Lowering, name: str) -> tables.Affine:
    return tables.Affine(state.scale(name), state.zero_point(name))


def _require_pinned(state: Lowering, node: Node) -> None:
    """Refuse runtimes whose functions of one value nobody has pinned."""
    if state.profile.name not in TFLITE_MICRO + LITERT:
        raise LoweringError(
            f"node {node.name} ({node.op}): the arithmetic of {state.profile.name} is not pinned for this "
            f"operator; choose one of {', '.join(TFLITE_MICRO + LITERT)}"
        )


def _rescale(state: Lowering, node: Node, output: str | None = None, suffix: str = "") -> None:
    """Append the call that brings the input to the output's quantization, or to that of `output`."""
    (source,) = state.sources(node)
    target = node.output if output is None else output
    widths = state.bits(source), state.bits(node.output)
    kernel = f"quantize_a{widths[0]}" + (f"_a{widths[1]}" if widths[0] != widths[1] else "")
    if kernel not in kernels():
        raise LoweringError(
            f"node {node.name} ({node.op}) cannot go from int{widths[0]} to int{widths[1]}: no runtime does"
        )
    rounding, real = _quantize_arithmetic(state, node, widths)
    state = state if rounding == Rounding.SINGLE else litert(state)
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(rounding),
    }
    constants = state.scales(node, real)
    state.call(node, kernel, parameters, constants, output=target, suffix=suffix)


def _quantize_arithmetic(
    state: Lowering, node: Node, widths: tuple[int, int]
) -> tuple[Rounding, NDArray[np.float64]]:
    """Return the formula and the real multiplier of a change of quantization."""
    scale, output = state.scale(state.sources(node)[0]), state.scale(node.output)
    if node.op == "quantize" and state.profile.name in LITERT:
        unsigned = {state.graph.tensors[name].unsigned for name in (*state.sources(node), node.output)}
        if widths != (8, 8) or len(unsigned) == 2:  # not the optimized kernel
            return Rounding.DOUBLE_AWAY, np.array([scale / output])
        own = xnnpack.rescaling_reals(scale, output) if state.profile.name == xnnpack.PROFILE else None
        if own is not None:
            return Rounding.SINGLE, own
        if state.profile.name == xnnpack.PROFILE:
            raise LoweringError(
                f"node {node.name} (quantize): XNNPACK takes ratios of scales from 2**-8 to 2**7; "
                f"got {scale / output}"
            )
        real = state.real(node, [scale], output)
        return optimized.quantize_rounding(state, node, float(real[0])), real
    state = litert(state)
    return state.profile.rounding_of(node.op), state.real(node, [scale], output)


def _is_unchanged(state: Lowering, node: Node) -> bool:
    (source,) = state.sources(node)
    first, second = _affine(state, source), _affine(state, node.output)
    return first == second and state.bits(source) == state.bits(node.output)


def _quantize(state: Lowering, node: Node) -> None:
    _rescale(state, node)


def _activation(state: Lowering, node: Node) -> None:
    """Lower a clamp: within one quantization, or with a change of it as the runtime makes it."""
    width = state.width(node, 8, 16)
    kernel = f"clamp_a{width}"
    if _is_unchanged(state, node):
        state.call(node, kernel, state.clamps(node))
        return
    activation = str(node.attributes["activation"])
    if activation == "none":
        _rescale(state, node)
    elif activation == "relu6" and state.profile.name in TFLITE_MICRO:
        # TFLite-Micro clamps at the input's quantization and never looks at the output's.
        state.call(node, kernel, _clamps_at(state, node, state.sources(node)[0]))
    else:
        rescaled = state.tensor(f"{node.name}/rescaled", state.shape(node.output), node.output)
        _rescale(state, node, rescaled, "/rescaled")
        state.call(node, kernel, state.clamps(node), inputs=(rescaled,))


def _clamps_at(state: Lowering, node: Node, name: str) -> dict[str, int]:
    """Return the bounds that the node's activation means at the quantization of `name`."""
    limits = np.iinfo(state.graph.tensors[name].dtype)
    scale, zero_point = np.float32(state.scale(name)), state.zero_point(name)
    low_high, bounds = ACTIVATION_BOUNDS[str(node.attributes["activation"])], []
    for bound, limit in zip(low_high, (limits.min, limits.max), strict=True):
        steps = float(np.float32(bound) / scale)
        nearest = np.copysign(np.floor(abs(steps) + 0.5), steps)
        bounds.append(
            int(np.clip(zero_point + nearest, limits.min, limits.max)) if np.isfinite(bound) else limit
        )
    return {"clamp_low": int(bounds[0]), "clamp_high": int(bounds[1])}


def _leaky_relu(state: Lowering, node: Node) -> None:
    width, (source,) = state.width(node, 8, 16), state.sources(node)
    alpha, output = float(node.attributes["alpha"]), state.scale(node.output)  # type: ignore[arg-type]
    if alpha <= 0:
        raise LoweringError(
            f"node {node.name} (leaky_relu): alpha must be above 0 (multipliers are positive); got {alpha}. "
            "With alpha 0 it is an activation (relu)"
        )
    is_xnnpack = width == 8 and state.profile.name == xnnpack.PROFILE
    real = xnnpack.rescaling_reals(state.scale(source), output, alpha) if is_xnnpack else None
    rounding = Rounding.SINGLE
    if real is None:
        state = litert(state)
        rounding = state.profile.rounding_of(node.op)
        real = np.concatenate(
            [
                state.real(node, [state.scale(source)], output),
                state.real(node, [state.scale(source), alpha], output),
            ]
        )
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "rounding": int(rounding),
    }
    state.call(node, f"leaky_relu_a{width}", parameters, state.scales(node, real))


def _absolute(state: Lowering, node: Node) -> None:
    width, (source,) = state.width(node, 8, 16), state.sources(node)
    state = litert(state)
    parameters = {**zero_points(state, node, "input"), "rounding": int(state.profile.rounding_of(node.op))}
    real = state.real(node, [state.scale(source)], state.scale(node.output))
    state.call(node, f"abs_a{width}", parameters, state.scales(node, real))


def _sixteen_bit_pair(node: Node, real: np.floating[Any], high: int) -> tuple[int, int]:
    (multiplier,), (exponent,) = (pair.tolist() for pair in derive_multiplier(float(real)))
    if not -15 <= exponent <= high:
        raise LoweringError(
            f"node {node.name} (hard_swish): the ratio {float(real)!r} needs the exponent {exponent}, which "
            f"must lie in [-15, {high}]; choose another output scale"
        )
    return min((multiplier + 2**15) >> 16, 2**15 - 1), exponent


def _hard_swish(state: Lowering, node: Node) -> None:
    """Lower to the 16-bit pipeline; the runtime forms both ratios in float32."""
    state.width(node, 8)
    _require_pinned(state, node)
    (source,) = state.sources(node)
    fine = np.float32(1 / 128) * np.float32(state.scale(source))
    result = _sixteen_bit_pair(node, fine / np.float32(state.scale(node.output)), 0)
    gate = _sixteen_bit_pair(node, fine / (np.float32(3) / np.float32(2**15)), 30)
    parameters = {
        "input_zero_point": state.zero_point(source),
        "output_zero_point": state.zero_point(node.output),
        "output_multiplier": result[0],
        "output_exponent": result[1],
        "gate_multiplier": gate[0],
        "gate_exponent": gate[1],
    }
    state.call(node, "hard_swish_a8", parameters)


def _table(state: Lowering, node: Node) -> NDArray[np.int8]:
    """Return the table of a smooth function of int8 as the profile's runtime computes it."""
    source, output = _affine(state, state.sources(node)[0]), _affine(state, node.output)
    if node.op == "rsqrt":
        return tables.rsqrt_table(source, output, 2 if state.profile.name in _SINGLE else 0)
    if node.op in ("logistic", "tanh") and state.profile.name in TFLITE_MICRO:
        return tables.fixed_point_table(node.op, source, output)
    approximate = node.op == "gelu" and node.attributes["approximate"]
    return tables.float_table("gelu_approximate" if approximate else node.op, source, output)


def _smooth(state: Lowering, node: Node) -> None:
    """Lower a function of one value to a table."""
    _require_pinned(state, node)
    (source,) = state.sources(node)
    width = state.width(node, 8, 16) if node.op in ("logistic", "tanh") else state.width(node, 8)
    try:
        if width == 8:
            constants = {"table": state.constant(f"{node.name}/table", _table(state, node))}
            state.call(node, "lookup_a8", {}, constants)
            return
        multiplier, shift = tables.sigmoid_input(node.op, _affine(state, source), _affine(state, node.output))
    except LoweringError as error:
        raise LoweringError(f"node {node.name}: {error}") from error
    if shift == 0 and multiplier in (3, 6) and state.profile.name in LITERT:
        raise LoweringError(
            f"node {node.name} ({node.op}): at the input scale {state.scale(source)!r} LiteRT's own "
            "kernel computes int16 in a fixed point of its own; choose tflite_double"
        )
    constants = {"table": state.constant(f"{node.name}/table", tables.sigmoid_table())}
    parameters = {"input_multiplier": multiplier, "input_shift": shift}
    state.call(node, f"{node.op}_a16", parameters, constants)


def _negate(state: Lowering, node: Node) -> None:
    raise LoweringError(
        f"node {node.name} (neg): neither TFLite-Micro nor LiteRT negates integers; "
        "only onnx_float32 defines it"
    )


RULES: dict[str, Rule] = {
    "activation": _activation,
    "quantize": _quantize,
    "leaky_relu": _leaky_relu,
    "abs": _absolute,
    "neg": _negate,
    "hard_swish": _hard_swish,
    **dict.fromkeys(("logistic", "tanh", "elu", "exp", "rsqrt", "gelu"), _smooth),
}
