"""ONNX Runtime: one-operator models in its integer and float operators."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.benchmarks.layer import Kind, Layer, channels_first, unsigned
from fxpgrad.benchmarks.peers.peer import Peer, PeerError, Prepared, first_line

_OPSET, _IR_VERSION = 19, 9
# Its own exceptions, which derive from nothing more special than Exception.
_REFUSALS = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
_ALL: frozenset[Kind] = frozenset({"dense", "conv", "depthwise"})


def _libraries() -> tuple[ModuleType, ModuleType]:
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    return onnx, onnxruntime


def prepare_quantized(signed: bool, layer: Layer, threads: int) -> Prepared:
    """QLinearMatMul or QLinearConv, of int8 or (128 more) uint8 activations with int8 weights."""
    g = layer.geometry
    offset = 0 if signed else 128
    kind = np.int8 if signed else np.uint8
    x = layer.x if signed else unsigned(layer.x)
    scale, zero = np.float32(layer.input_scale), kind(layer.input_zero_point + offset)
    output_scale, output_zero = np.float32(layer.output_scale), kind(layer.output_zero_point + offset)
    weight_scale, weight_zero = layer.weight_scale.astype(np.float32), np.zeros(g.out_channels, np.int8)
    constants = {"xs": scale, "xz": zero, "w": _weights(layer), "ws": weight_scale, "wz": weight_zero,
                 "ys": output_scale, "yz": output_zero}  # fmt: skip
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    operator = "QLinearMatMul"
    if g.kind != "dense":
        operator, names = "QLinearConv", [*names, "b"]
        constants["b"] = np.zeros(g.out_channels, np.int32)
        x = channels_first(x)
    run, read = _session(operator, names, constants, x, kind, _attributes(layer), threads)

    def result() -> NDArray[Any]:
        return _channels_last(layer, read()).astype(np.int32) - offset

    return Prepared(run, result, "outputs")


def prepare_sums(signed: bool, layer: Layer, threads: int) -> Prepared:
    """MatMulInteger: int32 sums, not requantized."""
    kind = np.int8 if signed else np.uint8
    x = layer.x if signed else unsigned(layer.x)
    zero = kind(layer.input_zero_point + (0 if signed else 128))
    constants = {"w": _weights(layer), "xz": zero, "wz": np.int8(0)}
    run, read = _session("MatMulInteger", ["x", "w", "xz", "wz"], constants, x, np.int32, {}, threads)
    return Prepared(run, read, "sums")


def prepare_float(layer: Layer, threads: int) -> Prepared:
    """MatMul or Conv in float32."""
    x = ((layer.x.astype(np.float32)) - layer.input_zero_point) * np.float32(layer.input_scale)
    dense = layer.geometry.kind == "dense"
    scale = layer.weight_scale if dense else layer.weight_scale[:, None, None, None]
    constants = {"w": (_weights(layer) * scale).astype(np.float32)}
    x = x if dense else channels_first(x)
    operator = "MatMul" if dense else "Conv"
    run, read = _session(operator, ["x", "w"], constants, x, np.float32, _attributes(layer), threads)
    return Prepared(run, lambda: _channels_last(layer, read()), "real")


def _weights(layer: Layer) -> NDArray[Any]:
    """Return the weights as ONNX has them: [in, out], or [out, in / groups, k, k]."""
    if layer.geometry.kind == "dense":
        return np.ascontiguousarray(layer.weights.T)
    if layer.geometry.kind == "conv":
        return channels_first(layer.weights)
    return np.ascontiguousarray(layer.weights.transpose(3, 0, 1, 2))


def _attributes(layer: Layer) -> dict[str, Any]:
    g = layer.geometry
    if g.kind == "dense":
        return {}
    before, after = g.padding
    return {
        "kernel_shape": [g.kernel, g.kernel],
        "pads": [before, before, after, after],
        "strides": [g.stride, g.stride],
        "group": g.in_channels if g.kind == "depthwise" else 1,
    }


def _channels_last(layer: Layer, y: NDArray[Any]) -> NDArray[Any]:
    return y if layer.geometry.kind == "dense" else np.moveaxis(y, 1, -1)


def _session(
    operator: str,
    inputs: Sequence[str],
    constants: Mapping[str, Any],
    x: NDArray[Any],
    output: Any,
    attributes: Mapping[str, Any],
    threads: int,
) -> tuple[Callable[[], object], Callable[[], NDArray[Any]]]:
    """Return (run, read the output) of a one-operator model whose input and output stay where they are."""
    onnx, runtime = _libraries()
    helper = onnx.helper

    def value(name: str, dtype: Any, shape: Sequence[int] | None) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), ["y"], **attributes)],
        "layer",
        [value("x", x.dtype, x.shape)],
        [value("y", output, None)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    state = runtime.capi.onnxruntime_pybind11_state
    try:
        content = model.SerializeToString()
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", runtime.OrtValue.ortvalue_from_numpy(x))
        binding.bind_output("y", "cpu")
        session.run_with_iobinding(binding)
    except tuple(getattr(state, name) for name in _REFUSALS) as error:
        raise PeerError(first_line(error)) from error
    binding.bind_ortvalue_output("y", binding.get_outputs()[0])  # no allocation in the timed runs
    return (
        lambda: session.run_with_iobinding(binding),
        lambda: np.asarray(binding.copy_outputs_to_cpu()[0]),
    )


def _peer(
    variant: str,
    prepare: Callable[[Layer, int], Prepared],
    kinds: frozenset[Kind] = _ALL,
    *,
    slow: bool = False,
) -> Peer:
    name = f"onnxruntime-{variant}"
    return Peer(name, "onnxruntime", "onnxruntime", "bench", kinds, prepare, slow)


_DENSE: frozenset[Kind] = frozenset({"dense"})
PEERS = (
    _peer("u8s8", functools.partial(prepare_quantized, False)),
    _peer("s8s8", functools.partial(prepare_quantized, True)),
    _peer("matmulinteger-u8s8", functools.partial(prepare_sums, False), _DENSE),
    _peer("matmulinteger-s8s8", functools.partial(prepare_sums, True), _DENSE),
    _peer("float32", prepare_float),
)
