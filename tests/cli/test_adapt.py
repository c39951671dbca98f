"""`fxpgrad adapt` writes a model that is better on the data, and the same for the same seed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fxpgrad.errors import TrainingError
from fxpgrad.importers.model_file import load_program
from fxpgrad.program.head import ACCUMULATORS
from fxpgrad.program.store import load, save
from fxpgrad.trainer.watch import Watch
from tests.cli.small_models import adapt, assert_refused, call, write_data
from tests.data_folder import DATA, needs_data


@pytest.fixture
def data(tmp_path, classifier):
    return write_data(tmp_path / "d.npz", x=classifier.x, y=classifier.y)


@pytest.mark.parametrize("method", ["ff_lp", "ff_ft"])
def test_adapting_lowers_the_loss_and_keeps_the_form(tmp_path, classifier, data, method):
    output = tmp_path / "out.fxp"
    options = ("--method", method, "--steps", 60, "--epsilon", 0.02, "--learning-rate", 0.05)
    report = adapt(classifier.path, data, output, *options)
    assert report["head"] == "linear"
    assert report["steps"] == 60
    assert report["forwards"] == 60 * 2 * 3
    assert report["loss_last"] < report["loss_first"]
    assert report["accuracy_after"] > report["accuracy_before"]
    assert report["scratch_bytes"] > 0
    adapted = load(output)
    assert adapted.outputs == classifier.program.outputs
    assert adapted.calls == classifier.program.calls
    assert adapted.constants_sha256() == report["weights_sha256"]
    changed = {
        name
        for name, constant in adapted.constants.items()
        if not np.array_equal(constant.data, classifier.program.constants[name].data)
    }
    head = {name for name in changed if name.startswith("logits/")}
    assert head
    assert (changed == head) == (method == "ff_lp")
    evaluated = json.loads(call("evaluate", output, "--data", data, "--json").stdout)
    assert evaluated["accuracy"] == report["accuracy_after"]


def test_same_seed_gives_the_same_file_and_another_seed_another(tmp_path, classifier, data):
    files = [tmp_path / f"{name}.fxp" for name in "abc"]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        adapt(classifier.path, data, path, "--steps", 5, "--seed", seed, "--batch", 10)
    contents = [path.read_bytes() for path in files]
    assert contents[0] == contents[1] != contents[2]


def test_features_get_a_prototype_classifier_of_the_data(tmp_path, features):
    data = write_data(tmp_path / "r.npz", x=features.real, y=features.y)
    output = tmp_path / "out.fxp"
    report = adapt(features.path, data, output, "--real", "--steps", 3)
    assert report["head"] == "prototypes"
    assert report["accuracy_before"] > 0.9
    assert load(output).outputs == (ACCUMULATORS,)


def test_distance_scale_of_the_metadata_scales_the_prototypes(tmp_path, features):
    data = write_data(tmp_path / "d.npz", x=features.x, y=features.y)
    losses = []
    for scale in ("1.0", "0.5"):
        save(dataclasses.replace(features.program, metadata={"distance_scale": scale}), tmp_path / "m.fxp")
        losses.append(adapt(tmp_path / "m.fxp", data, tmp_path / "o.fxp", "--steps", 1)["loss_first"])
    assert losses[0] < losses[1]
    for scale in ("many", "-1", "nan"):
        save(dataclasses.replace(features.program, metadata={"distance_scale": scale}), tmp_path / "m.fxp")
        result = call("adapt", tmp_path / "m.fxp", "--data", data, "-o", tmp_path / "p.fxp")
        assert_refused(result, "distance_scale")


def test_training_that_harms_is_said_aloud(tmp_path, features):
    data = write_data(tmp_path / "d.npz", x=features.x, y=features.y)
    options = ("--method", "ff_ft", "--steps", 10, "--learning-rate", 1.0, "--json")
    result = call("adapt", features.path, "--data", data, "-o", tmp_path / "o.fxp", *options)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["accuracy_after"] < report["accuracy_before"]
    assert result.stderr.startswith("fxpgrad: warning: the accuracy on the data fell")


def test_table_shows_losses_and_accuracies(tmp_path, classifier, data):
    result = call("adapt", classifier.path, "--data", data, "-o", tmp_path / "out.fxp", "--steps", 2)
    assert result.exit_code == 0
    assert "→" in result.stdout
    assert load(tmp_path / "out.fxp").constants_sha256() in result.stdout


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--steps", 0], "steps"),
        (["--batch", 31], "batch must be in 1..30"),
        (["--batch", 0], "batch must be in 1..30"),
        (["--epsilon", 0], "epsilon"),
        (["--epsilon", 1e-12], "epsilon"),
        (["--learning-rate", "nan"], "learning_rate"),
        (["--learning-rate", 1e9], "learning rate"),
        (["--directions", 0], "num_directions"),
        (["--seed", -1], "seed"),
        (["--form", "paper", "--distribution", "rademacher"], "paper"),
        (["--method", "magic"], "magic"),
    ],
)
def test_bad_settings_are_refused_and_what_was_there_stays(tmp_path, classifier, data, options, word):
    output = tmp_path / "out.fxp"
    output.write_bytes(b"precious")
    assert_refused(call("adapt", classifier.path, "--data", data, "-o", output, *options), word)
    assert output.read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == [data, output]


def test_head_that_the_model_does_not_have_is_refused(tmp_path, features):
    data = write_data(tmp_path / "d.npz", x=features.x, y=features.y)
    result = call("adapt", features.path, "--data", data, "-o", tmp_path / "o.fxp", "--head", "linear")
    assert_refused(result, "prototypes")


def test_label_without_samples_is_refused_for_prototypes(tmp_path, features):
    data = write_data(tmp_path / "d.npz", x=features.x, y=features.y * 2)
    result = call("adapt", features.path, "--data", data, "-o", tmp_path / "o.fxp")
    assert_refused(result, "every class")


def test_adapting_an_adapted_prototype_classifier_trains_its_head(tmp_path, features):
    data = write_data(tmp_path / "d.npz", x=features.x, y=features.y)
    adapt(features.path, data, tmp_path / "a.fxp", "--steps", 1)
    assert adapt(tmp_path / "a.fxp", data, tmp_path / "b.fxp", "--steps", 1)["head"] == "linear"
    result = call(
        *("adapt", tmp_path / "a.fxp", "--data", data, "-o", tmp_path / "c.fxp", "--head", "prototypes")
    )
    assert_refused(result, "int8 features")


RESNET = "mlperf_tiny/pretrainedResnet_quant.tflite"


@needs_data(RESNET, "mlperf_tiny/ic01_eval.npz")
def test_a_tflite_file_learns_and_stays_the_file_that_it_was(tmp_path):
    pytest.importorskip("tflite")
    with np.load(DATA / "mlperf_tiny" / "ic01_eval.npz") as arrays:
        dark = (arrays["x"][:60] // 2).astype(np.int16) - 128  # a sensor that sees half of the light
        data = write_data(tmp_path / "d.npz", x=dark.astype(np.int8), y=arrays["labels"][:60])
    model, output = DATA / RESNET, tmp_path / "a.tflite"
    report = adapt(model, data, output, "--forwards", 160, "--batch", 60)
    assert report["method"] == "affine"
    assert report["accuracy_after"] > report["accuracy_before"]
    assert len(output.read_bytes()) == model.stat().st_size
    evaluated = json.loads(call("evaluate", output, "--data", data, "--json").stdout)
    assert evaluated["accuracy"] == report["accuracy_after"]
    before, after = load_program(model), load_program(output)
    assert after.calls == before.calls
    for call_ in before.calls:
        if call_.kernel.startswith("conv2d"):
            name = call_.constants["weights"]
            np.testing.assert_array_equal(after.constants[name].data, before.constants[name].data)


@needs_data(RESNET)
def test_only_a_tflite_model_becomes_a_tflite_file(tmp_path, classifier, data):
    result = call("adapt", classifier.path, "--data", data, "-o", tmp_path / "o.tflite")
    assert_refused(result, "only a .tflite model")


def test_epsilon_is_found_where_the_budget_affords_it(tmp_path, classifier, data):
    options = ("--method", "affine", "--batch", 30)
    rich = adapt(classifier.path, data, tmp_path / "a.fxp", *options, "--forwards", 200)
    assert rich["forwards"] == 200 + 16
    assert rich["config"]["epsilon"] not in (0.03, None)
    poor = adapt(classifier.path, data, tmp_path / "b.fxp", *options, "--forwards", 20)
    assert poor["forwards"] == 20
    assert poor["config"]["epsilon"] == 0.03
    told = adapt(classifier.path, data, tmp_path / "c.fxp", *options, "--forwards", 200, "--epsilon", 0.02)
    assert (told["forwards"], told["config"]["epsilon"]) == (200, 0.02)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--steps", 3, "--forwards", 3], "not both"),
        (["--forwards", "nan"], "forwards"),
        (["--forwards", 0], "forwards"),
        (["--forwards", 1e308], "at most 1e+06"),
        (["--method", "affine", "--directions", 3], "--batch"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(tmp_path, classifier, data, options, word):
    assert_refused(call("adapt", classifier.path, "--data", data, "-o", tmp_path / "o.fxp", *options), word)


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("exact_lp", "--epsilon", 0.1),
        ("exact_lp", "--learning-rate", 0.1),
        ("exact_lp", "--directions", 3),
        ("exact_lp", "--distribution", "rademacher"),
        ("exact_lp", "--form", "paper"),
        ("ff_lp", "--head-rate", 3),
        ("ff_ft", "--head-rate", 3),
    ],
)
def test_options_that_a_method_does_not_have_are_refused(tmp_path, classifier, data, method, option, value):
    given = ("adapt", classifier.path, "--data", data, "-o", tmp_path / "o.fxp", "--method", method)
    assert_refused(call(*given, option, value), option, method)


def test_exact_head_alone_takes_one_inference_a_step(tmp_path, classifier, data):
    report = adapt(classifier.path, data, tmp_path / "o.fxp", "--method", "exact_lp")
    assert report["forwards"] == report["steps"] == 300
    assert report["accuracy_after"] > report["accuracy_before"]


def test_rows_change_the_scratch_only(tmp_path, classifier, data):
    whole = adapt(classifier.path, data, tmp_path / "a.fxp", "--method", "ff_ft", "--steps", 4)
    parts = adapt(classifier.path, data, tmp_path / "b.fxp", "--method", "ff_ft", "--steps", 4, "--rows", 1)
    assert parts["weights_sha256"] == whole["weights_sha256"]
    assert parts["scratch_bytes"] < whole["scratch_bytes"]


def test_a_hopeless_run_leaves_its_best_state_and_says_so(tmp_path, classifier, data, monkeypatch):
    output, steps = tmp_path / "a.fxp", []
    observe = Watch.observe

    def give_up(watch, report):
        steps.append(report)
        if len(steps) == 120:
            raise TrainingError("stopped at step 119: by this test")
        observe(watch, report)

    monkeypatch.setattr(Watch, "observe", give_up)
    options = ("--method", "ff_ft", "--steps", 200, "--epsilon", 0.02, "--learning-rate", 0.05)
    result = call("adapt", classifier.path, "--data", data, "-o", output, "--json", *options)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in ("stopped at step 119", "the best", str(output)))
    assert "stopped at step 119" in json.loads(result.stdout)["stopped"]
    before = json.loads(call("evaluate", classifier.path, "--data", data, "--json").stdout)["accuracy"]
    after = json.loads(call("evaluate", output, "--data", data, "--json").stdout)["accuracy"]
    assert after > before


@needs_data(RESNET)
def test_eight_bit_weights_of_a_tflite_file_learn(tmp_path):
    pytest.importorskip("tflite")
    model, output = DATA / RESNET, tmp_path / "a.tflite"
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (20, 32, 32, 3)).astype(np.int8)
    data = write_data(tmp_path / "d.npz", x=x, y=np.arange(20) % 10)
    report = adapt(model, data, output, "--method", "split_ft", "--steps", 12, "--learning-rate", 0.03)
    assert report["loss_last"] < report["loss_first"]
    old, new = load_program(model), load_program(output)
    changed = [
        name for name, c in old.constants.items() if not np.array_equal(c.data, new.constants[name].data)
    ]
    assert sum("bias" not in name for name in changed) > 5
    assert all(new.constants[name].data.dtype == old.constants[name].data.dtype for name in changed)
