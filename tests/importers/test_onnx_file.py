"""What is read of an .onnx file, and that nothing in a file can do more than be refused."""

from __future__ import annotations

import builtins
import contextlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fxpgrad.errors import InputError, MissingExtraError, ModelFileError  # noqa: E402
from fxpgrad.importers.onnx_file import parse_onnx, read_onnx_file  # noqa: E402
from fxpgrad.importers.onnx_graph import import_onnx  # noqa: E402
from tests.importers.onnx_models import integers, model, node, value  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden"
SEEDS = [
    (GOLDEN / name).read_bytes()
    for name in ("onnx_qdq_int8_per_channel.onnx", "onnx_qdq_int8_per_tensor.onnx", "torch_network.onnx")
]
EXTENTS = (0, -1, 1, 2, 7, 100_000, 2**31, 2**62, -(2**63))


def relu(**changes: Any) -> Any:
    shape = changes.pop("shape", [None, 4])
    return model(
        [node("Relu", ["x"], ["y"])],
        [value("x", "float32", shape)],
        [value("y", "float32", shape)],
        changes.pop("constants", {}),
    )


def test_constants_of_every_type_and_encoding() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        dtype: rng.integers(0, 100, (2, 3)).astype(dtype)
        for dtype in (
            "int8",
            "uint8",
            "int16",
            "uint16",
            "int32",
            "int64",
            "float32",
            "float64",
            "float16",
            "bool",
        )
    }
    made = relu(constants=arrays)
    unpacked = onnx.helper.make_tensor("unpacked", onnx.TensorProto.INT8, [3], [-128, 0, 127])
    made.graph.initializer.append(unpacked)
    read = parse_onnx(made.SerializeToString()).constants
    for dtype, array in arrays.items():
        np.testing.assert_array_equal(read[dtype], array)
        assert read[dtype].dtype == array.dtype
    np.testing.assert_array_equal(read["unpacked"], np.array([-128, 0, 127], np.int8))


def test_tensors_in_other_files_are_read_from_the_models_folder_only(tmp_path: Path) -> None:
    weights = integers(np.random.default_rng(0), "int8", 300, 5)
    made = relu(constants={"w": weights})
    path = tmp_path / "net.onnx"
    onnx.save(made, path, save_as_external_data=True, location="net.data", size_threshold=0)
    np.testing.assert_array_equal(read_onnx_file(path).constants["w"], weights)
    with pytest.raises(ModelFileError, match="import the model by its path"):
        parse_onnx(path.read_bytes())
    for location in ("../net.data", "/etc/passwd", "absent.data"):
        twisted = onnx.load(path, load_external_data=False)
        twisted.graph.initializer[0].external_data[0].value = location
        path.write_bytes(twisted.SerializeToString())
        with pytest.raises(ModelFileError, match="model's folder"):
            read_onnx_file(path)


def cycle() -> Any:
    made = relu()
    made.graph.node[0].input[0] = "y2"
    made.graph.node.append(node("Relu", ["y"], ["y2"]))
    return made


def huge_constant() -> Any:
    made = relu(constants={"w": np.zeros(4, np.float32)})
    made.graph.initializer[0].dims[0] = 2**62
    return made


def subgraph() -> Any:
    made = relu()
    made.graph.node[0].attribute.append(onnx.helper.make_attribute("body", made.graph))
    return made


def old() -> Any:
    made = relu()
    made.opset_import[0].version = 5
    return made


BROKEN = {
    "a cycle": (cycle, "takes part in a cycle"),
    "a huge constant": (huge_constant, "elements; the limit"),
    "a subgraph": (subgraph, r"If, Loop, Scan"),
    "an old opset": (old, "opset 5 is too old"),
    "open extents": (lambda: relu(shape=[None, None]), "open extents besides the batch"),
    "a huge activation": (lambda: relu(shape=[None, 2**40]), "limit is"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_models_are_refused_by_name(case: str) -> None:
    make, message = BROKEN[case]
    with pytest.raises(ModelFileError, match=message):
        import_onnx(make().SerializeToString())


def test_files_that_are_no_models() -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        import_onnx("absent.onnx")
    for content in (b"", b"TFL3 or so", b"\x08\x01"):
        with pytest.raises(ModelFileError, match="ONNX model"):
            import_onnx(content)


def test_a_constant_that_is_not_in_the_model() -> None:
    with pytest.raises(InputError, match="no input or constant called 'z'"):
        import_onnx(relu().SerializeToString(), constants={"z": 1})


def test_the_extra_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'fxpgrad\[onnx\]'"):
        parse_onnx(b"")
    assert builtins.__import__ is not refuse


def imports_or_refuses(content: bytes) -> None:
    with contextlib.suppress(ModelFileError):
        import_onnx(content)


@given(data=st.data())
def test_mutated_bytes_are_refused_or_imported(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    imports_or_refuses(bytes(content))


@given(data=st.data())
def test_truncated_files_are_refused_or_imported(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(SEEDS))
    imports_or_refuses(content[: data.draw(st.integers(0, len(content)))])


@given(data=st.data())
def test_rewired_models_are_refused_or_imported(data: st.DataObject) -> None:
    made = onnx.load_from_string(data.draw(st.sampled_from(SEEDS)))
    graph = made.graph
    names = sorted({name for entry in graph.node for name in (*entry.input, *entry.output)})
    for _ in range(data.draw(st.integers(1, 3))):
        entry = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
        change = data.draw(st.sampled_from(["input", "output", "op", "attribute", "constant", "shape"]))
        if change in ("input", "output") and getattr(entry, change):
            field = getattr(entry, change)
            field[data.draw(st.integers(0, len(field) - 1))] = data.draw(st.sampled_from(names))
        elif change == "op":
            entry.op_type = data.draw(
                st.sampled_from(["Pad", "Slice", "Split", "Softmax", "MatMul", "Concat", "Shape"])
            )
        elif change == "attribute" and entry.attribute and entry.attribute[0].ints:
            entry.attribute[0].ints[0] = data.draw(st.sampled_from(EXTENTS))
        elif change == "constant" and graph.initializer[0].dims:
            graph.initializer[0].dims[0] = data.draw(st.sampled_from(EXTENTS))
        elif change == "shape":
            axes = graph.input[0].type.tensor_type.shape.dim
            axes[data.draw(st.integers(0, len(axes) - 1))].dim_value = data.draw(st.sampled_from(EXTENTS))
    imports_or_refuses(made.SerializeToString())
