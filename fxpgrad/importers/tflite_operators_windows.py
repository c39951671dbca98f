"""CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and the pools."""

from __future__ import annotations

from fxpgrad.graph.operators.windows import same_padding
from fxpgrad.importers.tflite_model import TfliteOperator, TfliteTensor
from fxpgrad.importers.tflite_refusals import activation_of, option, refuse
from fxpgrad.importers.tflite_translation import Translation
from fxpgrad.importers.tflite_weights import accumulator_scales, bias, weights

_SAME, _VALID = 0, 1
_LARGEST_STEP = 2**16


def image_extents(operator: TfliteOperator, tensor: TfliteTensor) -> tuple[int, int, int]:
    """Return (height, width, channels) of a tensor [N, H, W, C], or refuse."""
    if len(tensor.shape) != 4:
        refuse(operator, f"{tensor.name} must be [batch, height, width, channels]; got {list(tensor.shape)}")
    return tensor.shape[1], tensor.shape[2], tensor.shape[3]


def _pair(operator: TfliteOperator, first: str, second: str) -> tuple[int, int]:
    pair = option(operator, first), option(operator, second)
    if not all(1 <= value <= _LARGEST_STEP for value in pair):
        refuse(operator, f"{first} and {second} must lie in [1, {_LARGEST_STEP}]; got {pair}")
    return pair


def _padding(
    operator: TfliteOperator,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    code = operator.options["padding"]
    if code == _SAME:
        return same_padding(size, kernel, stride, dilation)
    if code != _VALID:
        refuse(operator, f"the padding must be SAME (0) or VALID (1); got {code}")
    return (0, 0, 0, 0)


def _filter_shape(state: Translation, operator: TfliteOperator) -> tuple[int, int, int, int]:
    tensor = state.tensor(operator, 1)
    if len(tensor.shape) != 4 or 0 in tensor.shape:
        refuse(operator, f"the weights {tensor.name} must have rank 4; got {list(tensor.shape)}")
    outputs, height, width, depth = tensor.shape
    return outputs, height, width, depth


def convolution(state: Translation, operator: TfliteOperator) -> None:
    """Translate CONV_2D and DEPTHWISE_CONV_2D."""
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    height, width, channels = image_extents(operator, state.tensor(operator, 0))
    outputs, kernel_h, kernel_w, depth = _filter_shape(state, operator)
    stride, dilation = (
        _pair(operator, "stride_h", "stride_w"),
        _pair(operator, "dilation_h_factor", "dilation_w_factor"),
    )
    attributes: dict[str, object] = {
        "stride": stride,
        "padding": _padding(operator, (height, width), (kernel_h, kernel_w), stride, dilation),
        "dilation": dilation,
        "activation": activation_of(operator),
    }
    if depthwise:
        multiplier = option(operator, "depth_multiplier")
        outputs = depth
        if channels < 1 or multiplier * channels != depth:
            refuse(operator, f"depth_multiplier {multiplier} x {channels} channels must make {depth}")
    else:
        if depth == 0 or channels % depth:
            refuse(operator, f"weights of depth {depth} do not divide {channels} input channels")
        attributes["groups"] = channels // depth
    _weighted(state, operator, 0, outputs, 3 if depthwise else 0, attributes)


def _weighted(
    state: Translation,
    operator: TfliteOperator,
    position: int,
    channels: int,
    channel_axis: int,
    attributes: dict[str, object],
) -> None:
    """Emit a node with weights at input 1 and a bias after the activation and the weights."""
    source = state.activation(operator, position)
    kernel, scales = weights(state, operator, 1, channel_axis)
    wide = state.tensors[source].dtype == "int16"
    place = 3 if operator.name == "TRANSPOSE_CONV" else 2
    if wide and operator.name != "CONV_2D" and state.has(operator, place):
        stored = state.tensor(operator, place)
        if stored.type == "INT32":
            refuse(
                operator,
                f"the bias {stored.name} is INT32 beside int16 activations, which TFLite-Micro reads as "
                f"INT64; export the model with int64 biases",
            )
    addend = bias(state, operator, place, channels, accumulator_scales(state, source, scales), wide=wide)
    op = {"CONV_2D": "conv2d", "DEPTHWISE_CONV_2D": "depthwise_conv2d", "TRANSPOSE_CONV": "transpose_conv2d"}
    state.emit(operator, op[operator.name], (source, kernel, addend), attributes)


def transpose_convolution(state: Translation, operator: TfliteOperator) -> None:
    """Translate TRANSPOSE_CONV; input 0, the output's shape, repeats what the output tensor says."""
    result = state.output(operator)
    height, width, channels = image_extents(operator, result)
    outputs, kernel_h, kernel_w, _ = _filter_shape(state, operator)
    wanted = state.integer_list(operator, 0, 4)
    if channels != outputs or wanted[1:] != list(result.shape[1:]):
        refuse(operator, f"the output shape {wanted} does not agree with {list(result.shape)}")
    stride = _pair(operator, "stride_h", "stride_w")
    attributes: dict[str, object] = {
        "stride": stride,
        "padding": _padding(operator, (height, width), (kernel_h, kernel_w), stride),
        "activation": activation_of(operator),
    }
    _weighted(state, operator, 2, outputs, 0, attributes)


def pool(state: Translation, operator: TfliteOperator) -> None:
    """Translate AVERAGE_POOL_2D and MAX_POOL_2D."""
    height, width, _ = image_extents(operator, state.tensor(operator, 0))
    size = _pair(operator, "filter_height", "filter_width")
    stride = _pair(operator, "stride_h", "stride_w")
    op = "average_pool2d" if operator.name == "AVERAGE_POOL_2D" else "max_pool2d"
    attributes = {
        "size": size,
        "stride": stride,
        "padding": _padding(operator, (height, width), size, stride),
        "activation": activation_of(operator),
    }
    state.emit(operator, op, (state.activation(operator, 0),), attributes)


RULES = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "TRANSPOSE_CONV": transpose_convolution,
    "AVERAGE_POOL_2D": pool,
    "MAX_POOL_2D": pool,
}
