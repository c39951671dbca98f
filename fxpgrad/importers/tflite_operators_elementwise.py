"""Operators on elements and on the last axis: arithmetic, activation functions, softmax."""

from __future__ import annotations

import math
from typing import Any

from fxpgrad.importers.tflite_model import TfliteOperator
from fxpgrad.importers.tflite_refusals import NeedsWholeShapesError, activation_of, refuse
from fxpgrad.importers.tflite_translation import Translation

_BINARY = {
    "ADD": "add",
    "SUB": "sub",
    "MUL": "mul",
    "MAXIMUM": "maximum",
    "MINIMUM": "minimum",
    "SQUARED_DIFFERENCE": "squared_difference",
    "PRELU": "prelu",
}
_UNARY = {
    "LOGISTIC": "logistic",
    "TANH": "tanh",
    "ELU": "elu",
    "EXP": "exp",
    "RSQRT": "rsqrt",
    "ABS": "abs",
    "NEG": "neg",
    "HARD_SWISH": "hard_swish",
}
_CLAMPS = {"RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "relu_n1_to_1", "RELU_0_TO_1": "relu_0_to_1"}
_LAST_AXIS = {"SOFTMAX": "softmax", "LOG_SOFTMAX": "log_softmax", "L2_NORMALIZATION": "l2_normalization"}


def binary(state: Translation, operator: TfliteOperator) -> None:
    """Translate an operator on two tensors that broadcast."""
    rank = len(state.output(operator).shape)
    inputs = [state.activation(operator, position, rank) for position in (0, 1)]
    attributes = {"activation": activation_of(operator)} if operator.name in ("ADD", "SUB", "MUL") else {}
    state.emit(operator, _BINARY[operator.name], inputs, attributes)


def unary(state: Translation, operator: TfliteOperator) -> None:
    """Translate a function of each element."""
    attributes: dict[str, Any] = {}
    op = _UNARY.get(operator.name, "activation")
    if operator.name in _CLAMPS:
        attributes["activation"] = _CLAMPS[operator.name]
    elif operator.name == "GELU":
        op, attributes["approximate"] = "gelu", int(bool(operator.options["approximate"]))
    elif operator.name == "LEAKY_RELU":
        op, attributes["alpha"] = "leaky_relu", _finite(operator, "alpha")
    state.emit(operator, op, (state.activation(operator, 0),), attributes)


def over_last_axis(state: Translation, operator: TfliteOperator) -> None:
    """Translate an operator whose rows are the last axis."""
    source = state.activation(operator, 0)
    if not state.tensors[source].shape:
        raise_unless_whole(state, operator)
    attributes: dict[str, Any] = {}
    if operator.name == "SOFTMAX":
        attributes["beta"] = _finite(operator, "beta")
    if operator.name == "L2_NORMALIZATION" and activation_of(operator) != "none":
        refuse(operator, "a fused activation is not supported; export it as an operator of its own")
    state.emit(operator, _LAST_AXIS[operator.name], (source,), attributes)


def raise_unless_whole(state: Translation, operator: TfliteOperator) -> None:
    """Ask for whole shapes, or refuse a scalar."""
    if state.whole:
        refuse(operator, "it needs an axis, but its input is a scalar")
    raise NeedsWholeShapesError


def _finite(operator: TfliteOperator, name: str) -> float:
    value = float(operator.options[name])  # type: ignore[arg-type]
    if not math.isfinite(value):
        refuse(operator, f"{name} must be finite; got {value}")
    return value


RULES = {
    **dict.fromkeys(_BINARY, binary),
    **dict.fromkeys((*_UNARY, *_CLAMPS, "GELU", "LEAKY_RELU"), unary),
    **dict.fromkeys(_LAST_AXIS, over_last_axis),
}
