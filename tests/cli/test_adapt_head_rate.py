"""`fxpgrad adapt` finds the exact head's rate where samples and budget allow, and says which it took."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fxpgrad.program.real_values import quantize_input
from fxpgrad.trainer.first_rate import FirstRate, RateTrial
from tests.cli.small_models import adapt, assert_refused, call, write_data


def written(path, classifier, count, noise=0.3):
    """Samples as those that the model was made of, more of them."""
    rng = np.random.default_rng(3)
    labels = np.arange(count) % 3
    images = rng.normal(0, noise, (count, 6, 6, 2)).astype(np.float32)
    images[..., 0] += labels[:, None, None] - 1
    return write_data(path, x=quantize_input(classifier.program.tensors["image"], images), y=labels)


@pytest.fixture
def many(tmp_path, classifier):
    return written(tmp_path / "many.npz", classifier, 120)


@pytest.mark.parametrize(
    ("method", "options", "steps", "passes"),
    [("exact_lp", (), 300, 1), ("affine", ("--forwards", 60), 72, 2)],
)
def test_rate_is_found_and_said(tmp_path, classifier, many, method, options, steps, passes):
    report = adapt(classifier.path, many, tmp_path / "a.fxp", "--method", method, *options)
    search = report["head_rates"]
    assert [trial["rate"] for trial in search["trials"]] == [1, 3, 10, 30, 100]
    assert report["config"]["head_rate"] == search["rate"]
    assert report["forwards"] == steps * passes + search["forwards"]
    assert 120 / 50 < search["forwards"] <= steps * passes / 10
    assert report["accuracy_after"] > report["accuracy_before"]
    again = adapt(classifier.path, many, tmp_path / "b.fxp", "--method", method, *options)
    assert again["weights_sha256"] == report["weights_sha256"]


def test_a_small_head_is_not_driven_to_the_end_of_its_range(tmp_path, classifier, many):
    """A rate of 10 clips its 24 weights until the run is stopped: the search sees it, and takes less."""
    report = adapt(classifier.path, many, tmp_path / "a.fxp", "--method", "exact_lp")
    after = {trial["rate"]: trial["after"] for trial in report["head_rates"]["trials"]}
    assert after[10] is None
    assert report["config"]["head_rate"] < 10
    result = call(
        *("adapt", classifier.path, "--data", many, "-o", tmp_path / "b.fxp", "--method", "exact_lp"),
        *("--head-rate", 10),
    )
    assert result.exit_code == 2
    assert "lower the head rate" in result.stderr


def test_a_found_rate_gives_the_bits_of_the_same_rate_given(tmp_path, classifier, many):
    options = ("--method", "exact_lp", "--seed", 7)
    found = adapt(classifier.path, many, tmp_path / "a.fxp", *options)
    rate = found["head_rates"]["rate"]
    given = adapt(classifier.path, many, tmp_path / "b.fxp", *options, "--head-rate", rate)
    assert given["weights_sha256"] == found["weights_sha256"]


def test_what_cannot_be_trained_is_refused_before_the_search(tmp_path, classifier, many, monkeypatch):
    def unexpected(*_, **__):
        raise AssertionError("searched")

    monkeypatch.setattr("fxpgrad.experiments.adapt.search_head_rate", unexpected)
    given = ("adapt", classifier.path, "--data", many, "-o", tmp_path / "a.fxp", "--method")
    assert_refused(call(*given, "split_ft"), "split bytes are for 8-bit weights")
    assert_refused(call(*given, "exact_lp", "--rows", 7), "rows of one inference must divide 50")


def test_a_rate_beyond_all_integers_is_called_the_head_rate(tmp_path, classifier, many):
    given = ("adapt", classifier.path, "--data", many, "-o", tmp_path / "a.fxp", "--method", "exact_lp")
    assert_refused(call(*given, "--head-rate", 1e300), "head rate too large for logits/weights")


@pytest.mark.parametrize(
    ("count", "options", "rate"),
    [
        (99, ("--method", "exact_lp"), 1.0),
        (25, ("--method", "affine", "--forwards", 500), 1.0),
        (120, ("--method", "exact_lp", "--steps", 15), 1.0),
        (120, ("--method", "exact_lp", "--head-rate", 2), 2.0),
        (120, ("--method", "ff_lp",), 1.0),
    ],
)  # fmt: skip
def test_rate_stays_where_it_is_given_or_cannot_be_found(tmp_path, classifier, count, options, rate):
    data = written(tmp_path / "d.npz", classifier, count)
    report = adapt(classifier.path, data, tmp_path / "a.fxp", *options)
    assert report["head_rates"] is None
    assert report["config"]["head_rate"] == rate


def test_aligned_network_keeps_its_own_default(tmp_path, classifier):
    data = written(tmp_path / "d.npz", classifier, 30)
    options = ("--method", "affine", "--like", data, "--forwards", 20)
    report = adapt(classifier.path, data, tmp_path / "a.fxp", *options)
    assert (report["head_rates"], report["config"]["head_rate"]) == (None, 3.0)


def test_table_says_which_rate_and_why(tmp_path, classifier, many, monkeypatch):
    arguments = ("adapt", classifier.path, "--data", many, "-o", tmp_path / "a.fxp", "--method", "exact_lp")
    report = json.loads(call(*arguments, "--json").stdout)
    found = f"{report['config']['head_rate']:g} (found among 1, 3, 10, 30, 100)"
    assert found in call(*arguments).stdout
    none = FirstRate((RateTrial(1.0, 0.5, 0.5), RateTrial(3.0, 0.5, None)), None, 3)
    monkeypatch.setattr("fxpgrad.experiments.adapt.measure_head_rate", lambda *_, **__: none)
    assert "1 (the default: unseen samples gained by none of 1, 3)" in call(*arguments).stdout
    assert "epsilon" not in call(*arguments).stdout
    probed = call(*arguments[:-1], "ff_lp").stdout
    assert "head rate" not in probed
    assert "(epsilon 0.01)" in probed
