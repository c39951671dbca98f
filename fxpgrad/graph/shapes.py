"""The output shape of every operator. Shapes leave the batch axis out; activations are [H, W, C]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fxpgrad.errors import GraphError

Shape = tuple[int, ...]
_Rule = Callable[[list[Shape], dict[str, Shape], Mapping[str, Any]], Shape]


def same_padding(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) such that each output extent is ceil(input / stride).

    An odd total puts the extra row at the bottom and the extra column at the right, as TFLite does.
    """
    pads: list[int] = []
    for extent, taps, step, gap in zip(size, kernel, stride, dilation, strict=True):
        window = (taps - 1) * gap + 1
        total = max((-(-extent // step) - 1) * step + window - extent, 0)
        pads += [total // 2, total - total // 2]
    return (pads[0], pads[1], pads[2], pads[3])


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise GraphError(message)


def _image(shape: Shape) -> tuple[int, int, int]:
    _require(len(shape) == 3, f"the input must be [height, width, channels]; got {list(shape)}")
    return (shape[0], shape[1], shape[2])


def _windows(
    shape: Shape, kernel: tuple[int, int], attributes: Mapping[str, Any], dilation: tuple[int, int] = (1, 1)
) -> tuple[int, int]:
    """Return how many windows fit along height and width."""
    counts = []
    padding = attributes["padding"]
    for axis, label in enumerate(("height", "width")):
        before, after = padding[2 * axis], padding[2 * axis + 1]
        window = (kernel[axis] - 1) * dilation[axis] + 1
        padded = shape[axis] + before + after
        _require(
            padded >= window,
            f"a window of {label} {window} does not fit the padded input of {label} {padded}; add padding",
        )
        counts.append((padded - window) // attributes["stride"][axis] + 1)
    return counts[0], counts[1]


def _require_bias(constants: dict[str, Shape], channels: int) -> None:
    _require(
        constants["bias"] == (channels,),
        f"bias must be [{channels}], one value for each output channel; got {list(constants['bias'])}",
    )


def _conv2d(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    shape = _image(inputs[0])
    weights = constants["weights"]
    _require(len(weights) == 4, f"weights must be OHWI (rank 4); got {list(weights)}")
    outputs, height, width, depth = weights
    groups = attributes["groups"]
    _require(
        depth * groups == shape[2],
        f"weights read {depth} channels in {groups} group(s), but the input has {shape[2]} channels",
    )
    _require(outputs % groups == 0, f"{outputs} output channels cannot be split into {groups} groups")
    _require_bias(constants, outputs)
    return (*_windows(shape, (height, width), attributes, attributes["dilation"]), outputs)


def _depthwise_conv2d(
    inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]
) -> Shape:
    shape = _image(inputs[0])
    weights = constants["weights"]
    _require(
        len(weights) == 4 and weights[0] == 1,
        f"weights must be 1HWC (rank 4, first axis 1); got {list(weights)}",
    )
    _, height, width, outputs = weights
    _require(
        outputs % shape[2] == 0,
        f"weights have {outputs} channels, which is no multiple of the {shape[2]} input channels",
    )
    _require_bias(constants, outputs)
    return (*_windows(shape, (height, width), attributes, attributes["dilation"]), outputs)


def _fully_connected(
    inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]
) -> Shape:
    shape, weights = inputs[0], constants["weights"]
    _require(
        len(shape) == 1, f"the input must have rank 1 without the batch; got {list(shape)}; reshape it first"
    )
    _require(len(weights) == 2, f"weights must be [out, in]; got {list(weights)}")
    _require(
        weights[1] == shape[0], f"weights read {weights[1]} features, but the input has {shape[0]} features"
    )
    _require_bias(constants, weights[0])
    return (weights[0],)


def _batch_norm(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    _require(len(inputs[0]) >= 1, "the input must have a channel axis; got a scalar")
    channels = inputs[0][-1]
    for role, shape in constants.items():
        _require(
            shape == (channels,),
            f"{role} must be [{channels}], one value for each channel; got {list(shape)}",
        )
    return inputs[0]


def _pool2d(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    shape = _image(inputs[0])
    counts = _windows(shape, attributes["size"], attributes)
    for axis, label in enumerate(("height", "width")):
        before = attributes["padding"][2 * axis]
        last_start = (counts[axis] - 1) * attributes["stride"][axis] - before
        _require(
            before < attributes["size"][axis] and last_start < shape[axis],
            f"a pooling window along {label} holds only padding; reduce the padding",
        )
    return (*counts, shape[2])


def _global_average_pool2d(
    inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]
) -> Shape:
    return (_image(inputs[0])[2],)


def _add(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    _require(
        inputs[0] == inputs[1],
        f"both inputs must have one shape; got {list(inputs[0])} and {list(inputs[1])}",
    )
    return inputs[0]


def _unchanged(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    return inputs[0]


def _pad(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    height, width, channels = _image(inputs[0])
    top, bottom, left, right = attributes["padding"]
    return (height + top + bottom, width + left + right, channels)


def _concat(inputs: list[Shape], constants: dict[str, Shape], attributes: Mapping[str, Any]) -> Shape:
    axis, first = attributes["axis"], inputs[0]
    _require(
        axis < len(first), f"axis must be below {len(first)}, the rank without the batch axis; got {axis}"
    )
    for shape in inputs[1:]:
        _require(
            len(shape) == len(first)
            and all(i == axis or a == b for i, (a, b) in enumerate(zip(shape, first, strict=True))),
            f"inputs may differ along axis {axis} only; got {list(first)} and {list(shape)}",
        )
    return (*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])


_RULES: dict[str, _Rule] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "batch_norm": _batch_norm,
    "max_pool2d": _pool2d,
    "average_pool2d": _pool2d,
    "global_average_pool2d": _global_average_pool2d,
    "add": _add,
    "activation": _unchanged,
    "pad": _pad,
    "concat": _concat,
    "quantize": _unchanged,
}


def output_shape(
    op: str,
    inputs: list[Shape],
    constants: dict[str, Shape],
    attributes: Mapping[str, Any],
    declared: Shape | None = None,
) -> Shape:
    """Return the shape that `op` produces.

    Parameters
    ----------
    op : str
        A key of `OPERATORS`.
    inputs : list of tuple of int
        Shapes of the activations, without the batch axis.
    constants : dict
        Shapes of the constants by role.
    attributes : mapping
        Legal attributes (see `check_attributes`).
    declared : tuple of int, optional
        The shape that a reshape is asked to produce; other operators ignore it.

    Raises
    ------
    GraphError
        The shapes do not fit together. The message does not name the node: the caller adds that.
    """
    arity = {"add": 2}.get(op, 1)
    if op == "concat":
        _require(len(inputs) >= 1, "concat needs at least one input")
    else:
        _require(len(inputs) == arity, f"{op} takes {arity} activation(s); got {len(inputs)}")
    if op == "reshape":
        _require(declared is not None, "reshape needs the shape of its output")
        assert declared is not None
        _require(
            all(extent >= 1 for extent in declared) and math.prod(declared) == math.prod(inputs[0]),
            f"cannot reshape {list(inputs[0])} to {list(declared)}: the products must agree (-1 is not used)",
        )
        return declared
    return _RULES[op](inputs, constants, attributes)
