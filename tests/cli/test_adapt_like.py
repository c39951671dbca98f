"""`fxpgrad adapt --like`: a model is aligned with what it was made for before it is trained."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.importers.model_file import load_program
from fxpgrad.program.store import load, save
from tests.cli.small_models import adapt, assert_refused, call, write_data
from tests.data_folder import DATA, needs_data
from tests.importers.tflite_builder import TfliteBuilder
from tests.trainer.small_programs import image_program

RESNET = "mlperf_tiny/pretrainedResnet_quant.tflite"


@pytest.fixture
def data(tmp_path, classifier):
    return write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)


@needs_data(RESNET, "mlperf_tiny/ic01_eval.npz")
def test_a_model_is_aligned_with_what_it_was_made_for(tmp_path):
    with np.load(DATA / "mlperf_tiny" / "ic01_eval.npz") as arrays:
        usual, labels = arrays["x"].astype(np.int16), arrays["labels"]
    dim = (usual // 3 - 128).astype(np.int8)  # a sensor that sees a third of the light
    data = write_data(tmp_path / "d.npz", x=dim[:100], y=labels[:100])
    like = write_data(tmp_path / "l.npz", x=(usual[100:] - 128).astype(np.int8))
    model, plain, aligned = DATA / RESNET, tmp_path / "p.tflite", tmp_path / "a.tflite"
    options = ("--method", "exact_lp", "--steps", 10)
    without = adapt(model, data, plain, *options)
    report = adapt(model, data, aligned, *options, "--like", like)
    assert report["accuracy_before"] == without["accuracy_before"]
    assert report["accuracy_after"] > without["accuracy_after"] + 0.1
    evaluated = json.loads(call("evaluate", aligned, "--data", data, "--json").stdout)
    assert evaluated["accuracy"] == report["accuracy_after"]


def aligned(tmp_path, model, x, y, like, *options):
    data = write_data(tmp_path / "now.npz", x=x, y=y)
    like = write_data(tmp_path / "usual.npz", x=like)
    return call(
        "adapt", model, "--data", data, "-o", tmp_path / "o.fxp", "--steps", 3, "--like", like, *options
    )


def test_samples_that_the_model_does_not_take_are_refused_by_the_name_of_their_file(
    tmp_path, classifier, data
):
    for arrays, words in (
        ({"z": classifier.x}, "lacks the array 'x'"),
        ({"x": classifier.x[:, :2]}, "must have shape"),
        ({"x": classifier.real}, "must be int8; got float32"),
        ({"x": classifier.x[:0]}, "is empty"),
    ):
        like = write_data(tmp_path / "l.npz", **arrays)
        result = call("adapt", classifier.path, "--data", data, "-o", tmp_path / "o.fxp", "--like", like)
        assert_refused(result, "l.npz", words)
    result = aligned(
        tmp_path, classifier.path, classifier.real, classifier.y, classifier.real * np.nan, "--real"
    )
    assert_refused(result, "usual.npz", "NaN")
    result = call("adapt", classifier.path, "--data", data, "-o", tmp_path / "o.fxp", "--like", "none.npz")
    assert_refused(result, "none.npz")


def test_samples_that_say_nothing_about_layers_are_refused(tmp_path, classifier):
    x, y, path = classifier.x, classifier.y, classifier.path
    alike = np.repeat(x[:1], 30, axis=0)
    assert_refused(aligned(tmp_path, path, x, y, x[:7]), "at least 8 samples in like", "got 7")
    assert_refused(aligned(tmp_path, path, x[:7], y[:7], x), "at least 8 samples in x", "got 7")
    assert_refused(aligned(tmp_path, path, x, y, alike), "the samples in like are all the same")
    assert_refused(aligned(tmp_path, path, alike, y, x), "the samples in x are all the same")
    assert aligned(tmp_path, path, x[:8], y[:8], x[-8:]).exit_code == 0


def test_an_alignment_that_does_harm_is_refused_before_anything_is_written(tmp_path, classifier):
    trained = tmp_path / "t.fxp"
    data = write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)
    assert adapt(classifier.path, data, trained, "--method", "exact_lp")["accuracy_after"] > 0.9
    glare = np.random.default_rng(0).integers(120, 128, classifier.x.shape).astype(np.int8)
    result = aligned(tmp_path, trained, classifier.x, classifier.y, glare)
    assert_refused(result, "alignment lowers the accuracy on the data from", "or align nothing")
    assert not (tmp_path / "o.fxp").exists()


def test_forwards_of_an_alignment_are_counted(tmp_path, classifier, data):
    like = write_data(tmp_path / "l.npz", x=classifier.x)
    options = ("--steps", 3, "--epsilon", 0.03)
    plain = adapt(classifier.path, data, tmp_path / "p.fxp", *options)
    report = adapt(classifier.path, data, tmp_path / "a.fxp", *options, "--like", like)
    assert report["forwards"] == plain["forwards"] + 1  # one layer of four, twice


@pytest.mark.parametrize("method", ["affine", "exact_lp", "split_ft", "ff_lp"])
def test_every_method_trains_from_an_aligned_model(tmp_path, method):
    program, x, y = image_program(8)
    save(program, tmp_path / "m.fxp")
    like = np.clip(x.astype(np.int16) + 9, -128, 127).astype(np.int8)
    result = aligned(tmp_path, tmp_path / "m.fxp", x, y, like, "--method", method)
    assert result.exit_code == 0, result.stderr
    after = load(tmp_path / "o.fxp")
    names = [program.calls[0].constants[role] for role in ("bias", "multiplier")]
    for name in names:  # aligned, whatever is trained
        assert (after.constants[name].data != program.constants[name].data).any()


def test_an_interrupted_alignment_leaves_what_was_there(tmp_path, classifier, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "o.fxp").write_text("mine")
    monkeypatch.setattr("fxpgrad.experiments.adapt.align", interrupt)
    result = aligned(tmp_path, classifier.path, classifier.x, classifier.y, classifier.x)
    assert result.exit_code != 0
    assert (tmp_path / "o.fxp").read_text() == "mine"


def test_a_file_without_biases_is_aligned_by_its_scales(tmp_path):
    rng = np.random.default_rng(1)
    b = TfliteBuilder()
    x, conv, mean, y = b.input((1, 6, 6, 2)), b.tensor((1, 3, 3, 4)), b.tensor((1, 4)), b.tensor((1, 3))
    scales = [0.002, 0.002, 0.003, 0.004]
    filters = b.tensor((4, 3, 3, 2), scale=scales, zero_point=0, data=rng.integers(-99, 99, (4, 3, 3, 2)))
    b.operator("CONV_2D", [x, filters], conv, "Conv2DOptions", StrideH=2, StrideW=2)
    b.operator("MEAN", [conv, b.integers(1, 2)], mean, "ReducerOptions")
    weights = b.tensor((3, 4), scale=0.01, zero_point=0, data=rng.integers(-99, 99, (3, 4)))
    b.operator("FULLY_CONNECTED", [mean, weights, -1], y, "FullyConnectedOptions")
    b.outputs = [y]
    model, output = tmp_path / "m.tflite", tmp_path / "a.tflite"
    model.write_bytes(b.content())
    usual = rng.integers(-100, 100, (40, 6, 6, 2))
    like = write_data(tmp_path / "l.npz", x=usual.astype(np.int8))
    data = write_data(tmp_path / "d.npz", x=(usual // 2 + 20).astype(np.int8), y=np.arange(40) % 3)
    adapt(model, data, output, "--like", like, "--steps", 2, "--method", "exact_lp")
    before, after = (load_program(str(path), None) for path in (model, output))
    names = before.calls[0].constants
    np.testing.assert_array_equal(after.constants[names["bias"]].data, 0)
    assert (after.constants[names["weights"]].scale != before.constants[names["weights"]].scale).all()
