"""Run a float Graph in plain NumPy float32: for calibration, for baselines and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fxpgrad.errors import GraphError, InputError
from fxpgrad.graph.attributes import ACTIVATION_BOUNDS
from fxpgrad.graph.float_operators import FLOAT_OPERATORS
from fxpgrad.graph.graph import Graph, Node

FloatArray = NDArray[np.float32]
Feed = FloatArray | Mapping[str, FloatArray]
_Operator = Callable[[list[FloatArray], dict[str, FloatArray], Mapping[str, Any]], FloatArray]

# A convolution unrolls its windows for as many samples as fit here (a second-level cache or so).
_UNROLLED_BYTES = 4 << 20


def run_float(graph: Graph, x: Feed) -> dict[str, FloatArray]:
    """Return every activation of a float Graph, the inputs included, by tensor name.

    Parameters
    ----------
    graph : Graph
        A checked float Graph. A `quantize` node, which only changes the representation, is the identity.
    x : ndarray of float32 [B, ...] or mapping of such
        The single input, or one array for each input by name.

    Returns
    -------
    dict of ndarray of float32 [B, ...]

    Raises
    ------
    GraphError
        The graph is quantized.
    InputError
        An array does not have the shape [B, ...] of its input, or is not of a real number type.
    """
    return dict(iterate_activations(graph, x))


def run_float_outputs(graph: Graph, x: Feed) -> tuple[FloatArray, ...]:
    """Return only the graph's outputs, in order; inner activations are dropped after their last use."""
    wanted = {name: value for name, value in iterate_activations(graph, x) if name in graph.outputs}
    return tuple(wanted[name] for name in graph.outputs)


def iterate_activations(graph: Graph, x: Feed) -> Iterator[tuple[str, FloatArray]]:
    """Yield (name, activation) as each becomes known, inputs first, and drop it after its last use.

    Parameters, exceptions as `run_float`. The arrays belong to the iteration: copy before changing one.
    """
    if graph.is_quantized:
        raise GraphError(f"graph {graph.name} is quantized; dequantize it before running it in float")
    values = feed_arrays(graph, x)
    yield from values.items()
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        inputs = [values[name] for name in graph.activations_of(node)]
        constants = {
            role: np.asarray(tensor.data, np.float32) for role, tensor in graph.constants_of(node).items()
        }
        result = _run_node(graph, node, inputs, constants)
        del inputs
        for name in [name for name in values if last_use.get(name, -1) <= index]:
            del values[name]
        values[node.output] = result
        yield node.output, result


def feed_arrays(graph: Graph, x: Feed) -> dict[str, FloatArray]:
    """Return one float32 array [B, ...] for each graph input, checked against its shape."""
    if isinstance(x, Mapping):
        if set(x) != set(graph.inputs):
            raise InputError(f"x must hold the inputs {sorted(graph.inputs)}; got {sorted(x)}")
        given = dict(x)
    elif len(graph.inputs) == 1:
        given = {graph.inputs[0]: x}
    else:
        raise InputError(f"graph {graph.name} has the inputs {list(graph.inputs)}; pass a mapping by name")
    arrays: dict[str, FloatArray] = {}
    for name in graph.inputs:
        array = np.asarray(given[name])
        shape = graph.tensors[name].shape
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name} must hold real numbers (float32); got {array.dtype}")
        if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            raise InputError(
                f"{name} must have the shape [B, {', '.join(map(str, shape))}]; got {list(array.shape)}; "
                f"the batch axis comes first and channels come last"
            )
        arrays[name] = np.ascontiguousarray(array, np.float32)
    if len({array.shape[0] for array in arrays.values()}) > 1:
        raise InputError("every input must have the same batch size")
    return arrays


def _run_node(
    graph: Graph, node: Node, inputs: list[FloatArray], constants: dict[str, FloatArray]
) -> FloatArray:
    if node.op == "reshape":
        return inputs[0].reshape(inputs[0].shape[0], *graph.tensors[node.output].shape)
    if node.op not in _OPERATORS:
        raise GraphError(
            f"node {node.name}: {node.op} has no float form here; known: {', '.join(_OPERATORS)}"
        )
    result = _OPERATORS[node.op](inputs, constants, node.attributes)
    return clamp(result, str(node.attributes.get("activation", "none")))


def clamp(values: FloatArray, activation: str) -> FloatArray:
    """Return `values` clamped to the bounds of `activation` ("none", "relu", "relu6", "relu_n1_to_1")."""
    if activation == "none":
        return values
    low, high = ACTIVATION_BOUNDS[activation]
    return np.clip(values, np.float32(low), np.float32(high))


def _pad_image(x: FloatArray, padding: tuple[int, int, int, int], value: float) -> FloatArray:
    if not any(padding):
        return x
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def _windows(
    x: FloatArray, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> FloatArray:
    """Return a view [B, out height, out width, C, kernel height, kernel width] of a padded image."""
    (kernel_h, kernel_w), (gap_h, gap_w) = kernel, dilation
    extents = ((kernel_h - 1) * gap_h + 1, (kernel_w - 1) * gap_w + 1)
    view = sliding_window_view(x, extents, axis=(1, 2))
    windows: FloatArray = view[:, :: stride[0], :: stride[1], :, ::gap_h, ::gap_w]
    return windows


def _conv2d(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    x = _pad_image(inputs[0], attributes["padding"], 0.0)
    weights, groups = constants["weights"], int(attributes["groups"])
    outputs, kernel_h, kernel_w, depth = weights.shape
    windows = _windows(x, (kernel_h, kernel_w), attributes["stride"], attributes["dilation"])
    windows = windows.transpose(0, 1, 2, 4, 5, 3)  # B, OH, OW, KH, KW, C
    batch, out_h, out_w = windows.shape[:3]
    result = np.empty((batch, out_h, out_w, outputs), np.float32)
    share = outputs // groups
    taps = kernel_h * kernel_w * depth
    step = max(1, _UNROLLED_BYTES // (4 * out_h * out_w * taps))
    for group in range(groups):
        columns = weights[group * share : (group + 1) * share].reshape(share, taps).T
        channels = slice(group * depth, (group + 1) * depth)
        for start in range(0, batch, step):
            unrolled = windows[start : start + step, ..., channels].reshape(-1, taps)
            product = (unrolled @ columns).reshape(-1, out_h, out_w, share)
            result[start : start + step, ..., group * share : (group + 1) * share] = product
    result += constants["bias"]
    return result


def _depthwise_conv2d(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    weights = constants["weights"][0]
    kernel_h, kernel_w, outputs = weights.shape
    x = _pad_image(np.repeat(inputs[0], outputs // inputs[0].shape[-1], axis=-1), attributes["padding"], 0.0)
    windows = _windows(x, (kernel_h, kernel_w), attributes["stride"], attributes["dilation"])
    result = np.zeros(windows.shape[:4], np.float32)
    for row in range(kernel_h):
        for column in range(kernel_w):
            result += windows[..., row, column] * weights[row, column]
    result += constants["bias"]
    return result


def _fully_connected(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    result: FloatArray = inputs[0] @ constants["weights"].T + constants["bias"]
    return result


def _batch_norm(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    gain = constants["gamma"] / np.sqrt(constants["variance"] + np.float32(attributes["epsilon"]))
    result: FloatArray = inputs[0] * gain + (constants["beta"] - constants["mean"] * gain)
    return result


def _max_pool2d(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    x = _pad_image(inputs[0], attributes["padding"], -np.inf)
    windows = _windows(x, attributes["size"], attributes["stride"])
    result = windows[..., 0, 0].copy()
    for row in range(windows.shape[-2]):
        for column in range(windows.shape[-1]):
            np.maximum(result, windows[..., row, column], out=result)
    return result


def _average_pool2d(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    def window_sums(image: FloatArray) -> FloatArray:
        windows = _windows(
            _pad_image(image, attributes["padding"], 0.0), attributes["size"], attributes["stride"]
        )
        sums = np.zeros(windows.shape[:4], np.float32)
        for row in range(windows.shape[-2]):
            for column in range(windows.shape[-1]):
                sums += windows[..., row, column]
        return sums

    counts = window_sums(np.ones((1, *inputs[0].shape[1:3], 1), np.float32))
    return window_sums(inputs[0]) / counts


def _global_average_pool2d(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    mean: FloatArray = inputs[0].mean(axis=(1, 2), dtype=np.float32)
    return mean


def _add(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    rank = max(array.ndim for array in inputs)
    first, second = (x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs)
    result: FloatArray = first + second
    return result


def _identity(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    return inputs[0]


def _pad(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    pairs = iter(attributes["padding"])
    return np.pad(inputs[0], ((0, 0), *zip(pairs, pairs, strict=True)))


def _concat(
    inputs: list[FloatArray], constants: dict[str, FloatArray], attributes: Mapping[str, Any]
) -> FloatArray:
    return np.concatenate(inputs, axis=int(attributes["axis"]) + 1)


_OPERATORS: dict[str, _Operator] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "batch_norm": _batch_norm,
    "max_pool2d": _max_pool2d,
    "average_pool2d": _average_pool2d,
    "global_average_pool2d": _global_average_pool2d,
    "add": _add,
    "activation": _identity,
    "pad": _pad,
    "concat": _concat,
    "quantize": _identity,
    **FLOAT_OPERATORS,
}
