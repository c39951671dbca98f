"""Well-formed .tflite files that make no sense: other shapes, types, operators, edges, options, cycles."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite

from tests.importers.tflite_builder import TfliteBuilder
from tests.importers.tflite_seed_models import seed_builders

Rng = np.random.Generator
_EXTENTS = (0, 1, 1, 2, 3, 4, 6, 12, -1, 65_536, 2**31 - 1, -(2**31))
_SCALES = (0.0, 1e-38, 0.5, 3e38, float("inf"), float("nan"), -1.0)
_ZERO_POINTS = (-129, -128, 0, 3, 127, 128, 255, 256, 2**31, -(2**63), 2**63 - 1)
_OPTIONS = (0, 1, 2, 3, -1, 4, 8, 100, 127)
_TYPES = [code for code in vars(tflite.TensorType).values() if isinstance(code, int)]
_OPERATORS = [name for name in vars(tflite.BuiltinOperator) if name.isupper()]


def nonsense(rng: Rng) -> bytes:
    """Return a seed model with a few entries changed, as a file that is well formed in itself."""
    builder = _pick(seed_builders(), rng)
    for _ in range(int(rng.geometric(0.5))):
        _pick(_CHANGES, rng)(builder, rng)
    return builder.content()


def _pick(choices: Any, rng: Rng) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _any_tensor(builder: TfliteBuilder, rng: Rng) -> dict[str, Any]:
    return _pick(_pick(builder.subgraphs, rng)["tensors"], rng)


def _any_operator(builder: TfliteBuilder, rng: Rng) -> tuple[list[Any], int]:
    operators = _pick(builder.subgraphs, rng)["operators"]
    return operators, int(rng.integers(len(operators)))


def _shape(builder: TfliteBuilder, rng: Rng) -> None:
    """Change an extent, or the rank; a constant keeps its bytes, so most such files contradict themselves."""
    tensor = _any_tensor(builder, rng)
    shape = list(tensor["shape"])
    kind = int(rng.integers(4))
    if kind == 0 and shape:
        shape[int(rng.integers(len(shape)))] = _pick(_EXTENTS, rng)
    elif kind == 1:
        shape.insert(int(rng.integers(len(shape) + 1)), _pick(_EXTENTS, rng))
    elif kind == 2 and shape:
        del shape[int(rng.integers(len(shape)))]
    else:
        rng.shuffle(shape)
    tensor["shape"] = tuple(shape)


def _type(builder: TfliteBuilder, rng: Rng) -> None:
    _any_tensor(builder, rng)["type"] = _pick(_TYPES, rng)


def _quantization(builder: TfliteBuilder, rng: Rng) -> None:
    tensor = _any_tensor(builder, rng)
    count = int(rng.integers(6))
    tensor["scale"] = [_pick(_SCALES, rng) for _ in range(count)]
    tensor["zero_point"] = [_pick(_ZERO_POINTS, rng) for _ in range(_pick((0, 1, count), rng))]
    tensor["axis"] = _pick((-1, 0, 1, 3, 2**31 - 1), rng)


def _kind_of_tensor(builder: TfliteBuilder, rng: Rng) -> None:
    tensor = _any_tensor(builder, rng)
    tensor["buffer"] = _pick((0, int(rng.integers(len(builder.buffers) + 1))), rng)
    tensor["variable"] = bool(rng.integers(2))
    tensor["sparse"] = rng.integers(8) == 0


def _constant(builder: TfliteBuilder, rng: Rng) -> None:
    """Change the numbers of a constant: paddings, axes, shapes, indices."""
    place = int(rng.integers(len(builder.buffers)))
    raw = bytearray(builder.buffers[place])
    if len(raw) >= 4:
        start = 4 * int(rng.integers(len(raw) // 4))
        raw[start : start + 4] = (_pick((*_EXTENTS, *_OPTIONS), rng) % 2**32).to_bytes(4, "little")
        builder.buffers[place] = bytes(raw)


def _edge(builder: TfliteBuilder, rng: Rng) -> None:
    """Let an operator read or write another tensor, or none: cycles, duplicates, missing inputs."""
    operators, place = _any_operator(builder, rng)
    name, inputs, outputs, *rest = operators[place]
    edges = [list(inputs), list(outputs)]
    side = edges[int(rng.integers(2))]
    count = len(builder.subgraphs[0]["tensors"])
    kind = int(rng.integers(3))
    if kind == 0 or not side:
        side.insert(int(rng.integers(len(side) + 1)), int(rng.integers(-1, count)))
    elif kind == 1:
        side[int(rng.integers(len(side)))] = int(rng.integers(-1, count))
    else:
        del side[int(rng.integers(len(side)))]
    operators[place] = (name, *edges, *rest)


def _order(builder: TfliteBuilder, rng: Rng) -> None:
    rng.shuffle(_pick(builder.subgraphs, rng)["operators"])


def _repeated(builder: TfliteBuilder, rng: Rng) -> None:
    operators, place = _any_operator(builder, rng)
    operators.insert(int(rng.integers(len(operators) + 1)), operators[place])


def _operator(builder: TfliteBuilder, rng: Rng) -> None:
    """Call the operator something else; without its options, which would be of the wrong table."""
    operators, place = _any_operator(builder, rng)
    _, inputs, outputs, *_ = operators[place]
    operators[place] = (_pick(_OPERATORS, rng), inputs, outputs, None, None, {})


def _option(builder: TfliteBuilder, rng: Rng) -> None:
    operators, place = _any_operator(builder, rng)
    *rest, options = operators[place]
    changed = dict(options)
    for key, value in options.items():
        if isinstance(value, (int, bool)) and rng.integers(2):
            changed[key] = type(value)(_pick(_OPTIONS, rng))
        if isinstance(value, float):
            changed[key] = _pick(_SCALES, rng)
    operators[place] = (*rest, changed)


def _ports(builder: TfliteBuilder, rng: Rng) -> None:
    count = len(builder.subgraphs[0]["tensors"])
    ports = [int(place) for place in rng.integers(0, count, int(rng.integers(4)))]
    if rng.integers(2):
        builder.inputs = ports
    else:
        builder.outputs = ports


_CHANGES = (
    _shape,
    _shape,
    _type,
    _quantization,
    _kind_of_tensor,
    _constant,
    _constant,
    _edge,
    _order,
    _repeated,
    _operator,
    _option,
    _ports,
)
