"""Convolutions and pools: windows over [C, H, W] become windows over [H, W, C]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxpgrad.graph.graph import Quantization
from fxpgrad.importers.onnx_model import OnnxNode
from fxpgrad.importers.onnx_translation import Rule, Target, Translation
from fxpgrad.importers.onnx_values import ActivationValue, ConstantValue, Kind, Shape, channels_last
from fxpgrad.importers.onnx_weights import Weights, bias_of, weights_of, with_quantization
from fxpgrad.importers.onnx_writer import Constants

_LARGEST = 2**16


@dataclass(frozen=True, slots=True)
class Windows:
    """Window geometry of one node, height before width."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]


def image(translation: Translation, node: OnnxNode, value: ActivationValue) -> tuple[str, Shape, bool]:
    """Return (tensor as [..., H, W, C], its ONNX order, whether a height of 1 was added)."""
    rank = len(value.order)
    if rank < 2 or (rank > 3 and translation.lead):
        raise node.refuse(
            f"its input has {rank + translation.lead} axes; one- and two-dimensional windows are supported"
        )
    order = channels_last(rank)
    tensor = translation.writer.ordered(node, value, order)
    if rank == 2:
        width, channels = translation.writer.shape(tensor)
        return translation.writer.reshaped(node, tensor, (1, width, channels)), order, True
    return tensor, order, False


def windows(node: OnnxNode, kernel: Any, shape: Shape, flat: bool, *, ceil: bool = False) -> Windows:
    """Return the geometry of a node over an image of the Graph's shape [..., H, W, C]."""
    attributes = node.attributes
    count = 1 if flat else 2
    size = _ints(node, kernel, count, "kernel_shape", 1)
    stride = _ints(node, attributes.get("strides", [1] * count), count, "strides", 1)
    dilation = _ints(node, attributes.get("dilations", [1] * count), count, "dilations", 1)
    pads = _ints(node, attributes.get("pads", [0] * 2 * count), 2 * count, "pads", 0)
    sides = [(pads[i], pads[i + count]) for i in range(count)]
    if flat:
        size, stride, dilation, sides = [1, *size], [1, *stride], [1, *dilation], [(0, 0), *sides]
    extents = shape[-3:-1]
    mode = attributes.get("auto_pad", "NOTSET")
    found: list[int] = []
    for i in range(2):
        reach = (size[i] - 1) * dilation[i] + 1
        before, after = sides[i]
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            total = max((-(-extents[i] // stride[i]) - 1) * stride[i] + reach - extents[i], 0)
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            after = total - before
        elif mode == "VALID":
            before = after = 0
        elif mode != "NOTSET":
            raise node.refuse(f"auto_pad {mode!r} is not known")
        if ceil:
            after += _ceil_extension(extents[i], before, after, reach, stride[i])
        found += [before, after]
    padding = (found[0], found[1], found[2], found[3])
    return Windows((size[0], size[1]), (stride[0], stride[1]), (dilation[0], dilation[1]), padding)


def _ceil_extension(extent: int, before: int, after: int, reach: int, stride: int) -> int:
    """Return how much padding the last, partial window needs; one that starts beyond the image is dropped."""
    room = extent + before + after - reach
    if room < 0 or room % stride == 0:
        return 0
    last = (room // stride + 1) * stride
    return last - room if last < extent + before else 0


def _ints(node: OnnxNode, value: Any, count: int, name: str, low: int) -> list[int]:
    if not isinstance(value, list) or len(value) != count:
        raise node.refuse(f"{name} must be {count} ints")
    if any(not isinstance(item, int) or not low <= item <= _LARGEST for item in value):
        raise node.refuse(f"{name} must be ints from {low} to {_LARGEST}; got {value}")
    return list(value)


def convolution(
    translation: Translation,
    node: OnnxNode,
    source: ActivationValue,
    weights: Weights,
    bias: ConstantValue | None,
    target: Target,
) -> None:
    """Add a conv2d or depthwise_conv2d: weights OIHW (or OIW)."""
    tensor, order, flat = image(translation, node, source)
    array = weights.array
    if array.ndim != (3 if flat else 4):
        raise node.refuse(f"weights of the shape {list(array.shape)} do not fit its input")
    if weights.axis not in (None, 0):
        raise node.refuse("weights must be quantized along axis 0, the output channels")
    kernel = node.attributes.get("kernel_shape", list(array.shape[2:]))
    if kernel != list(array.shape[2:]):
        raise node.refuse(f"kernel_shape {kernel} is not the weights' {list(array.shape[2:])}")
    if flat:
        array = array[:, :, None, :]
    groups, channels = int(node.attributes.get("group", 1)), translation.writer.shape(tensor)[-1]
    outputs = array.shape[0]
    geometry = windows(node, kernel, translation.writer.shape(tensor), flat)
    depthwise = groups == channels > 1 and array.shape[1] == 1 and outputs % groups == 0
    attributes: dict[str, Any] = {
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
    }
    if depthwise:
        filters, axis, op = np.moveaxis(array, (1, 2, 3, 0), (0, 1, 2, 3)), 3, "depthwise_conv2d"
    else:
        filters, axis, op = np.moveaxis(array, 1, 3), 0, "conv2d"
        attributes["groups"] = groups
    scale = None if weights.scale is None else translation.writer.kind(tensor).scale * weights.scale
    values = bias_of(translation, node, bias, outputs, scale)
    constants = with_quantization(translation, tensor, filters, weights, axis, values)
    _note_clamp(translation, node, target)
    _emit_image(translation, node, op, tensor, target, order, flat, attributes, constants)


def unrolled_convolution(
    translation: Translation, node: OnnxNode, source: ActivationValue, weights: Weights, target: Target
) -> None:
    """Add a convolution of one group as pad, gather and fully_connected: each window becomes a row."""
    writer = translation.writer
    tensor, order, flat = image(translation, node, source)
    array = weights.array
    channels = writer.shape(tensor)[-1]
    if flat or array.ndim != 4 or array.shape[1] != channels or len(writer.shape(tensor)) != 3:
        raise node.refuse("only two-dimensional convolutions of one group are supported here")
    geometry = windows(node, list(array.shape[2:]), writer.shape(tensor), flat)
    kind = writer.kind(tensor)
    if any(geometry.padding):
        chosen = {"padding": (*geometry.padding, 0, 0), "value": kind.zero_point}
        tensor = writer.emit(node, "pad", f"{target.name}/padded", (tensor,), {}, chosen, kind)
    height, width = writer.shape(tensor)[:2]
    rows = [
        np.arange(0, extent - (size - 1) * gap, step)[:, None] + gap * np.arange(size)
        for extent, size, step, gap in zip(
            (height, width), geometry.size, geometry.stride, geometry.dilation, strict=True
        )
    ]
    if any(places.shape[0] < 1 for places in rows):
        raise node.refuse("its window is larger than the padded input")
    places = rows[0][:, None, :, None] * width + rows[1][None, :, None, :]
    counts = (places.shape[0], places.shape[1])
    plain = Quantization(np.ones(1), np.zeros(1, np.int64))
    indices = {"indices": (places.reshape(-1).astype(np.int32), plain)}
    pixels = writer.reshaped(node, tensor, (height * width, channels))
    gathered = writer.emit(node, "gather", f"{target.name}/windows", (pixels,), indices, {"axis": 0}, kind)
    matrix = writer.reshaped(node, gathered, (*counts, places[0, 0].size * channels))
    filters = np.moveaxis(array, 1, 3).reshape(array.shape[0], -1)
    bias = np.zeros(array.shape[0], np.int32)
    constants = with_quantization(translation, matrix, filters, weights, 0, bias)
    translation.emit(node, "fully_connected", (matrix,), target, order, {}, constants)


def _note_clamp(translation: Translation, node: OnnxNode, target: Target) -> None:
    if target.activation != "none" and target.kind.quantization is not None and target.kind.zero_point > -128:
        translation.note(
            f"{node.label}: with a Relu or Clip that the output's zero point does not imply, ONNX Runtime "
            "computes this node in float32; results may differ by one where the exact value is near a tie"
        )


def _emit_image(
    translation: Translation,
    node: OnnxNode,
    op: str,
    tensor: str,
    target: Target,
    order: Shape,
    flat: bool,
    attributes: dict[str, Any],
    constants: Constants | None = None,
) -> None:
    """Add a node over an image, and take the added height away again."""
    if not flat:
        translation.emit(node, op, (tensor,), target, order, attributes, constants)
        return
    full = {**attributes, "activation": target.activation}
    name = f"{target.name}/image"
    made = translation.writer.emit(node, op, name, (tensor,), constants or {}, full, target.kind)
    shape = translation.writer.shape(made)
    result = translation.writer.reshaped(node, made, shape[1:], target.name)
    translation.assign(node, result, target, order)


def _conv(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    weights = weights_of(translation, node, 1)
    bias = translation.constant(node, 2)
    convolution(translation, node, source, weights, bias, translation.target(node, fuses=True))


def _conv_transpose(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    own = weights_of(translation, node, 1)
    tensor, order, flat = image(translation, node, source)
    if flat or own.array.ndim != 4:
        raise node.refuse("only two-dimensional transposed convolutions are supported")
    attributes = node.attributes
    if int(attributes.get("group", 1)) != 1 or attributes.get("dilations", [1, 1]) != [1, 1]:
        raise node.refuse("groups and dilations of a transposed convolution are not supported")
    if attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in attributes:
        raise node.refuse("give a transposed convolution explicit pads, not auto_pad or output_shape")
    if own.axis not in (None, 1):
        raise node.refuse("weights must be quantized along axis 1, the output channels")
    shape = translation.writer.shape(tensor)
    geometry = windows(node, list(own.array.shape[2:]), shape, flat)
    extra = _ints(node, attributes.get("output_padding", [0, 0]), 2, "output_padding", 0)
    declared = tuple(
        (shape[-3 + i] - 1) * geometry.stride[i]
        + geometry.size[i]
        - geometry.padding[2 * i]
        - geometry.padding[2 * i + 1]
        + extra[i]
        for i in range(2)
    )
    filters = np.transpose(own.array, (1, 2, 3, 0))
    outputs = filters.shape[0]
    scale = None if own.scale is None else translation.writer.kind(tensor).scale * own.scale
    bias = bias_of(translation, node, translation.constant(node, 2), outputs, scale)
    constants = with_quantization(translation, tensor, filters, own, 0, bias)
    chosen = {"stride": geometry.stride, "padding": geometry.padding}
    whole = (*shape[:-3], *declared, outputs)
    target = translation.target(node, fuses=True)
    if translation.quantized:
        translation.note(
            f"{node.label}: ONNX Runtime computes a quantized ConvTranspose in float32; results may differ "
            "by one where the exact value is near a tie"
        )
    translation.emit(node, "transpose_conv2d", (tensor,), target, order, chosen, constants, whole)


def pool(translation: Translation, node: OnnxNode, op: str, source: ActivationValue, kind: Kind) -> None:
    """Add max_pool2d or average_pool2d; the result keeps the integers' scale."""
    attributes = node.attributes
    if len([name for name in node.outputs if name]) > 1 or int(attributes.get("storage_order", 0)):
        raise node.refuse("the places of the maxima are not supported")
    tensor, order, flat = image(translation, node, source)
    ceil = bool(attributes.get("ceil_mode", 0))
    geometry = windows(
        node, attributes.get("kernel_shape"), translation.writer.shape(tensor), flat, ceil=ceil
    )
    if geometry.dilation != (1, 1):
        raise node.refuse("pools with dilations are not supported")
    padding = geometry.padding
    if op == "average_pool2d" and int(attributes.get("count_include_pad", 0)) and any(padding):
        if ceil:
            raise node.refuse("count_include_pad together with ceil_mode is not supported")
        value = 0 if kind.quantization is None else kind.zero_point
        sides = (*[0] * (2 * len(translation.writer.shape(tensor)) - 6), *padding, 0, 0)
        chosen = {"padding": sides, "value": value}
        tensor = translation.writer.emit(node, "pad", f"{tensor}/padded", (tensor,), {}, chosen, kind)
        padding = (0, 0, 0, 0)
    chosen = {"size": geometry.size, "stride": geometry.stride, "padding": padding}
    target = Target(node.outputs[0], kind, source.real)
    _emit_image(translation, node, op, tensor, target, order, flat, chosen)


def _max_pool(translation: Translation, node: OnnxNode) -> None:
    source = translation.activation(node, 0)
    pool(translation, node, "max_pool2d", source, translation.writer.kind(source.tensor))


def global_pool(translation: Translation, node: OnnxNode, source: ActivationValue, target: Target) -> None:
    """Add a mean over the image, [C, H, W] to [C, 1, 1]."""
    tensor, order, flat = image(translation, node, source)
    name = f"{target.name}/channels"
    made = translation.writer.emit(node, "global_average_pool2d", name, (tensor,), {}, {}, target.kind)
    shape = translation.writer.shape(made)
    whole = (*shape[:-1], *([1] if flat else [1, 1]), shape[-1])
    result = translation.writer.reshaped(node, made, whole, target.name)
    translation.assign(node, result, target, order)


def _global_average_pool(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    global_pool(translation, node, source, translation.target(node, fuses=False))


def _average_pool(translation: Translation, node: OnnxNode) -> None:
    source = translation.real_activation(node, 0)
    kind = translation.writer.kind(source.tensor)
    if translation.quantized and not translation.target(node, fuses=False).kind.same(kind):
        raise node.refuse("an average pool whose output has another scale than its input is not supported")
    pool(translation, node, "average_pool2d", source, kind)


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
}
