"""Values written back into a .tflite file: only what was meant has changed, and it reads as it was meant."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.errors import ModelFileError

pytest.importorskip("tflite")

from fxpgrad.importers.model_file import program_from
from fxpgrad.importers.tflite_writer import LayerValues, layers_without_bias, write_layers
from fxpgrad.program.program import Program
from tests.data_folder import DATA, needs_data

RESNET = "mlperf_tiny/pretrainedResnet_quant.tflite"
needs_models = needs_data(RESNET)


def resnet() -> tuple[bytes, Program]:
    content = (DATA / RESNET).read_bytes()
    return content, program_from(content, "resnet.tflite")


def some_layer(program: Program, kernel: str):
    return next(call for call in program.calls if call.kernel.startswith(kernel))


@needs_models
def test_nothing_written_is_the_same_file():
    content, program = resnet()
    assert write_layers(content, {}) == content
    assert write_layers(content, {some_layer(program, "conv2d").name: LayerValues()}) == content


@needs_models
def test_written_values_are_what_the_file_then_gives():
    content, program = resnet()
    call = some_layer(program, "conv2d")
    rng = np.random.default_rng(0)
    weights = program.constants[call.constants["weights"]]
    bias = program.constants[call.constants["bias"]]
    new = LayerValues(
        rng.integers(-127, 128, weights.data.shape).astype(np.int8),
        rng.integers(-999, 999, bias.data.shape).astype(np.int32),
        rng.uniform(0.5, 1.5, bias.data.shape),
    )
    again = program_from(write_layers(content, {call.name: new}), "resnet.tflite")
    np.testing.assert_array_equal(again.constants[weights.name].data, new.weights)
    np.testing.assert_array_equal(again.constants[bias.name].data, new.bias)
    scale = (weights.scale * new.gain).astype(np.float32)
    np.testing.assert_array_equal(again.constants[weights.name].scale, scale)
    others = {name for name in program.constants if not name.startswith(call.name)}
    for name in others:
        np.testing.assert_array_equal(again.constants[name].data, program.constants[name].data)
    before, after = (
        p.constants[call.constants["multiplier"]].data * np.exp2(p.constants[call.constants["shift"]].data)
        for p in (program, again)
    )
    np.testing.assert_allclose(after, before * new.gain, rtol=1e-6)


@needs_models
def test_a_layer_with_one_scale_takes_one_gain():
    content, program = resnet()
    call = some_layer(program, "fully_connected")
    again = program_from(write_layers(content, {call.name: LayerValues(gain=np.array([2.0]))}), "r.tflite")
    weights = program.constants[call.constants["weights"]]
    np.testing.assert_array_equal(again.constants[weights.name].scale, 2 * weights.scale)
    with pytest.raises(ModelFileError, match="has 1 weight scales; got 10 gains"):
        write_layers(content, {call.name: LayerValues(gain=np.ones(10))})


@needs_models
def test_what_does_not_fit_is_refused_by_name():
    content, program = resnet()
    call = some_layer(program, "conv2d")
    with pytest.raises(ModelFileError, match="no layer called nothing"):
        write_layers(content, {"nothing": LayerValues()})
    with pytest.raises(ModelFileError, match="holds 16 INT32; got 3 int32"):
        write_layers(content, {call.name: LayerValues(bias=np.zeros(3, np.int32))})
    with pytest.raises(ModelFileError, match="range of float32"):
        write_layers(content, {call.name: LayerValues(gain=np.full(16, 1e300))})
    assert layers_without_bias(content) == frozenset()
