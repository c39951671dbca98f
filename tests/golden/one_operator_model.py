"""A TFLite model of one operator, built from the schema and run by TFLite-Micro."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime

schema: Any = runtime.schema_fb
TENSOR_TYPES = {"int8": 9, "int32": 2}
Array = np.ndarray[Any, Any]


class OneOperator:
    """Builds a model that holds one operator, and runs it."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.inputs, self.graph.outputs = [], [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str,
        scale: float | Array = 0.0,
        zero_point: int = 0,
        data: Array | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor and return its index."""
        tensor, buffer = schema.TensorT(), schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.shape, tensor.type = list(shape), TENSOR_TYPES[dtype]
        tensor.buffer, tensor.name = len(self.model.buffers) - 1, f"t{len(self.graph.tensors)}"
        if np.any(scale):
            tensor.quantization = schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, np.float64))
            tensor.quantization.scale = scales.tolist()
            tensor.quantization.zeroPoint = [zero_point] * scales.size
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self, name: str, op_version: int, inputs: list[int], output: int, kind: str = "", **attributes: Any
    ) -> None:
        """Add the operator; attributes are those of the schema's options table `kind`."""
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = op_version
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, inputs, [output]
        if kind:
            options = getattr(schema, f"{kind}T")()
            for key, value in attributes.items():
                assert hasattr(options, key), (kind, key)
                setattr(options, key, value)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.model.operatorCodes, self.graph.operators = [code], [operator]
        self.graph.outputs = [output]

    def run(self, *inputs: Array) -> Array:
        """Return the operator's output."""
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        interpreter = runtime.Interpreter.from_bytes(bytes(builder.Output()), arena_size=2**20)
        for i, value in enumerate(inputs):
            interpreter.set_input(value, i)
        interpreter.invoke()
        return np.array(interpreter.get_output(0), np.int8)
