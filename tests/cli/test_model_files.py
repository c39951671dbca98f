"""The commands on .tflite and .onnx files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")

from fxpgrad.program.execute import run_program
from fxpgrad.program.store import load
from tests.cli.small_models import assert_refused, call
from tests.importers.tflite_builder import TfliteBuilder
from tests.importers.tflite_seed_models import dense_model, image_model

RNG = np.random.default_rng(20261123)


def write(folder: Path, builder: TfliteBuilder, name: str = "model.tflite") -> Path:
    (folder / name).write_bytes(builder.content())
    return folder / name


def accumulator(folder: Path) -> Path:
    """Write y = v + x, v = y: a sum over rows that a variable keeps."""
    builder = TfliteBuilder()
    x = builder.input((1, 3))
    handle = builder.tensor((), "RESOURCE")
    before, after = builder.tensor((1, 3)), builder.tensor((1, 3))
    builder.operator("VAR_HANDLE", [], handle, "VarHandleOptions", SharedName="sum")
    builder.operator("READ_VARIABLE", [handle], before)
    builder.operator("ADD", [x, before], after, "AddOptions")
    builder.operator("ASSIGN_VARIABLE", [handle, after], [])
    builder.outputs = [after]
    return write(folder, builder)


def two_by_two(folder: Path) -> Path:
    builder = TfliteBuilder()
    a, b = builder.input((1, 3)), builder.input((1, 3), scale=0.25)
    total, largest = builder.tensor((1, 3)), builder.tensor((1, 3))
    builder.operator("ADD", [a, b], total, "AddOptions")
    builder.operator("MAXIMUM", [a, total], largest)
    builder.outputs = [total, largest]
    return write(folder, builder)


def test_uint8_stays_uint8_outside(tmp_path):
    model = write(tmp_path, image_model())
    np.save(tmp_path / "x.npy", RNG.integers(0, 256, (5, 6, 6, 2)).astype(np.uint8))
    arguments = ("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    result = call(*arguments, "--dump", tmp_path / "d.npz", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["profile"] == "tflite_double"
    with np.load(tmp_path / "d.npz") as dump:
        np.testing.assert_array_equal(dump["t0"], np.load(tmp_path / "x.npy"))
        np.testing.assert_array_equal(dump["t0"].astype(int) - 128, dump["t1"])
    np.save(tmp_path / "x.npy", np.zeros((5, 6, 6, 2), np.int8))
    assert_refused(call(*arguments), "must be uint8", "int8")


def test_profiles_give_dumps_that_diff_tells_apart(tmp_path):
    model = write(tmp_path, image_model())
    np.save(tmp_path / "x.npy", RNG.integers(0, 256, (300, 6, 6, 2)).astype(np.uint8))
    for name, profile in (("a", "tflite_double"), ("b", "cmsis_default"), ("c", "tflite_single")):
        arguments = ("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
        assert call(*arguments, "--profile", profile, "--dump", tmp_path / f"{name}.npz").exit_code == 0
    assert call("diff", tmp_path / "a.npz", tmp_path / "b.npz").exit_code == 0
    different = call("diff", tmp_path / "a.npz", tmp_path / "c.npz", "--json")
    assert different.exit_code == 1
    assert json.loads(different.stdout)["first_unequal"] is not None


def test_a_stateful_model_runs_its_rows_in_order_whatever_the_batch(tmp_path):
    model = accumulator(tmp_path)
    x = np.array([[1, 2, 3], [10, 0, -5], [1, 1, 1]], np.int8)
    np.save(tmp_path / "x.npy", x)
    for batch in (1, 32):
        arguments = ("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
        assert call(*arguments, "--batch", batch).exit_code == 0
        np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.cumsum(x, axis=0))


def test_several_inputs_and_outputs_go_by_name(tmp_path):
    model = two_by_two(tmp_path)
    a, b = (RNG.integers(-20, 20, (4, 3)).astype(np.int8) for _ in "ab")
    np.savez(tmp_path / "x.npz", t0=a, t1=b)
    result = call("run", model, "--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "y.npz") as outputs:
        assert sorted(outputs.files) == ["t2", "t3"]
        np.testing.assert_array_equal(outputs["t3"], np.maximum(a, outputs["t2"]))
    one = ("run", model, "--input", tmp_path / "x.npz", "--output")
    assert_refused(call(*one, tmp_path / "y.npy"), "outputs t2, t3", ".npz")
    np.save(tmp_path / "x.npy", a)
    assert_refused(
        call("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "z.npz"), "t0, t1"
    )
    np.savez(tmp_path / "x.npz", t0=a, t1=b[:2])
    assert_refused(call(*one, tmp_path / "z.npz"), "same number of rows")
    np.savez(tmp_path / "x.npz", t0=a, other=b)
    assert_refused(call(*one, tmp_path / "z.npz"), "needs the inputs t0, t1", "other")
    assert not (tmp_path / "z.npz").exists()


def test_real_edges_of_the_file_are_integers_here_unless_asked(tmp_path):
    model = write(tmp_path, dense_model())
    np.save(tmp_path / "x.npy", RNG.normal(0, 4, (6, 3, 4)).astype(np.float32))
    arguments = ("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    assert_refused(call(*arguments), "must be int8", "--real")
    assert call(*arguments, "--real").exit_code == 0
    assert np.load(tmp_path / "y.npy").dtype == np.float64


def test_inspect_and_convert_read_model_files(tmp_path):
    model = write(tmp_path, image_model())
    shown = call("inspect", model, "--profile", "xnnpack_float32", "--json")
    assert json.loads(shown.stdout)["profile"] == "xnnpack_float32"
    assert call("convert", model, "-o", tmp_path / "m.fxp", "--profile", "cmsis_default").exit_code == 0
    program = load(tmp_path / "m.fxp")
    assert program.profile == "cmsis_default"
    x = RNG.integers(0, 256, (3, 6, 6, 2)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    call("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), run_program(program, x))


def test_what_a_profile_does_not_define_is_warned_of_or_refused(tmp_path):
    model = write(tmp_path, image_model())
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 6, 2), np.uint8))
    arguments = ("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--profile")
    warned = call(*arguments, "tosa_single")
    assert warned.exit_code == 0
    assert "warning" in warned.stderr
    assert "softmax" in warned.stderr
    assert_refused(call(*arguments, "onnx_float32"), "onnx_float32")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3" + bytes(40), bytes(range(256)) * 20])
@pytest.mark.parametrize("ending", ["tflite", "onnx", "fxp", "bin"])
def test_files_that_are_no_models_are_refused(tmp_path, content, ending):
    path = tmp_path / f"m.{ending}"
    path.write_bytes(content)
    for command in ("inspect", "check"):
        assert_refused(call(command, path), str(tmp_path))


def test_float_onnx_is_quantized_by_convert_and_keeps_its_layout(tmp_path):
    pytest.importorskip("onnx")
    model = Path(__file__).resolve().parents[1] / "golden" / "torch_network.onnx"
    assert_refused(call("inspect", model), "float network", "--calibrate")
    x = RNG.normal(0, 1, (40, 1, 12, 12)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    target = tmp_path / "m.fxp"
    result = call("convert", model, "--calibrate", tmp_path / "x.npy", "--weight-bits", 8, "-o", target)
    assert result.exit_code == 0, result.output
    program = load(target)
    assert program.tensors[program.inputs[0]].shape == (1, 12, 12)
    assert {call.kernel for call in program.calls} >= {"conv2d_a8w8", "rearrange_a8"}
    for wrong, words in (
        (x[:, 0], "axes"),
        (np.full_like(x, np.nan), "NaN"),
        (x[:0], "at least one row"),
        (x.astype(str), "real numbers"),
        (x[:, :, :5], "shape"),
    ):
        np.save(tmp_path / "w.npy", wrong)
        refused = call("convert", model, "--calibrate", tmp_path / "w.npy", "-o", tmp_path / "n.fxp")
        assert_refused(refused, words)
    assert not (tmp_path / "n.fxp").exists()


def test_what_is_read_is_not_written_over(tmp_path):
    model = write(tmp_path, image_model())
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 6, 2), np.uint8))
    before = model.read_bytes(), (tmp_path / "x.npy").read_bytes()
    run = ("run", model, "--input", tmp_path / "x.npy", "--output")
    assert_refused(call(*run, model), "written over")
    assert_refused(call(*run, tmp_path / "x.npy"), "written over")
    assert_refused(call(*run, tmp_path / "y.npy", "--dump", model), "written over")
    assert before == (model.read_bytes(), (tmp_path / "x.npy").read_bytes())
    assert_refused(call("convert", model, "-o", tmp_path / "m.fxp", "--weight-bits", 8), "--calibrate")


def test_onnx_images_are_fed_as_the_file_has_them(tmp_path):
    pytest.importorskip("onnx")
    golden = Path(__file__).resolve().parents[1] / "golden"
    x = RNG.integers(-128, 128, (4, 3, 9, 9)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    model = golden / "onnx_qdq_int8_per_channel.onnx"
    result = call("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--json")
    assert json.loads(result.stdout)["profile"] == "onnx_float32"
    assert np.load(tmp_path / "y.npy").shape == (4, 10)
    np.save(tmp_path / "x.npy", x.transpose(0, 2, 3, 1))
    assert_refused(call("run", model, "--input", tmp_path / "x.npy", "--output", tmp_path / "z.npy"), "shape")
