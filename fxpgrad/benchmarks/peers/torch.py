"""PyTorch: float32 layers, and its quantized layers under each engine that it was built with."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.layer import Kind, Layer, channels_first, unsigned
from fxpgrad.benchmarks.peers.peer import Peer, Prepared
from fxpgrad.errors import InputError

ENGINES = ("onednn", "fbgemm", "x86")
_KINDS: frozenset[Kind] = frozenset({"dense", "conv", "depthwise"})


def _torch(threads: int) -> ModuleType:
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads)
    module: ModuleType = torch
    return module


def prepare_float(layer: Layer, threads: int) -> Prepared:
    """torch.nn.functional.linear or conv2d, float32, channels last."""
    torch = _torch(threads)
    g = layer.geometry
    x = torch.from_numpy((layer.x.astype(np.float32) - layer.input_zero_point) * layer.input_scale).float()
    weights = torch.from_numpy(_oihw(layer) * _per_channel(layer)).float()
    kept: list[Any] = [None]
    functional = torch.nn.functional
    if g.kind == "dense":

        def forward() -> Any:
            return functional.linear(x, weights)
    else:
        padding = _padding(layer)
        image = x.permute(0, 3, 1, 2)  # a view: the memory stays channels last
        filters = weights.contiguous(memory_format=torch.channels_last)
        groups = g.in_channels if g.kind == "depthwise" else 1

        def forward() -> Any:
            return functional.conv2d(image, filters, None, g.stride, padding, 1, groups)

    def run() -> None:
        with torch.inference_mode():
            kept[0] = forward()

    return Prepared(run, lambda: _channels_last(layer, kept[0].numpy()), "real")


def prepare_quantized(engine: str, layer: Layer, threads: int) -> Prepared:
    """torch.ao.nn.quantized: uint8 activations, int8 weights with one scale a channel."""
    torch = _torch(threads)
    if engine not in torch.backends.quantized.supported_engines:
        raise InputError(f"this build of PyTorch has no engine {engine}")
    g = layer.geometry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the announced removal of the quantized types
        torch.backends.quantized.engine = engine
        quantized = torch.ao.nn.quantized
        scales, zeros = torch.from_numpy(layer.weight_scale), torch.zeros(g.out_channels, dtype=torch.long)
        real = torch.from_numpy((_oihw(layer) * _per_channel(layer)).astype(np.float32))
        weights = torch.quantize_per_channel(real, scales, zeros, 0, torch.qint8)
        if not np.array_equal(weights.int_repr().numpy(), _oihw(layer)):
            raise InputError("PyTorch quantizes these weights to other integers")
        if g.kind == "dense":
            module = quantized.Linear(g.in_channels, g.out_channels)
        else:
            groups = g.in_channels if g.kind == "depthwise" else 1
            module = quantized.Conv2d(
                g.in_channels, g.out_channels, g.kernel, g.stride, _padding(layer), groups=groups
            )
        module.set_weight_bias(weights, torch.zeros(g.out_channels))
        module.scale, module.zero_point = layer.output_scale, layer.output_zero_point + 128
        stored = unsigned(layer.x) if g.kind == "dense" else channels_first(unsigned(layer.x))
        x = torch._make_per_tensor_quantized_tensor(
            torch.from_numpy(stored), layer.input_scale, layer.input_zero_point + 128
        )
        if g.kind != "dense":
            x = x.contiguous(memory_format=torch.channels_last)
    kept: list[Any] = [None]

    def run() -> None:
        with torch.inference_mode():
            kept[0] = module(x)

    def result() -> NDArray[Any]:
        return _channels_last(layer, kept[0].int_repr().numpy()).astype(np.int32) - 128

    return Prepared(run, result, "outputs")


def _oihw(layer: Layer) -> NDArray[Any]:
    """Return the weights as PyTorch has them: [out, in] or [out, in / groups, k, k]."""
    if layer.geometry.kind == "dense":
        return layer.weights
    if layer.geometry.kind == "conv":
        return channels_first(layer.weights)
    return np.ascontiguousarray(layer.weights.transpose(3, 0, 1, 2))


def _per_channel(layer: Layer) -> NDArray[np.float64]:
    return layer.weight_scale.reshape(-1, *(1,) * (layer.weights.ndim - 1))


def _padding(layer: Layer) -> int:
    before, after = layer.geometry.padding
    if before != after:
        raise InputError("PyTorch pads both sides alike")
    return before


def _channels_last(layer: Layer, y: NDArray[Any]) -> NDArray[Any]:
    return y if layer.geometry.kind == "dense" else np.moveaxis(y, 1, -1)


def _peer(name: str, prepare: Callable[[Layer, int], Prepared]) -> Peer:
    return Peer(f"torch-{name}", "torch", "torch", "torch", _KINDS, prepare)


PEERS = (
    *(_peer(engine, functools.partial(prepare_quantized, engine)) for engine in ENGINES),
    _peer("float32", prepare_float),
)
