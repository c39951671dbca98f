"""Integers that are known when importing: shapes, and what a model computes from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxpgrad.importers.tflite_model import TfliteOperator
from fxpgrad.importers.tflite_operators_slices import strided_ranges
from fxpgrad.importers.tflite_refusals import option, refuse
from fxpgrad.importers.tflite_translation import LONGEST_FOLDED, Ints, Translation

_LARGEST = 2**31


def fold(state: Translation, operator: TfliteOperator) -> bool:
    """Compute the operator's output now if all its inputs are known plain integers.

    Returns
    -------
    bool
        Whether it was computed; if not, the operator belongs to the Graph.
    """
    inputs = _known_inputs(state, operator)
    if inputs is None:
        return False
    result = state.output(operator)
    try:
        value = _RULES[operator.name](operator, inputs, result.shape)
    except (ValueError, IndexError, TypeError) as error:
        refuse(operator, f"its integers do not fit together ({error})")
    if value.shape != result.shape:
        refuse(operator, f"it makes {list(value.shape)}, but {result.name} declares {list(result.shape)}")
    limits = np.iinfo(np.int32 if result.type == "INT32" else np.int64)
    if value.size and not (limits.min <= value.min() and value.max() <= limits.max):
        return False
    state.folded[result.index] = value
    return True


def _known_inputs(state: Translation, operator: TfliteOperator) -> list[Ints] | None:
    """Return what the operator computes with, or None if it must be computed while running."""
    if operator.name not in _RULES or len(operator.outputs) != 1:
        return None
    result = state.output(operator)
    plain = result.type in ("INT32", "INT64") and not np.any(result.scales) and result.data is None
    new = result.index not in state.folded and result.index not in state.placed
    if not (plain and new and result.elements <= LONGEST_FOLDED):
        return None
    if operator.name == "SHAPE":
        return [np.array(state.tensor(operator, 0).shape, np.int64)]
    tensors = [state.tensor(operator, position) for position in range(len(operator.inputs))]
    if not tensors or not all(state.known(tensor) and not np.any(tensor.scales) for tensor in tensors):
        return None
    inputs = [state.integers(operator, position) for position in range(len(tensors))]
    small = all(array.size == 0 or np.abs(array).max() < _LARGEST for array in inputs)
    return inputs if small else None


def _same(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    return inputs[0]


def _reshaped(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    return inputs[0].reshape(shape)


def _strided_slice(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    source, *lists = inputs
    ranges, dropped = strided_ranges(operator, source.shape, [values.tolist() for values in lists])
    taken = source[np.ix_(*ranges)]
    return taken.reshape([n for axis, n in enumerate(taken.shape) if axis not in dropped])


def _joined(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    join = np.stack if operator.name == "PACK" else np.concatenate
    return join(inputs, axis=option(operator, "axis"))


def _gathered(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    if option(operator, "batch_dims") != 0 or (inputs[1].size and inputs[1].min() < 0):
        raise ValueError("batch_dims must be 0 and places >= 0")
    return np.asarray(np.take(inputs[0], inputs[1], axis=option(operator, "axis")))


def _arithmetic(operator: TfliteOperator, inputs: list[Ints], shape: tuple[int, ...]) -> Ints:
    if operator.options["fused_activation_function"] != 0:
        raise ValueError("a fused activation")
    first, second = inputs
    if np.broadcast_shapes(first.shape, second.shape) != shape:
        raise ValueError("shapes do not broadcast to the output")
    return np.asarray({"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}[operator.name](first, second))


_RULES: dict[str, Callable[[TfliteOperator, list[Ints], tuple[int, ...]], Ints]] = {
    "SHAPE": _same,
    "CAST": _same,
    "RESHAPE": _reshaped,
    "SQUEEZE": _reshaped,
    "EXPAND_DIMS": _reshaped,
    "STRIDED_SLICE": _strided_slice,
    "PACK": _joined,
    "CONCATENATION": _joined,
    "GATHER": _gathered,
    "ADD": _arithmetic,
    "SUB": _arithmetic,
    "MUL": _arithmetic,
}
FOLDED_OPERATORS = tuple(_RULES)
