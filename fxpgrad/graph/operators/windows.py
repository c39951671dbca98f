"""Operators that slide a window over images: convolutions and pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fxpgrad.graph.attributes import ACTIVATION, COUNT, PAIR, SIDES
from fxpgrad.graph.operator import Operator, Shape, ShapeQuestion, image, require


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


def _counts(
    size: tuple[int, int],
    kernel: tuple[int, int],
    attributes: Mapping[str, Any],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """Return how many windows fit along height and width."""
    counts = []
    padding = attributes["padding"]
    for axis, label in enumerate(("height", "width")):
        before, after = padding[2 * axis], padding[2 * axis + 1]
        window = (kernel[axis] - 1) * dilation[axis] + 1
        padded = size[axis] + before + after
        require(
            padded >= window,
            f"a window of {label} {window} does not fit the padded input of {label} {padded}; add padding",
        )
        counts.append((padded - window) // attributes["stride"][axis] + 1)
    return counts[0], counts[1]


def require_bias(constants: Mapping[str, Shape], channels: int) -> None:
    """Raise `GraphError` unless the bias has one value for each output channel."""
    require(
        constants["bias"] == (channels,),
        f"bias must be [{channels}], one value for each output channel; got {list(constants['bias'])}",
    )


def _conv2d(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    weights, attributes = question.constants["weights"], question.attributes
    require(len(weights) == 4, f"weights must be OHWI (rank 4); got {list(weights)}")
    outputs, kernel_h, kernel_w, depth = weights
    groups = attributes["groups"]
    require(
        depth * groups == channels,
        f"weights read {depth} channels in {groups} group(s), but the input has {channels} channels",
    )
    require(outputs % groups == 0, f"{outputs} output channels cannot be split into {groups} groups")
    require_bias(question.constants, outputs)
    counts = _counts((height, width), (kernel_h, kernel_w), attributes, attributes["dilation"])
    return (*leading, *counts, outputs)


def _depthwise_conv2d(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    weights, attributes = question.constants["weights"], question.attributes
    require(
        len(weights) == 4 and weights[0] == 1,
        f"weights must be 1HWC (rank 4, first axis 1); got {list(weights)}",
    )
    _, kernel_h, kernel_w, outputs = weights
    require(
        outputs % channels == 0,
        f"weights have {outputs} channels, which is no multiple of the {channels} input channels",
    )
    require_bias(question.constants, outputs)
    counts = _counts((height, width), (kernel_h, kernel_w), attributes, attributes["dilation"])
    return (*leading, *counts, outputs)


def _transpose_conv2d(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    weights, attributes = question.constants["weights"], question.attributes
    require(len(weights) == 4, f"weights must be OHWI (rank 4); got {list(weights)}")
    outputs, kernel_h, kernel_w, depth = weights
    require(depth == channels, f"weights read {depth} channels, but the input has {channels} channels")
    require_bias(question.constants, outputs)
    top, bottom, left, right = attributes["padding"]
    stride = attributes["stride"]
    extents = (
        (height - 1) * stride[0] + kernel_h - top - bottom,
        (width - 1) * stride[1] + kernel_w - left - right,
    )
    require(min(extents) >= 1, f"the padding {attributes['padding']} leaves no output")
    wanted = question.wanted()[-3:-1] if question.declared is not None else extents
    # A stride that does not divide the output leaves rows and columns that no input reaches.
    for extent, least, step, label in zip(wanted, extents, stride, ("height", "width"), strict=True):
        require(
            least <= extent < least + step,
            f"the output {label} must be in [{least}, {least + step}); got {extent}",
        )
    return (*leading, *wanted, outputs)


def _pool2d(question: ShapeQuestion) -> Shape:
    leading, height, width, channels = image(question.only)
    attributes = question.attributes
    counts = _counts((height, width), attributes["size"], attributes)
    for axis, label in enumerate(("height", "width")):
        before = attributes["padding"][2 * axis]
        last_start = (counts[axis] - 1) * attributes["stride"][axis] - before
        require(
            before < attributes["size"][axis] and last_start < (height, width)[axis],
            f"a pooling window along {label} holds only padding; reduce the padding",
        )
    return (*leading, *counts, channels)


_SLIDING = {"stride": PAIR, "padding": SIDES, "dilation": PAIR, "activation": ACTIVATION}
_POOL = {"size": PAIR, "stride": PAIR, "padding": SIDES, "activation": ACTIVATION}
_WEIGHTED = ("weights", "bias")

OPERATORS = (
    Operator("conv2d", _conv2d, constants=_WEIGHTED, attributes={**_SLIDING, "groups": COUNT}),
    Operator("depthwise_conv2d", _depthwise_conv2d, constants=_WEIGHTED, attributes=_SLIDING),
    # padding: how much of the full output is cut off on each side
    Operator(
        "transpose_conv2d",
        _transpose_conv2d,
        constants=_WEIGHTED,
        attributes={"stride": PAIR, "padding": SIDES, "activation": ACTIVATION},
    ),
    Operator("max_pool2d", _pool2d, attributes=_POOL, tied=True),
    Operator("average_pool2d", _pool2d, attributes=_POOL, tied=True),
)
