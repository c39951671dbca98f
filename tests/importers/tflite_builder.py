"""Small .tflite files made in a test, with the schema package's own builder functions."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import tflite


class TfliteBuilder:
    """Collects tensors and operators of one subgraph; `content` gives the file.

    Tensors are named by their index unless a name is given; every method returns tensor indices.
    """

    def __init__(self) -> None:
        self.buffers: list[bytes] = [b""]
        self.subgraphs: list[dict[str, Any]] = [{"tensors": [], "operators": []}]
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    @property
    def tensors(self) -> list[dict[str, Any]]:
        return self.subgraphs[-1]["tensors"]

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str = "INT8",
        scale: float | list[float] | None = 0.5,
        zero_point: int | list[int] = 0,
        data: Any = None,
        *,
        axis: int = 0,
        name: str | None = None,
        **extra: Any,
    ) -> int:
        """Add a tensor; `data` (an array, or raw bytes) makes it a constant. dtype int32/64: no scale."""
        if dtype in ("INT32", "INT64", "FLOAT32", "RESOURCE", "BOOL") and scale == 0.5:
            scale = None
        buffer = 0
        if data is not None:
            raw = data if isinstance(data, bytes) else np.asarray(data, _DTYPES[dtype]).tobytes()
            self.buffers.append(raw)
            buffer = len(self.buffers) - 1
        index = len(self.tensors)
        scales = [] if scale is None else list(np.atleast_1d(scale))
        points = list(np.atleast_1d(zero_point)) * (len(scales) if np.ndim(zero_point) == 0 else 1)
        self.tensors.append(
            {
                "shape": shape,
                "type": getattr(tflite.TensorType, dtype),
                "buffer": buffer,
                "name": f"t{index}" if name is None else name,
                "scale": scales,
                "zero_point": points,
                "axis": axis,
                **extra,
            }
        )
        return index

    def input(self, shape: tuple[int, ...], dtype: str = "INT8", **quantization: Any) -> int:
        self.inputs.append(self.tensor(shape, dtype, **quantization))
        return self.inputs[-1]

    def integers(self, *values: int, dtype: str = "INT32") -> int:
        """Add a constant vector of plain integers."""
        return self.tensor((len(values),), dtype, data=np.array(values))

    def operator(
        self,
        name: str,
        inputs: list[int],
        outputs: int | list[int],
        kind: str | None = None,
        custom: str | None = None,
        **options: Any,
    ) -> None:
        """Add an operator; `options` are fields of the options table `kind`, by their schema names."""
        outputs = [outputs] if isinstance(outputs, int) else outputs
        self.subgraphs[-1]["operators"].append((name, inputs, outputs, kind, custom, options))

    def start_subgraph(self) -> None:
        """Add tensors and operators to another subgraph from now on."""
        self.subgraphs.append({"tensors": [], "operators": []})

    def content(self, *outputs: int) -> bytes:
        """Return the file, with `outputs` as the network's outputs."""
        self.outputs = list(outputs) or self.outputs
        b = flatbuffers.Builder(1024)
        buffers = []
        for raw in self.buffers:
            data = b.CreateByteVector(raw) if raw else None
            tflite.BufferStart(b)
            if data is not None:
                tflite.BufferAddData(b, data)
            buffers.append(tflite.BufferEnd(b))
        codes: dict[tuple[str, str | None], int] = {}
        graphs = []
        for number, graph in enumerate(self.subgraphs):
            tensors = _tables(b, [_tensor(b, tensor) for tensor in graph["tensors"]])
            operators = _tables(b, [_operator(b, codes, *operator) for operator in graph["operators"]])
            edges = [
                _ints(b, self.inputs if number == 0 else []),
                _ints(b, self.outputs if number == 0 else []),
            ]
            tflite.SubGraphStart(b)
            tflite.SubGraphAddTensors(b, tensors)
            tflite.SubGraphAddInputs(b, edges[0])
            tflite.SubGraphAddOutputs(b, edges[1])
            tflite.SubGraphAddOperators(b, operators)
            graphs.append(tflite.SubGraphEnd(b))
        code_tables = []
        for name, custom in codes:
            text = b.CreateString(custom) if custom else None
            number = getattr(tflite.BuiltinOperator, name)
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
            tflite.OperatorCodeAddBuiltinCode(b, number)
            if text is not None:
                tflite.OperatorCodeAddCustomCode(b, text)
            code_tables.append(tflite.OperatorCodeEnd(b))
        vectors = _tables(b, code_tables), _tables(b, graphs), _tables(b, buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, vectors[0])
        tflite.ModelAddSubgraphs(b, vectors[1])
        tflite.ModelAddBuffers(b, vectors[2])
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())


def one_operator_model(
    name: str,
    inputs: list[Any],
    outputs: list[tuple[int, ...]] | tuple[int, ...],
    kind: str = "",
    **options: Any,
) -> bytes:
    """Return a model of one operator; an input is the shape of an activation, or a list of integers."""
    builder = TfliteBuilder()
    places = [
        builder.input(entry)
        if isinstance(entry, tuple)
        else builder.tensor(np.shape(entry), "INT32", data=entry)
        for entry in inputs
    ]
    results = [builder.tensor(shape) for shape in ([outputs] if isinstance(outputs, tuple) else outputs)]
    builder.operator(name, places, results, kind or None, **options)
    return builder.content(*results)


_DTYPES = {"INT8": "i1", "UINT8": "u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FLOAT32": "<f4"}


def _tables(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def _ints(b: flatbuffers.Builder, values: Any, dtype: str = "<i4") -> int:
    return b.CreateNumpyVector(np.array(values, dtype))


def _tensor(b: flatbuffers.Builder, tensor: dict[str, Any]) -> int:
    shape = _ints(b, tensor["shape"])
    signature = _ints(b, tensor["signature"]) if "signature" in tensor else None
    name = b.CreateString(tensor["name"]) if tensor["name"] else None
    quantization = sparsity = None
    if tensor["scale"]:
        scale, zero_point = _ints(b, tensor["scale"], "<f4"), _ints(b, tensor["zero_point"], "<i8")
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero_point)
        tflite.QuantizationParametersAddQuantizedDimension(b, tensor["axis"])
        quantization = tflite.QuantizationParametersEnd(b)
    if tensor.get("sparse"):
        tflite.SparsityParametersStart(b)
        sparsity = tflite.SparsityParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, tensor["type"])
    tflite.TensorAddBuffer(b, tensor["buffer"])
    if name is not None:
        tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    tflite.TensorAddIsVariable(b, bool(tensor.get("variable")))
    if sparsity is not None:
        tflite.TensorAddSparsity(b, sparsity)
    if signature is not None:
        tflite.TensorAddShapeSignature(b, signature)
    return int(tflite.TensorEnd(b))


def _operator(
    b: flatbuffers.Builder,
    codes: dict[tuple[str, str | None], int],
    name: str,
    inputs: list[int],
    outputs: list[int],
    kind: str | None,
    custom: str | None,
    options: dict[str, Any],
) -> int:
    table = None
    if kind:
        texts = {key: b.CreateString(value) for key, value in options.items() if isinstance(value, str)}
        getattr(tflite, f"{kind}Start")(b)
        for key, value in options.items():
            getattr(tflite, f"{kind}Add{key}")(b, texts.get(key, value))
        table = getattr(tflite, f"{kind}End")(b)
    edges = _ints(b, inputs), _ints(b, outputs)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, codes.setdefault((name, custom), len(codes)))
    tflite.OperatorAddInputs(b, edges[0])
    tflite.OperatorAddOutputs(b, edges[1])
    if table is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, kind or ""))
        tflite.OperatorAddBuiltinOptions(b, table)
    return int(tflite.OperatorEnd(b))
