"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN."""

from __future__ import annotations

from fxpgrad.importers.tflite_model import TfliteOperator
from fxpgrad.importers.tflite_refusals import refuse
from fxpgrad.importers.tflite_translation import Translation

_REDUCTIONS = {"MEAN": "mean", "SUM": "sum", "REDUCE_MAX": "reduce_max", "REDUCE_MIN": "reduce_min"}


def reduction(state: Translation, operator: TfliteOperator) -> None:
    """Translate a reduction over constant axes."""
    rank = len(state.tensor(operator, 0).shape)
    source = state.activation(operator, 0)
    listed = state.integer_list(operator, 1)
    if not listed:
        refuse(operator, "it reduces no axis; remove it from the model")
    axes = sorted({state.axis(operator, axis, rank) for axis in listed})
    attributes = {"axes": tuple(axes), "keep_dims": int(bool(operator.options["keep_dims"]))}
    state.emit(operator, _REDUCTIONS[operator.name], (source,), attributes)


def arg(state: Translation, operator: TfliteOperator) -> None:
    """Translate ARG_MAX and ARG_MIN; the output's own type says whether places are int32 or int64."""
    source = state.activation(operator, 0)
    (axis,) = state.integer_list(operator, 1, 1)
    rank = len(state.tensor(operator, 0).shape)
    result = state.output(operator)
    if result.type not in ("INT32", "INT64"):
        refuse(operator, f"the output {result.name} must be INT32 or INT64; got {result.type}")
    attributes = {"axis": state.axis(operator, axis, rank)}
    state.emit(operator, "arg_max" if operator.name == "ARG_MAX" else "arg_min", (source,), attributes)


RULES = {**dict.fromkeys(_REDUCTIONS, reduction), "ARG_MAX": arg, "ARG_MIN": arg}
