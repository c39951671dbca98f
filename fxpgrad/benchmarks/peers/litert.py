"""LiteRT (TensorFlow Lite): one-operator models, and whole .tflite files, under each of its kernel sets."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from fxpgrad.benchmarks.layer import FINE, Kind, Layer
from fxpgrad.benchmarks.peers.peer import Network, Numbers, Peer, Prepared

# Kernel set: the name of LiteRT's operator resolver.
RESOLVERS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_KINDS: frozenset[Kind] = frozenset({"dense", "conv", "depthwise"})
_HIGHEST_OLD_CODE = 127
# Operator versions: the first that takes such activations with one scale a channel.
_VERSIONS = {
    8: {"dense": 12, "conv": 3, "depthwise": 3},
    16: {"dense": 12, "conv": 5, "depthwise": 5},
}


def _libraries() -> tuple[ModuleType, ModuleType, ModuleType]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import flatbuffers  # noqa: PLC0415
    from ai_edge_litert import interpreter, schema_py_generated  # noqa: PLC0415

    return interpreter, schema_py_generated, flatbuffers


def _interpreter(model: bytes, kernels: str, threads: int) -> Any:
    module, _, _ = _libraries()
    return module.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_op_resolver_type=getattr(module.OpResolverType, RESOLVERS[kernels]),
    )


def prepare_layer(kernels: str, bits: int, layer: Layer, threads: int) -> Prepared:
    """Make a layer ready; `bits` of the activations: 8, or 16 with the same 8-bit weights."""
    interpreter = _interpreter(one_operator_model(layer, bits), kernels, threads)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    target = interpreter.get_output_details()[0]["index"]
    x = layer.x if bits == 8 else (layer.x.astype(np.int16) - layer.input_zero_point)
    interpreter.set_tensor(source["index"], x)
    numbers: Numbers = "outputs" if bits == 8 else "fine outputs"
    return Prepared(interpreter.invoke, lambda: interpreter.get_tensor(target), numbers)


def prepare_net(kernels: str, model: bytes, batch: int, threads: int) -> Network:
    """Make a whole model of one input ready for a batch."""
    interpreter = _interpreter(model, kernels, threads)
    source = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(source["index"], [batch, *source["shape"][1:]])
    interpreter.allocate_tensors()
    target = interpreter.get_output_details()[0]["index"]
    return Network(
        lambda x: interpreter.set_tensor(source["index"], x),
        interpreter.invoke,
        lambda: interpreter.get_tensor(target),
    )


def one_operator_model(layer: Layer, bits: int = 8) -> bytes:
    """Return a .tflite file of one layer."""
    _, schema, flatbuffers = _libraries()
    operator, options, options_type, axis = _operator(schema, layer)
    code = schema.OperatorCodeT()
    code.builtinCode = operator
    code.deprecatedBuiltinCode = min(operator, _HIGHEST_OLD_CODE)
    code.version = _VERSIONS[bits][layer.geometry.kind]
    bias = np.zeros(layer.geometry.out_channels, np.int32 if bits == 8 else np.int64)
    activation, summed = (schema.TensorType.INT8, schema.TensorType.INT32) if bits == 8 else (
        schema.TensorType.INT16, schema.TensorType.INT64)  # fmt: skip
    input_zero, output_zero = (layer.input_zero_point, layer.output_zero_point) if bits == 8 else (0, 0)
    output_scale = layer.output_scale / (1 if bits == 8 else FINE)
    g = layer.geometry
    if g.kind == "dense":
        output_shape: tuple[int, ...] = (g.batch, g.out_channels)
    else:
        output_shape = (g.batch, g.out_size, g.out_size, g.out_channels)
    zeros = np.zeros(g.out_channels, np.int64)
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(schema, "x", layer.x.shape, activation, 0, ([layer.input_scale], [input_zero], 0)),
        _tensor(
            schema, "weights", layer.weights.shape, schema.TensorType.INT8, 1,
            (layer.weight_scale, zeros, axis),
        ),
        _tensor(schema, "bias", bias.shape, summed, 2, (layer.input_scale * layer.weight_scale, zeros, 0)),
        _tensor(schema, "y", output_shape, activation, 0, ([output_scale], [output_zero], 0)),
    ]  # fmt: skip
    node = schema.OperatorT()
    node.opcodeIndex, node.inputs, node.outputs = 0, [0, 1, 2], [3]
    node.builtinOptionsType, node.builtinOptions = options_type, options
    graph.operators, graph.inputs, graph.outputs = [node], [0], [3]
    buffers = [schema.BufferT() for _ in range(3)]
    for buffer, array in zip(buffers[1:], (layer.weights, bias), strict=True):
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator(schema: ModuleType, layer: Layer) -> tuple[int, Any, int, int]:
    """Return (operator, options, type of the options, channel axis of the weights)."""
    kind, stride = layer.geometry.kind, layer.geometry.stride
    operators, types = schema.BuiltinOperator, schema.BuiltinOptions
    if kind == "dense":
        options = schema.FullyConnectedOptionsT()
        return operators.FULLY_CONNECTED, options, types.FullyConnectedOptions, 0
    depthwise = kind == "depthwise"
    options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    if depthwise:
        options.depthMultiplier = 1
        return operators.DEPTHWISE_CONV_2D, options, types.DepthwiseConv2DOptions, 3
    return operators.CONV_2D, options, types.Conv2DOptions, 0


def _tensor(
    schema: ModuleType,
    name: str,
    shape: Sequence[int],
    kind: int,
    buffer: int,
    quantization: tuple[Any, Any, int],
) -> Any:
    scale, zero_point, axis = quantization
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.asarray(scale, np.float32)
    tensor.quantization.zeroPoint = np.asarray(zero_point, np.int64)
    tensor.quantization.quantizedDimension = axis
    return tensor


def _peer(name: str, kernels: str, bits: int, *, slow: bool = False, nets: bool = True) -> Peer:
    return Peer(
        f"litert-{name}",
        "ai_edge_litert",
        "ai-edge-litert",
        "bench",
        _KINDS,
        functools.partial(prepare_layer, kernels, bits),
        slow,
        functools.partial(prepare_net, kernels) if nets else None,
    )


PEERS = (
    _peer("xnnpack", "xnnpack", 8),
    _peer("builtin", "builtin", 8),
    _peer("reference", "reference", 8, slow=True),
    _peer("16x8", "builtin", 16, slow=True, nets=False),
)
