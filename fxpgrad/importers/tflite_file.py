"""Read a .tflite file into plain data, trusting nothing that it says.

The flatbuffers runtime does not verify a file: an offset may point anywhere and a vector may claim any
length. Here every length is checked against the file before anything is made of it, and the lengths of all
vectors together must stay below four times the file's size, so that time and memory are linear in the file
however its parts overlap.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import MissingExtraError, ModelFileError
from fxpgrad.importers.file_bytes import LARGEST_FILE, read_file_bytes
from fxpgrad.importers.tflite_model import (
    BITS,
    HIGHEST_RANK,
    LARGEST_TOTAL,
    MOST_EDGES,
    MOST_OPERATORS,
    MOST_SUBGRAPHS,
    MOST_TENSORS,
    TfliteModel,
    TfliteOperator,
    TfliteSubgraph,
    TfliteTensor,
)
from fxpgrad.importers.tflite_options import OPTIONS
from fxpgrad.importers.tflite_tables import CheckedTables

_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
# What corrupt offsets make the runtime raise; each becomes one ModelFileError.
_CORRUPT = (struct.error, IndexError, TypeError, ValueError, OverflowError, AttributeError)
# A table without fields: reading an options table here gives the schema's defaults.
_EMPTY_TABLE = struct.pack("<HHi", 4, 4, 4)
_EMPTY_TABLE_AT = 4
# Where text fields stand in their tables (4 + 2 * the field's number in the schema).
_TENSOR_NAME, _CUSTOM_CODE, _SUBGRAPH_NAME, _DESCRIPTION = 10, 6, 12, 10
_TEXT_OPTIONS = {"Container": 4, "SharedName": 6}


def read_tflite_file(path: str | Path) -> TfliteModel:
    """Read the model at `path`.

    Raises
    ------
    ModelFileError
        The file cannot be read, is larger than 1 GiB, or is not a well-formed TFLite model.
    MissingExtraError
        The packages `tflite` and `flatbuffers` are not installed.
    """
    return parse_tflite(read_file_bytes(path, LARGEST_FILE))


def parse_tflite(content: bytes) -> TfliteModel:
    """Turn the bytes of a .tflite file into plain data.

    Parameters
    ----------
    content : bytes
        At most 1 GiB. Constants of the result are views into it.

    Raises
    ------
    ModelFileError
        The bytes are not a well-formed TFLite model, or beyond the limits of `tflite_model`.
    MissingExtraError
        The packages `tflite` and `flatbuffers` are not installed.
    """
    schema = _schema()
    if len(content) > LARGEST_FILE:
        raise ModelFileError(f"the model has {len(content)} bytes; the limit is {LARGEST_FILE}")
    if content[4:8] != _IDENTIFIER:
        raise ModelFileError(
            f"this is not a TFLite model: bytes 4 to 8 must be {_IDENTIFIER!r}; got {content[4:8]!r}"
        )
    try:
        return _Reader(bytes(content), 4 * len(content) + 65_536, schema).model()
    except ModelFileError:
        raise
    except _CORRUPT as error:
        raise ModelFileError(
            f"the TFLite model is corrupt: an offset points outside the file ({error}); "
            f"copy or export it again"
        ) from error


def _schema() -> ModuleType:
    try:
        import tflite  # noqa: PLC0415 - an extra, which brings flatbuffers
        import tflite.utils  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "reading .tflite files needs the packages tflite and flatbuffers: pip install 'fxpgrad[tflite]'"
        ) from error
    module: ModuleType = tflite
    return module


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass(slots=True)
class _Reader(CheckedTables):
    """Reads one file."""

    schema: Any
    total_bits: int = 0
    tensors_left: int = MOST_TENSORS
    operators_left: int = MOST_OPERATORS
    edges_left: int = MOST_EDGES
    types: dict[int, str] = field(default_factory=dict)
    option_codes: dict[str, int] = field(default_factory=dict)
    codes: dict[int, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        types = vars(self.schema.TensorType)
        self.types = {code: name for name, code in types.items() if isinstance(code, int)}
        codes = vars(self.schema.BuiltinOptions)
        self.option_codes = {name: code for name, code in codes.items() if isinstance(code, int)}

    def model(self) -> TfliteModel:
        root = self.schema.Model.GetRootAs(self.content, 0)
        if root.Version() != _SCHEMA_VERSION:
            raise ModelFileError(
                f"the model has schema version {root.Version()}; only {_SCHEMA_VERSION} is known"
            )
        count = self.count(root, "Subgraphs", 4, MOST_SUBGRAPHS)
        if count == 0:
            raise ModelFileError("the model has no subgraph, so there is nothing to run; export it again")
        subgraphs = tuple(self.subgraph(root, root.Subgraphs(i)) for i in range(count))
        return TfliteModel(self.text(root, _DESCRIPTION) or "", subgraphs, len(self.content))

    def subgraph(self, root: Any, table: Any) -> TfliteSubgraph:
        tensor_count = self.count(table, "Tensors", 4, self.tensors_left)
        self.tensors_left -= tensor_count
        operator_count = self.count(table, "Operators", 4, self.operators_left)
        self.operators_left -= operator_count
        tensors = tuple(self.tensor(root, table.Tensors(i), i) for i in range(tensor_count))
        operators = tuple(self.operator(root, table.Operators(i), i) for i in range(operator_count))
        inputs, outputs = self.ints(table, "Inputs"), self.ints(table, "Outputs")
        for what, places, least in (
            *((f"{operator.label} reads", operator.inputs, -1) for operator in operators),
            *((f"{operator.label} writes", operator.outputs, 0) for operator in operators),
            ("the model's inputs name", inputs, 0),
            ("the model's outputs name", outputs, 0),
        ):
            for place in places:
                if not least <= place < tensor_count:
                    raise ModelFileError(
                        f"the TFLite model is corrupt: {what} tensor {place}, but there are {tensor_count}"
                    )
        return TfliteSubgraph(self.text(table, _SUBGRAPH_NAME) or "", tensors, operators, inputs, outputs)

    def tensor(self, root: Any, table: Any, index: int) -> TfliteTensor:
        name = self.text(table, _TENSOR_NAME) or f"tensor_{index}"
        code = table.Type()
        if code not in self.types:
            raise ModelFileError(f"tensor {index} ({name}) has the unknown type code {code}")
        shape, signature = self.ints(table, "Shape"), self.ints(table, "ShapeSignature")
        if len(shape) > HIGHEST_RANK or min(shape, default=0) < 0:
            raise ModelFileError(
                f"tensor {index} ({name}) must have at most {HIGHEST_RANK} axes of extent >= 0; "
                f"got {list(shape[: HIGHEST_RANK + 1])}"
            )
        if signature and len(signature) != len(shape):
            raise ModelFileError(f"tensor {index} ({name}): shape and shape_signature differ in rank")
        scales, zero_points, axis = self.quantization(table, index, name)
        tensor = TfliteTensor(
            index=index,
            name=name,
            shape=shape,
            dynamic=tuple(axis for axis, extent in enumerate(signature) if extent == -1),
            type=self.types[code],
            scales=scales,
            zero_points=zero_points,
            quantized_dimension=axis,
            data=self.data(root, table, index, name),
            is_variable=bool(table.IsVariable()),
            is_sparse=table.Sparsity() is not None,
        )
        self.check_size(tensor)
        return tensor

    def check_size(self, tensor: TfliteTensor) -> None:
        """Refuse tensors beyond the limit, and constants that do not fill their shape."""
        where = f"tensor {tensor.index} ({tensor.name})"
        bits = BITS.get(tensor.type, 0) * tensor.elements
        self.total_bits += bits
        if self.total_bits > 8 * LARGEST_TOTAL:
            raise ModelFileError(
                f"{where} of shape {list(tensor.shape)} takes the model's tensors beyond {LARGEST_TOTAL} "
                f"bytes, the limit; use a smaller input or batch"
            )
        if tensor.data is not None and tensor.type in BITS and not tensor.is_sparse:
            needed = -(-bits // 8)
            if tensor.data.size != needed:
                raise ModelFileError(
                    f"{where} of type {tensor.type} and shape {list(tensor.shape)} needs {needed} bytes, "
                    f"but its buffer holds {tensor.data.size}; export the model again"
                )

    def quantization(
        self, table: Any, index: int, name: str
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        parameters = table.Quantization()
        if parameters is None:
            return np.zeros(0), np.zeros(0, np.int64), 0
        if parameters.DetailsType() != 0:
            raise ModelFileError(
                f"tensor {index} ({name}) has a custom quantization; only scale and zero point are supported"
            )
        with np.errstate(invalid="ignore"):  # a signalling NaN; refused where the scale is used
            scales = self.vector(parameters, "Scale", 4).astype(np.float64)
        zero_points = self.vector(parameters, "ZeroPoint", 8).astype(np.int64)
        if zero_points.size == 0:
            zero_points = np.zeros(scales.size, np.int64)
        if scales.size == 0:  # min and max alone say nothing that a kernel uses
            zero_points = zero_points[:0]
        if zero_points.size not in (1, scales.size):
            raise ModelFileError(
                f"tensor {index} ({name}) has {scales.size} scales but {zero_points.size} zero points"
            )
        return scales, np.broadcast_to(zero_points, scales.shape), int(parameters.QuantizedDimension())

    def data(self, root: Any, table: Any, index: int, name: str) -> NDArray[np.uint8] | None:
        """Return the tensor's bytes, or None if its buffer is empty."""
        number, count = table.Buffer(), root.BuffersLength()
        if number == 0 and count == 0:
            return None
        if number >= count or 4 * count > len(self.content):
            raise ModelFileError(
                f"the TFLite model is corrupt: tensor {index} ({name}) has buffer {number} of {count}"
            )
        buffer = root.Buffers(number)
        if buffer.Offset() > 1 or buffer.Size() > 1:
            raise ModelFileError(
                f"tensor {index} ({name}) keeps its values outside the model's own data (a file above 2 GB); "
                f"this is not supported"
            )
        array = buffer.DataAsNumpy()
        return array if isinstance(array, np.ndarray) and array.size else None

    def operator(self, root: Any, table: Any, index: int) -> TfliteOperator:
        name, version = self.operator_code(root, table.OpcodeIndex(), index)
        inputs, outputs = self.ints(table, "Inputs"), self.ints(table, "Outputs")
        self.edges_left -= len(inputs) + len(outputs)
        if self.edges_left < 0:
            raise ModelFileError(
                f"the model's operators have more than {MOST_EDGES} inputs and outputs, the limit"
            )
        return TfliteOperator(
            index=index,
            name=name,
            version=version,
            inputs=inputs,
            outputs=outputs,
            options=self.options(table, name, index),
            intermediates=self.ints(table, "Intermediates"),
        )

    def operator_code(self, root: Any, number: int, index: int) -> tuple[str, int]:
        """Return the name and version of an entry in the model's list of operators in use."""
        if number in self.codes:
            return self.codes[number]
        count = root.OperatorCodesLength()
        if number >= count or 4 * count > len(self.content):
            raise ModelFileError(
                f"the TFLite model is corrupt: operator {index} has code {number}, but there are {count}"
            )
        code = root.OperatorCodes(number)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = self.schema.utils.BUILTIN_OPCODE2NAME.get(builtin)
        if name is None:
            raise ModelFileError(f"operator {index} has the unknown code {builtin}")
        if name == "CUSTOM":
            name = f"CUSTOM {self.text(code, _CUSTOM_CODE) or ''}".strip()
        self.codes[number] = name, int(code.Version())
        return self.codes[number]

    def options(self, table: Any, name: str, index: int) -> dict[str, Any]:
        """Return the fields of the operator's options table, with the schema's defaults."""
        if name not in OPTIONS:
            return {}
        kind, fields = OPTIONS[name]
        stored = table.BuiltinOptionsType()
        union = table.BuiltinOptions() if stored else None
        if union is not None and stored != self.option_codes[kind]:
            raise ModelFileError(
                f"the TFLite model is corrupt: operator {index} ({name}) carries options of code {stored} "
                f"instead of {kind}"
            )
        options = getattr(self.schema, kind)()
        if union is None:
            options.Init(_EMPTY_TABLE, _EMPTY_TABLE_AT)
        else:
            options.Init(union.Bytes, union.Pos)
        return {
            _snake(item): self.text(options, _TEXT_OPTIONS[item])
            if item in _TEXT_OPTIONS
            else getattr(options, item)()
            for item in fields
        }
