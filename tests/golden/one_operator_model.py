"""A TFLite model of one operator, built from the schema and run by TFLite-Micro."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime

schema: Any = runtime.schema_fb
TENSOR_TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}
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
        is_variable: bool = False,
    ) -> int:
        """Add a tensor and return its index."""
        tensor, buffer = schema.TensorT(), schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.shape, tensor.type = list(shape), TENSOR_TYPES[dtype]
        tensor.buffer, tensor.name = len(self.model.buffers) - 1, f"t{len(self.graph.tensors)}"
        tensor.isVariable = is_variable
        if np.any(scale):
            tensor.quantization = schema.QuantizationParametersT()
            scales = np.atleast_1d(np.asarray(scale, np.float64))
            tensor.quantization.scale = scales.tolist()
            tensor.quantization.zeroPoint = [zero_point] * scales.size
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self,
        name: str,
        op_version: int,
        inputs: list[int],
        outputs: int | list[int],
        kind: str = "",
        intermediates: list[int] | None = None,
        **attributes: Any,
    ) -> None:
        """Add the operator; attributes are those of the schema's options table `kind`."""
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = op_version
        operator.opcodeIndex, operator.inputs = 0, inputs
        operator.outputs = [outputs] if isinstance(outputs, int) else outputs
        if intermediates is not None:
            operator.intermediates = intermediates
        if kind:
            options = getattr(schema, f"{kind}T")()
            for key, value in attributes.items():
                assert hasattr(options, key), (kind, key)
                setattr(options, key, value)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.model.operatorCodes, self.graph.operators = [code], [operator]
        self.graph.outputs = operator.outputs

    def content(self) -> bytes:
        """Return the model file."""
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def run_all(self, *inputs: Array) -> list[Array]:
        """Return the operator's outputs in their own types."""
        interpreter = runtime.Interpreter.from_bytes(self.content(), arena_size=2**20)
        for i, value in enumerate(inputs):
            interpreter.set_input(value, i)
        interpreter.invoke()
        return [np.array(interpreter.get_output(i)) for i in range(len(self.graph.outputs))]

    def run(self, *inputs: Array) -> Array:
        """Return the operator's one output."""
        (output,) = self.run_all(*inputs)
        return output
