"""`fxpgrad run` writes what the executor computes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.real_values import dequantize_output
from tests.cli.small_models import assert_refused, call


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_output_and_dump_are_the_executors_whatever_the_batch(tmp_path, classifier, batch):
    np.save(tmp_path / "x.npy", classifier.x)
    output, dump = tmp_path / "y.npy", tmp_path / "all.npz"
    result = call(
        *("run", classifier.path, "--input", tmp_path / "x.npy", "--output", output),
        *("--dump", dump, "--batch", batch, "--json"),
    )
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    np.testing.assert_array_equal(np.load(output), run_program(classifier.program, classifier.x))
    expected = run_reference(classifier.program, classifier.x)
    with np.load(dump) as layers:
        assert set(layers.files) == set(expected) == set(report["dump"]["tensors"])
        for name in layers.files:
            np.testing.assert_array_equal(layers[name], expected[name])


def test_same_dump_has_the_same_bytes(tmp_path, classifier):
    np.save(tmp_path / "x.npy", classifier.x)
    for name in ("a.npz", "b.npz"):
        call(
            *("run", classifier.path, "--input", tmp_path / "x.npy"),
            *("--output", tmp_path / "y.npy", "--dump", tmp_path / name),
        )
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_real_numbers_in_and_out(tmp_path, classifier):
    np.save(tmp_path / "x.npy", classifier.real)
    output = tmp_path / "y[bold].npy"
    result = call("run", classifier.path, "--input", tmp_path / "x.npy", "--output", output, "--real")
    assert result.exit_code == 0
    assert "30 samples" in result.stdout
    assert "y[bold].npy" in result.stdout.replace("\n", "")
    y = run_program(classifier.program, classifier.x)
    np.testing.assert_array_equal(np.load(output), dequantize_output(classifier.program, y))


def bad_inputs(x, real):
    objects = np.array([{"a": 1}, None], dtype=object)
    spoiled = real.copy()
    spoiled[0, 0, 0, 0] = np.nan
    return {
        "wrong dtype": (real, False, "int8"),
        "wrong rank": (x[0], False, "shape"),
        "wrong channels": (x[..., :1], False, "shape"),
        "empty": (x[:0], False, "empty"),
        "nan": (spoiled, True, "NaN"),
        "infinite": (np.where(np.isnan(spoiled), np.inf, spoiled), True, "infinity"),
        "complex": (real.astype(complex), True, "real numbers"),
        "text": (np.array(["a"]), True, "real numbers"),
        "pickled": (objects, False, "pickled"),
    }


@pytest.mark.parametrize("case", bad_inputs(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))))
def test_bad_samples_are_refused_and_nothing_is_written(tmp_path, classifier, case):
    array, real, word = bad_inputs(classifier.x, classifier.real)[case]
    source = tmp_path / "x.npy"
    np.save(source, array, allow_pickle=True)
    result = call(
        *("run", classifier.path, "--input", source, "--output", tmp_path / "y.npy"),
        *("--dump", tmp_path / "all.npz", *(["--real"] if real else []), "--json"),
    )
    assert_refused(result, word)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00junk", b"PK\x03\x04junk"])
def test_damaged_input_file_is_refused(tmp_path, classifier, content):
    source = tmp_path / "x.npy"
    source.write_bytes(content)
    assert_refused(call("run", classifier.path, "--input", source, "--output", tmp_path / "y.npy"), "x.npy")
    assert list(tmp_path.iterdir()) == [source]


def test_archive_in_place_of_an_array_is_refused(tmp_path, classifier):
    np.savez(tmp_path / "x.npz", x=classifier.x)
    result = call("run", classifier.path, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npy")
    assert_refused(result, "needs the inputs image", "got x")


def test_bad_places_and_batches_are_refused(tmp_path, classifier):
    np.save(tmp_path / "x.npy", classifier.x)
    start = ("run", classifier.path, "--input", tmp_path / "x.npy", "--output")
    assert_refused(call(*start, tmp_path / "no" / "y.npy"), "no directory")
    assert_refused(call(*start, tmp_path), "is a directory")
    assert_refused(call(*start, tmp_path / "y", "--dump", tmp_path / "y"), "different")
    assert_refused(call(*start, tmp_path / "y", "--batch", 0), "batch")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
