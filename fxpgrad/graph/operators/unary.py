"""Operators on one activation, element by element."""

from __future__ import annotations

from fxpgrad.graph.attributes import ACTIVATION, FLAG, REAL
from fxpgrad.graph.operator import Operator, unchanged

_FUNCTIONS = ("logistic", "tanh", "elu", "exp", "rsqrt", "abs", "neg", "hard_swish")

OPERATORS = (
    Operator("activation", unchanged, attributes={"activation": ACTIVATION}),
    Operator("quantize", unchanged),  # int to int: from the input's to the output's quantization
    *(Operator(name, unchanged) for name in _FUNCTIONS),
    Operator("gelu", unchanged, attributes={"approximate": FLAG}),
    Operator("leaky_relu", unchanged, attributes={"alpha": REAL}),
)
