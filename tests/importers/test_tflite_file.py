"""Reading .tflite files: what is read, and what is refused before anything is made of it."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import MissingExtraError, ModelFileError
from fxpgrad.importers import tflite_model
from fxpgrad.importers.tflite_file import parse_tflite, read_tflite_file
from tests.importers.tflite_builder import TfliteBuilder


def small_model(**pool: int) -> TfliteBuilder:
    builder = TfliteBuilder()
    x = builder.input((1, 4, 4, 2), scale=0.25, zero_point=-3)
    y = builder.tensor((1, 2, 2, 2), scale=0.25, zero_point=-3)
    builder.operator("MAX_POOL_2D", [x], y, "Pool2DOptions", **pool)
    builder.outputs = [y]
    return builder


def test_fields_and_schema_defaults_are_read():
    model = parse_tflite(small_model(StrideW=2, FilterHeight=3).content())
    (operator,) = model.subgraphs[0].operators
    assert (operator.name, operator.inputs, operator.outputs) == ("MAX_POOL_2D", (0,), (1,))
    assert operator.options == {
        "padding": 0,
        "stride_w": 2,
        "stride_h": 0,
        "filter_width": 0,
        "filter_height": 3,
        "fused_activation_function": 0,
    }
    tensor = model.subgraphs[0].tensors[0]
    assert (tensor.shape, tensor.type, tensor.name, tensor.data) == ((1, 4, 4, 2), "INT8", "t0", None)
    assert (tensor.scales.tolist(), tensor.zero_points.tolist()) == ([0.25], [-3])


def test_options_that_are_left_out_have_the_schema_defaults():
    builder = TfliteBuilder()
    x = builder.input((1, 2))
    builder.operator("CONV_2D", [x, x], x)
    (operator,) = parse_tflite(builder.content(x)).subgraphs[0].operators
    assert operator.options["dilation_h_factor"] == 1
    assert operator.options["padding"] == 0


def test_constants_are_views_of_the_file():
    builder = TfliteBuilder()
    data = np.arange(-3, 3)
    index = builder.tensor((2, 3), data=data)
    model = parse_tflite(builder.content(index))
    stored = model.subgraphs[0].tensors[index].data
    assert stored is not None
    assert stored.view(np.int8).tolist() == data.tolist()
    assert not stored.flags.owndata


def test_open_extents_are_kept_apart_from_the_shape():
    builder = TfliteBuilder()
    builder.input((1, 5), signature=(-1, 5))
    (tensor,) = parse_tflite(builder.content(0)).subgraphs[0].tensors
    assert (tensor.shape, tensor.dynamic) == ((1, 5), (0,))


def test_custom_operators_keep_their_name():
    builder = TfliteBuilder()
    x = builder.input((1, 2))
    builder.operator("CUSTOM", [x], x, custom="Beamformer")
    assert parse_tflite(builder.content(x)).subgraphs[0].operators[0].name == "CUSTOM Beamformer"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: b"", "not a TFLite model"),
        (lambda c: c[:4] + b"ONNX" + c[8:], "not a TFLite model"),
        (lambda c: c[: len(c) // 2], "corrupt"),
        (lambda c: struct.pack("<I", 2**31) + c[4:], "corrupt"),
    ],
)
def test_a_file_that_is_no_model_is_refused(change, words):
    with pytest.raises(ModelFileError, match=words):
        parse_tflite(change(small_model().content()))


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ({"shape": (1,) * 9}, "at most 8 axes"),
        ({"shape": (1, -4)}, "extent >= 0"),
        ({"shape": (2**31 - 1,) * 8}, "the limit"),
        ({"shape": (2**16, 2**16)}, "the limit"),
        ({"shape": (3,), "data": b"12"}, "needs 3 bytes, but its buffer holds 2"),
        ({"shape": (2,), "dtype": "INT32", "data": b"1234567"}, "needs 8 bytes"),
        ({"shape": (2,), "scale": [0.5, 0.5], "zero_point": [1, 2, 3]}, "2 scales but 3 zero points"),
        ({"shape": (1, 2), "signature": (1,)}, "differ in rank"),
    ],
)
def test_impossible_tensors_are_refused_by_name(tensor, words):
    builder = small_model()
    builder.tensor(name="the_tensor", **tensor)
    with pytest.raises(ModelFileError, match=words) as caught:
        parse_tflite(builder.content())
    assert "the_tensor" in str(caught.value)


def test_indices_beyond_the_tensors_are_refused():
    builder = small_model()
    builder.operator("RELU", [7], [1])
    with pytest.raises(ModelFileError, match=r"operator 1 \(RELU\) reads tensor 7, but there are 2"):
        parse_tflite(builder.content())


def test_options_of_another_operator_are_refused():
    builder = TfliteBuilder()
    x = builder.input((1, 2))
    builder.operator("CONV_2D", [x, x], x, "Pool2DOptions", StrideW=1)
    with pytest.raises(ModelFileError, match="instead of Conv2DOptions"):
        parse_tflite(builder.content(x))


@pytest.mark.parametrize("limit", ["MOST_TENSORS", "MOST_OPERATORS"])
def test_more_entries_than_the_limit_are_refused(limit):
    builder = TfliteBuilder()
    x = builder.input((1, 2))
    for _ in range(getattr(tflite_model, limit) + 1):
        if limit == "MOST_TENSORS":
            builder.tensor((1, 2))
        else:
            builder.operator("RELU", [x], x)
    with pytest.raises(ModelFileError, match="the limit is 4096"):
        parse_tflite(builder.content(x))


def test_more_edges_than_the_limit_are_refused():
    builder = TfliteBuilder()
    x = builder.input((1, 2))
    for _ in range(70):
        builder.operator("CONCATENATION", [x] * 1000, x)
    with pytest.raises(ModelFileError, match="more than 65536 inputs and outputs"):
        parse_tflite(builder.content(x))


def test_overlapping_vectors_cannot_multiply_the_work():
    """Many operators that share one long vector of inputs: as many reads as the file has bytes, squared."""
    content = bytearray(shared_vector_file())
    with pytest.raises(ModelFileError, match="overlap"):
        parse_tflite(bytes(content))


def shared_vector_file() -> bytes:
    import flatbuffers
    import tflite

    b = flatbuffers.Builder(1024)
    shared = b.CreateNumpyVector(np.zeros(1_000, np.int32))
    operators = []
    for _ in range(100):
        tflite.OperatorStart(b)
        tflite.OperatorAddInputs(b, shared)
        operators.append(tflite.OperatorEnd(b))

    def tables(offsets: list[int]) -> int:
        b.StartVector(4, len(offsets), 4)
        for offset in offsets:
            b.PrependUOffsetTRelative(offset)
        return int(b.EndVector())

    vector = tables(operators)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddOperators(b, vector)
    graphs = tables([tflite.SubGraphEnd(b)])
    tflite.OperatorCodeStart(b)
    codes = tables([tflite.OperatorCodeEnd(b)])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddOperatorCodes(b, codes)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def test_a_path_is_read_and_a_missing_one_refused(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(small_model().content())
    assert len(read_tflite_file(path).subgraphs[0].tensors) == 2
    for wrong in (tmp_path / "none.tflite", tmp_path, "a\0b", "/dev/zero"):
        with pytest.raises(ModelFileError, match="cannot read"):
            read_tflite_file(wrong)


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(small_model().content())
    monkeypatch.setattr("fxpgrad.importers.tflite_file.LARGEST_FILE", 64)
    with pytest.raises(ModelFileError, match="larger than 64 bytes"):
        read_tflite_file(path)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    content = small_model().content()
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingExtraError, match=r"fxpgrad\[tflite\]"):
        parse_tflite(content)
