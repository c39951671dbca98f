"""Each operator of a float Graph in PyTorch, on NHWC images."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fxpgrad.errors import GraphError, MissingExtraError
from fxpgrad.graph.graph import Node
from fxpgrad.quantize.fold import CHANNEL_AXIS


def import_torch() -> ModuleType:
    """Import PyTorch, or say how to get it."""
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError('backpropagation needs PyTorch: pip install "fxpgrad[torch]"') from error
    module: ModuleType = torch
    return module


def torch_is_there() -> bool:
    """Tell, without the seconds of an import, whether PyTorch is installed."""
    try:
        return importlib.util.find_spec("torch") is not None
    except ImportError:
        return False


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep PyTorch to one thread, so that its results do not depend on how many processors there are."""
    torch = import_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def apply_node(torch: ModuleType, node: Node, inputs: list[Any], shape: tuple[int, ...]) -> Any:
    """Compute one operator without its activation; a bias may be None."""
    functional, x = torch.nn.functional, inputs[0]
    match node.op:
        case "conv2d" | "depthwise_conv2d":
            y = _convolve(functional, node, x, inputs[1], inputs[2])
        case "fully_connected":
            y = functional.linear(x, inputs[1], inputs[2])
        case "max_pool2d" | "average_pool2d":
            y = _pool(torch, node, x)
        case "global_average_pool2d":
            y = x.mean(dim=(1, 2))
        case "add":
            y = x + inputs[1]
        case "activation" | "quantize":
            y = x
        case "pad":
            before_and_after: Any = node.attributes["padding"]  # by axis; torch wants the last axis first
            y = functional.pad(
                x, [n for i in range(len(shape), 0, -1) for n in before_and_after[2 * i - 2 : 2 * i]]
            )
        case "concat":
            y = torch.cat(inputs, dim=int(str(node.attributes["axis"])) + 1)
        case "reshape":
            y = x.reshape(len(x), *shape)
        case _:
            raise GraphError(f"node {node.name}: backpropagation does not run operator {node.op}")
    return y


def scale_and_shift(torch: ModuleType, y: Any, gain: Any, bias: Any) -> Any:
    """Return gain * (y + bias) of a layer's sums [n, ..., channels].

    gain: [n or 1, channels or 1], None for 1; bias: [channels], or [n or 1, channels]. Where no gradient is
    taken the result lies in the place of y.
    """
    rows = (-1, *(1,) * (y.ndim - 2))
    shift = bias.reshape(*rows, bias.shape[-1])
    out = None if torch.is_grad_enabled() else y
    if gain is None:
        return torch.add(y, shift, out=out)
    factor = gain.reshape(*rows, gain.shape[-1])
    return torch.addcmul(shift * factor, y, factor, out=out)


def _convolve(functional: Any, node: Node, x: Any, weights: Any, bias: Any) -> Any:
    depthwise = node.op == "depthwise_conv2d"
    filters = weights.permute(3, 0, 1, 2) if depthwise else weights.permute(0, 3, 1, 2)
    top, bottom, left, right = padding_of(node)
    x = x.permute(0, 3, 1, 2)
    margin = (top, left)
    if top != bottom or left != right:
        x, margin = _pad(functional, x, node, 0.0), (0, 0)
    groups = x.shape[1] if depthwise else node.attributes["groups"]
    stride: Any = node.attributes["stride"]
    if filters.shape[2:] == (1, 1) and margin == (0, 0) and stride != (1, 1):
        # The same sums. PyTorch 2.13 (oneDNN, AVX2) corrupts memory in the strided form's backward pass.
        x, stride = x[:, :, :: stride[0], :: stride[1]], (1, 1)
    y = functional.conv2d(x, filters, bias, stride, margin, node.attributes["dilation"], groups)
    return y.permute(0, 2, 3, 1)


def _pool(torch: ModuleType, node: Node, x: Any) -> Any:
    functional, size, stride = torch.nn.functional, node.attributes["size"], node.attributes["stride"]
    x = x.permute(0, 3, 1, 2)
    if node.op == "max_pool2d":
        y = functional.max_pool2d(_pad(functional, x, node, -math.inf), size, stride)
    else:
        inside = _pad(functional, torch.ones_like(x[:1, :1]), node, 0.0)
        counts = functional.avg_pool2d(inside, size, stride, divisor_override=1)
        y = functional.avg_pool2d(_pad(functional, x, node, 0.0), size, stride, divisor_override=1) / counts
    return y.permute(0, 2, 3, 1)


def _pad(functional: Any, x: Any, node: Node, value: float) -> Any:
    top, bottom, left, right = padding_of(node)
    return (
        functional.pad(x, (left, right, top, bottom), value=value) if any((top, bottom, left, right)) else x
    )


def padding_of(node: Node) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right)."""
    padding: Any = node.attributes["padding"]
    return padding[0], padding[1], padding[2], padding[3]


def activate(torch: ModuleType, x: Any, node: Node) -> Any:
    """Clamp a node's result as its `activation` attribute says; in place where no gradient is taken."""
    own = node.op in (*CHANNEL_AXIS, "add") and not torch.is_grad_enabled()
    match node.attributes.get("activation", "none"):
        case "none":
            return x
        case "relu":
            return torch.relu_(x) if own else torch.relu(x)
        case "relu6":
            return torch.clamp(x, 0.0, 6.0)
        case "relu_n1_to_1":
            return torch.clamp(x, -1.0, 1.0)
        case other:
            raise GraphError(f"node {node.name}: backpropagation does not run activation {other!r}")
