"""Small ONNX models, built by hand, and ONNX Runtime to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Array = NDArray[Any]
MICROSOFT = "com.microsoft"
_TYPES = {
    "float32": TensorProto.FLOAT,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}


def value(name: str, dtype: str, shape: Sequence[int | str | None]) -> Any:
    return helper.make_tensor_value_info(name, _TYPES[dtype], list(shape))


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    domain, _, name = op.rpartition(".")
    return helper.make_node(name, list(inputs), list(outputs), domain=domain, **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Mapping[str, Any],
    opset: int = 17,
) -> Any:
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(list(nodes), "net", list(inputs), list(outputs), tensors)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    made = helper.make_model(graph, opset_imports=imports)
    made.ir_version = 9
    return made


def run(made: Any, feed: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
    """Run a model in ONNX Runtime, one thread; int8 activations stay int8 in its QDQ fusions."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    known = {entry.name for entry in made.graph.output}
    wider = onnx.ModelProto()
    wider.CopyFrom(made)
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in known)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = ort.InferenceSession(wider.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = [*(entry.name for entry in made.graph.output), *(name for name in outputs if name not in known)]
    return dict(zip(wanted, session.run(wanted, dict(feed)), strict=True))


def scales(rng: np.random.Generator, count: int, ties: bool) -> list[np.float32]:
    """Powers of two, which make exact ties, or any scales."""
    if ties:
        return [np.float32(2.0 ** -int(rng.integers(3, 8))) for _ in range(count)]
    return [np.float32(scale) for scale in rng.uniform(0.004, 0.1, count)]


def integers(rng: np.random.Generator, dtype: str, *shape: int) -> Array:
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def zero_point(rng: np.random.Generator, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    centre = (limits.min + limits.max + 1) // 2
    return np.array(rng.integers(centre - 20, centre + 21), dtype)
