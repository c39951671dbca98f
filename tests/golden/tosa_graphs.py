"""TOSA graphs for golden vectors: reads generated unit tests, appends RESCALE, runs the reference model.

Runs in the environment of tosa-tools (see make_tosa_conformance.py).
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from serializer.tosa_serializer import DType, TosaOp, TosaSerializer, TosaSerializerAttribute
from tosa import Attribute, Op, TosaGraph

Array = np.ndarray[Any, Any]
NUMPY = {DType.INT8: np.int8, DType.INT16: np.int16, DType.INT32: np.int32}
TOSA = {np.dtype(numpy): tosa for tosa, numpy in NUMPY.items()}
ROUNDINGS = {"single": 1, "inexact": 2, "double": 3}
# What of each operator's attribute table is kept.
FIELDS = {
    "RescaleAttribute": ("Scale32", "RoundingMode", "PerChannel", "InputUnsigned", "OutputUnsigned"),
    "Conv2dAttribute": ("Pad", "Stride", "Dilation"),
    "DepthwiseConv2dAttribute": ("Pad", "Stride", "Dilation"),
    "AvgPool2dAttribute": ("Kernel", "Stride", "Pad"),
    "MaxPool2dAttribute": ("Kernel", "Stride", "Pad"),
}


@dataclass(frozen=True)
class UnitTest:
    """A generated test of one operator: all its inputs in order, its attributes, what the model returns."""

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: list[Array]
    output: Array


def reference_model(folder: Path, description: dict[str, Any]) -> Array:
    """Run a test folder and return its one output."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "desc.json"
        files = {
            "tosa_file": str(folder / description["tosa_file"]),
            "ifm_file": [str(folder / name) for name in description["ifm_file"]],
            "ofm_file": [str(Path(scratch) / "out.npy")],
        }
        path.write_text(json.dumps(description | files))
        model = Path(sys.executable).with_name("tosa_reference_model")
        subprocess.run([model, f"--test_desc={path}", "--eval=1"], check=True, cwd=scratch)
        return np.load(Path(scratch) / "out.npy")


def read_unit_test(folder: Path) -> UnitTest:
    """Read a folder that tosa_verif_build_tests wrote, and run it."""
    description = json.loads((folder / "desc.json").read_text())
    graph = TosaGraph.TosaGraph.GetRootAs((folder / "test.tosa").read_bytes(), 0)
    block = graph.Regions(0).Blocks(0)
    files = dict(zip(description["ifm_name"], description["ifm_file"], strict=True))
    tensors = {}
    for i in range(block.TensorsLength()):
        tensor = block.Tensors(i)
        name = tensor.Name().decode()
        if name in files:
            tensors[name] = np.load(folder / files[name])
        elif tensor.DataLength():
            shape = [] if tensor.ShapeIsNone() else tensor.ShapeAsNumpy()
            data = tensor.DataAsNumpy().tobytes()
            dtype = np.dtype(NUMPY[tensor.Type()])
            count = int(np.prod(shape, dtype=np.int64))
            tensors[name] = np.frombuffer(data, dtype, count).reshape(shape)
    codes = {code: name for name, code in vars(Op.Op).items() if name.isupper()}
    (operator,) = [
        block.Operators(i)
        for i in range(block.OperatorsLength())
        if codes[block.Operators(i).Op()] not in ("CONST", "CONST_SHAPE")
    ]
    inputs = [tensors[operator.Inputs(i).decode()] for i in range(operator.InputsLength())]
    output = reference_model(folder, description)
    return UnitTest(folder.name, codes[operator.Op()], _attributes(operator), inputs, output)


def _attributes(operator: Any) -> dict[str, Any]:
    kinds = {code: name for name, code in vars(Attribute.Attribute).items() if name.endswith("Attribute")}
    kind = kinds[operator.AttributeType()]
    table = getattr(importlib.import_module(f"tosa.{kind}"), kind)()
    table.Init(operator.Attribute().Bytes, operator.Attribute().Pos)
    kept = {}
    for field in FIELDS.get(kind, ()):
        if hasattr(table, f"{field}AsNumpy"):
            kept[field.lower()] = getattr(table, f"{field}AsNumpy")().tolist()
        else:
            kept[field.lower()] = int(getattr(table, field)())
    return kept


class Graph:
    """Builds a TOSA graph and runs it."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.serializer = TosaSerializer(self.folder.name)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def input(self, values: Array) -> str:
        """Add an input and return its name."""
        tensor = self.serializer.addPlaceholder(list(values.shape), TOSA[values.dtype], values)
        return str(tensor.name)

    def constant(self, values: Any, dtype: Any) -> str:
        """Add a constant and return its name."""
        array = np.atleast_1d(np.asarray(values, dtype))
        return str(self.serializer.addConst(list(array.shape), TOSA[array.dtype], array).name)

    def operator(
        self,
        op: str,
        inputs: list[str],
        shape: tuple[int, ...],
        dtype: Any,
        last: bool = False,
        **fields: Any,
    ) -> str:
        """Add an operator with one output and return that output's name."""
        attribute = TosaSerializerAttribute()
        names = {
            "CONV2D": "Conv2d",
            "DEPTHWISE_CONV2D": "DepthwiseConv2d",
            "LOGICAL_LEFT_SHIFT": "LogicalLeftShift",
        }
        getattr(attribute, names.get(op, op.title()) + "Attribute")(**fields)
        add = self.serializer.addOutput if last else self.serializer.addIntermediate
        output = add(list(shape), TOSA[np.dtype(dtype)])
        self.serializer.addOperator(getattr(TosaOp.Op(), op), inputs, [output.name], attribute)
        return str(output.name)

    def rescale(
        self,
        source: str,
        types: tuple[Any, Any],
        pairs: tuple[Any, Any],
        zero_points: tuple[int, int],
        shape: tuple[int, ...],
        rounding: str,
        last: bool = False,
    ) -> str:
        """Add RESCALE with 32-bit multipliers and right shifts `pairs`, one or one a channel."""
        multiplier, shift = pairs
        inputs = [
            source,
            self.constant(multiplier, np.int32),
            self.constant(shift, np.int8),
            self.constant(zero_points[0], types[0]),
            self.constant(zero_points[1], types[1]),
        ]
        fields = {
            "scale32": True,
            "rounding_mode": ROUNDINGS[rounding],
            "per_channel": np.size(multiplier) > 1,
            "input_unsigned": False,
            "output_unsigned": False,
        }
        return self.operator("RESCALE", inputs, shape, types[1], last, **fields)

    def run(self) -> Array:
        """Return the output."""
        folder = Path(self.folder.name)
        (folder / "test.tosa").write_bytes(self.serializer.serialize())
        result = reference_model(folder, json.loads(self.serializer.writeJson("test.tosa")))
        self.folder.cleanup()
        return result
