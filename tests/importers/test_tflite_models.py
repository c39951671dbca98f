"""The shared model files: which are imported, with what structure, and how the others are refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.errors import ModelFileError
from fxpgrad.graph.check import check_graph
from fxpgrad.importers.tflite_file import read_tflite_file
from fxpgrad.importers.tflite_graph import import_tflite

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no folder {DATA}: the model files are not in this repository"
)
_IMAGE_NET = {"conv2d": 14, "depthwise_conv2d": 13, "average_pool2d": 1, "reshape": 1, "softmax": 1}
IMPORTED = {
    "mlperf_tiny/ad01_int8": {"fully_connected": 10},
    "mlperf_tiny/kws_ref_model": {
        "conv2d": 5,
        "depthwise_conv2d": 4,
        "average_pool2d": 1,
        "reshape": 1,
        "fully_connected": 1,
        "softmax": 1,
    },
    "mlperf_tiny/vww_96_int8": {**_IMAGE_NET, "fully_connected": 1},
    "mlperf_tiny/pretrainedResnet_quant": {
        "conv2d": 9,
        "add": 3,
        "average_pool2d": 1,
        "reshape": 1,
        "fully_connected": 1,
        "softmax": 1,
    },
    "tflm/person_detect": {**_IMAGE_NET, "depthwise_conv2d": 14},
    "tflm/hello_world_int8": {"fully_connected": 3},
    # its dense layer reads an image, flattened by a reshape that the file does not have
    "tflm/micro_speech_quantized": {"reshape": 2, "depthwise_conv2d": 1, "fully_connected": 1, "softmax": 1},
    "models/mobilenet_v2_224_int8_ptq": {
        "quantize": 2,
        "conv2d": 36,
        "depthwise_conv2d": 17,
        "add": 10,
        "mean": 1,
        "reshape": 1,
        "softmax": 1,
    },
}
FLOAT = "is float32; only integer models can be imported: quantize it fully"
REFUSED = {
    "mlperf_tiny/ad01_fp32": rf"tensor 0 \(input_1\) {FLOAT}",
    "mlperf_tiny/kws_ref_model_float32": rf"tensor 0 \(input_1\) {FLOAT}",
    "mlperf_tiny/pretrainedResnet": rf"tensor 0 \(input_1\) {FLOAT}",
    "mlperf_tiny/vww_96_float": rf"tensor 0 \(input_1\) {FLOAT}",
    "tflm/hello_world_float": rf"tensor 0 \(serving_default_dense_input:0\) {FLOAT}",
    "models/kwt1_speech_transformer_f32": rf"operator 10 \(SQRT\): tensor 206 \(speech_features.*\) {FLOAT}",
    "tflm/audio_preprocessor_int8": r"operator 0 \(CUSTOM SignalWindow\): it is not supported; supported: A",
    "tflm/mnist_lstm_int8": r"operator 0 \(UNIDIRECTIONAL_SEQUENCE_LSTM\): it is not supported; supported: A",
}


def test_every_model_file_is_accounted_for():
    found = {str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.tflite")}
    assert found == set(IMPORTED) | set(REFUSED)


@pytest.mark.parametrize("name", IMPORTED)
def test_integer_models_are_imported(name):
    path = DATA / f"{name}.tflite"
    model = import_tflite(path)
    check_graph(model.graph)
    assert Counter(node.op for node in model.graph.nodes) == IMPORTED[name]
    assert model.has_batch
    assert model.graph.name == path.stem


@pytest.mark.parametrize("name", IMPORTED)
def test_every_tensor_of_the_file_is_found_again(name):
    """By index: shape, type and scale of every activation; None exactly for constants."""
    path = DATA / f"{name}.tflite"
    model, file = import_tflite(path), read_tflite_file(path)
    for stored, found in zip(file.subgraphs[0].tensors, model.tensors, strict=True):
        if found is None:
            assert stored.data is not None
            continue
        tensor = model.graph.tensors[found]
        assert stored.data is None
        assert (1, *tensor.shape) == stored.shape
        assert tensor.unsigned == (stored.type == "UINT8")
        assert tensor.quantization is not None
        assert tensor.quantization.scale.tolist() == stored.scales.tolist()
        shift = 128 if tensor.unsigned else 0
        assert (tensor.quantization.zero_point + shift).tolist() == stored.zero_points.tolist()


@pytest.mark.parametrize("name", IMPORTED)
def test_constants_are_those_of_the_file(name):
    path = DATA / f"{name}.tflite"
    graph, file = import_tflite(path).graph, read_tflite_file(path)
    stored = {tensor.name: tensor for tensor in file.subgraphs[0].tensors}
    for node in graph.nodes:
        for role, tensor in graph.constants_of(node).items():
            if tensor.name not in stored:  # a bias that the file leaves out
                assert role == "bias"
                assert not np.any(tensor.data)
                continue
            assert tensor.data is not None
            data = stored[tensor.name].data
            assert data is not None
            assert tensor.data.tobytes() == data.tobytes()


@pytest.mark.parametrize("name", REFUSED)
def test_other_models_are_refused_by_name(name):
    with pytest.raises(ModelFileError, match=REFUSED[name]):
        import_tflite(DATA / f"{name}.tflite")
