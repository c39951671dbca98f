"""Models that remember: SVDF, and variables that are read and assigned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.importers.tflite_graph import import_tflite
from tests.importers.tflite_builder import TfliteBuilder


def svdf(
    *, batch: int = 1, state: str = "INT16", time: str = "INT16", variable: bool = True
) -> TfliteBuilder:
    builder = TfliteBuilder()
    x = builder.input((batch, 6))
    features = builder.tensor((8, 6), data=np.ones((8, 6)))
    times = builder.tensor((8, 3), time, data=np.ones((8, 3)))
    memory = builder.tensor((batch, 24), state, variable=variable, name="memory")
    y = builder.tensor((batch, 4))
    builder.operator(
        "SVDF", [x, features, times, -1, memory], y, "SVDFOptions", Rank=2, FusedActivationFunction=1
    )
    builder.outputs = [y]
    return builder


def test_svdf_has_a_variable():
    model = import_tflite(svdf().content())
    (node,) = model.graph.nodes
    assert (node.op, node.attributes) == ("svdf", {"rank": 2, "activation": "relu"})
    assert model.graph.variables == ("memory",)
    assert model.graph.tensors["memory"].shape == (24,)
    assert model.tensors[3] == "memory"


def test_svdf_in_a_network_of_whole_shapes_works_on_a_row():
    builder = svdf()
    z = builder.tensor((4, 1))
    builder.operator("TRANSPOSE", [4, builder.integers(1, 0)], z)
    model = import_tflite(builder.content(z))
    assert not model.has_batch
    assert [node.op for node in model.graph.nodes] == ["reshape", "svdf", "reshape", "transpose"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 2}, r"\[1, n\]"),
        ({"state": "INT8"}, "time weights are INT16, but its state is INT8"),
        ({"variable": False}, "variable tensor"),
    ],
)
def test_svdf_that_cannot_keep_a_state_is_refused(changes, words):
    with pytest.raises(ModelFileError, match=words):
        import_tflite(svdf(**changes).content())


class Streaming(TfliteBuilder):
    """y = x + v, with v a variable; steps are added by name."""

    def __init__(self, zero_point: int = 3, **value: Any) -> None:
        super().__init__()
        self.quantization = {"zero_point": zero_point, **value}
        self.x = self.input((1, 4), **self.quantization)
        self.handle = self.tensor((), "RESOURCE")
        self.operator("VAR_HANDLE", [], self.handle, "VarHandleOptions", SharedName="state")

    def read(self, **changes: Any) -> int:
        value = self.tensor((1, 4), **{**self.quantization, **changes})
        self.operator("READ_VARIABLE", [self.handle], value)
        return value

    def add(self, first: int, second: int) -> int:
        result = self.tensor((1, 4), **self.quantization)
        self.operator("ADD", [first, second], result, "AddOptions")
        return result

    def assign(self, value: int) -> None:
        self.operator("ASSIGN_VARIABLE", [self.handle, value], [])

    def start_at(self, value: Any, **constant: Any) -> None:
        """Let a CALL_ONCE set the variable to `value` everywhere."""
        self.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=1)
        self.start_subgraph()
        handle = self.tensor((), "RESOURCE")
        first = self.tensor((1, 4), data=np.full((1, 4), value), **{**self.quantization, **constant})
        self.operator("VAR_HANDLE", [], handle, "VarHandleOptions", SharedName="state")
        self.operator("ASSIGN_VARIABLE", [handle, first], [])


def test_a_variable_is_read_at_the_start_of_a_row_and_assigned_at_its_end():
    builder = Streaming()
    y = builder.add(builder.x, builder.read())
    builder.assign(y)
    model = import_tflite(builder.content(y))
    copy, add, assign = model.graph.nodes
    assert (copy.op, copy.inputs, add.op) == ("reshape", ("state",), "add")
    assert (assign.op, assign.inputs, assign.output) == ("assign", (add.output,), "state")
    assert model.graph.variables == ("state",)


def test_a_read_after_an_assignment_sees_the_new_value():
    builder = Streaming()
    builder.assign(builder.add(builder.x, builder.read()))
    y = builder.read()
    nodes = import_tflite(builder.content(y)).graph.nodes
    assert [node.op for node in nodes] == ["reshape", "add", "reshape", "assign"]
    assert nodes[2].inputs == (nodes[1].output,)


def test_a_variable_may_start_at_its_zero_point():
    builder = Streaming(zero_point=3)
    y = builder.read()
    builder.assign(builder.x)
    builder.start_at(3)
    assert import_tflite(builder.content(y)).graph.variables == ("state",)


@pytest.mark.parametrize(
    ("start", "words"), [(4, "starts at 4, but only its zero point, 3"), (range(4), "must start at its zero")]
)
def test_other_first_values_are_refused(start, words):
    builder = Streaming(zero_point=3)
    y = builder.read()
    builder.assign(builder.x)
    builder.start_at(np.array(start))
    with pytest.raises(ModelFileError, match=words):
        import_tflite(builder.content(y))


def test_a_first_value_that_is_computed_is_refused():
    builder = Streaming(zero_point=3)
    y = builder.read()
    builder.assign(builder.x)
    builder.start_at(3)
    builder.operator("RELU", [0], [0])
    with pytest.raises(ModelFileError, match="subgraph 1 holds RELU"):
        import_tflite(builder.content(y))


def test_variables_that_do_not_fit_are_refused():
    builder = Streaming()
    with pytest.raises(ModelFileError, match="no ASSIGN_VARIABLE ever sets it"):
        import_tflite(builder.content(builder.read()))
    builder = Streaming()
    builder.assign(builder.x)
    with pytest.raises(ModelFileError, match="differ in type, shape, scale or zero point"):
        import_tflite(builder.content(builder.read(scale=0.25)))
    builder = Streaming()
    builder.handle = builder.x
    with pytest.raises(ModelFileError, match="is no handle"):
        import_tflite(builder.content(builder.read()))
    builder = Streaming()
    builder.operator("CALL_ONCE", [], [], "CallOnceOptions", InitSubgraphIndex=7)
    with pytest.raises(ModelFileError, match="no subgraph 7"):
        import_tflite(builder.content(builder.x))
