"""Golden vectors: what they hold, and that files give back what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxpgrad.conformance import vectors as vectors_module
from fxpgrad.conformance.model_vectors import model_vectors
from fxpgrad.conformance.vector_files import bin_files, npz_file
from fxpgrad.conformance.vectors import VectorCase, Vectors, kernel_vectors
from fxpgrad.errors import FxpgradError, InputError, StoreError
from fxpgrad.files import npz_bytes, write_folder
from fxpgrad.program.execute import Executor, run_reference
from fxpgrad.program.store import save
from fxpgrad.testing import load_vectors, reference
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.errors import UnknownKernelError
from fxpgrad_kernels.registry import kernels
from tests.cli.small_models import Model, write_model
from tests.program.one_call_programs import one_call_program


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return write_model(tmp_path_factory.mktemp("models"))


def assert_same(found: Vectors, expected: Vectors) -> None:
    assert (found.kind, found.name, found.provenance) == (expected.kind, expected.name, expected.provenance)
    for case, other in zip(found.cases, expected.cases, strict=True):
        assert (case.name, case.aim) == (other.name, other.aim)
        for mine, theirs in ((case.arguments, other.arguments), (case.expected, other.expected)):
            assert mine.keys() == theirs.keys()
            for key, value in theirs.items():
                if isinstance(value, np.ndarray):
                    assert mine[key].dtype == value.dtype
                    np.testing.assert_array_equal(mine[key], value)
                else:
                    assert mine[key] == value


def written(vectors: Vectors, folder: Path) -> tuple[Path, Path]:
    """Write both forms; return the .npz file and the manifest."""
    write_folder(folder, {"v.npz": npz_file(vectors), **bin_files(vectors)})
    return folder / "v.npz", next(folder.glob("*.json"))


@pytest.mark.parametrize("name", kernels())
def test_files_of_every_kernel_give_back_its_vectors(name: str, tmp_path: Path) -> None:
    made = kernel_vectors(name, cases=2, seed=1, command="mine")
    assert made.provenance["command"] == "mine"
    assert [case.name for case in made.cases][-2:] == ["random_0000", "random_0001"]
    for path in written(made, tmp_path / "out"):
        loaded = load_vectors(path)
        assert_same(loaded, made)
        for case in loaded.cases:
            for key, values in reference(name, case.arguments).items():
                np.testing.assert_array_equal(case.expected[key], values)


def test_vectors_depend_on_the_seed_alone() -> None:
    first, again = (npz_file(kernel_vectors("mul_a8", cases=3, seed=5)) for _ in range(2))
    assert first == again
    assert npz_file(kernel_vectors("mul_a8", cases=3, seed=6)) != first
    few, more = (kernel_vectors("mul_a8", cases=n).cases for n in (2, 4))
    assert [case.name for case in more[: len(few)]] == [case.name for case in few]
    for case, other in zip(few, more, strict=False):
        np.testing.assert_array_equal(case.expected["output"], other.expected["output"])


def test_a_profile_is_kept_to() -> None:
    made = kernel_vectors("mul_a8", cases=10, profile=PROFILES["tflite_single"])
    assert {case.arguments["rounding"] for case in made.cases} == {2}
    assert made.provenance["profile"] == "tflite_single"


def test_a_kernel_that_differs_from_its_definition_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(spec: Any, case: Any) -> Any:
        return {key: values + 1 for key, values in vectors_module.reference_outputs(spec, case).items()}

    monkeypatch.setattr(vectors_module, "kernel_outputs", off)
    with pytest.raises(FxpgradError, match="mul_a8 as compiled here differs from its definition in output"):
        kernel_vectors("mul_a8", cases=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "mul_a7"}, UnknownKernelError, "did you mean mul_a8"),
        ({"cases": 0}, InputError, "cases must be at least 1; got 0"),
        ({"seed": -1}, InputError, "seed must be at least 0; got -1"),
        ({"name": "batch_matmul_a16", "profile": PROFILES["tosa_single"]}, InputError, "no Program under"),
    ],
)
def test_bad_wishes_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        kernel_vectors(options.pop("name", "mul_a8"), **options)


def test_a_models_vectors_hold_every_layer(model: Model, tmp_path: Path) -> None:
    made = model_vectors(model.path, cases=3, seed=2)
    assert [case.name for case in made.cases][:5] == ["lowest", "highest", "zero", "ends", "random_0000"]
    assert made.provenance["rows_checked"] == len(made.cases) == 7
    assert len(made.provenance["model_sha256"]) == 64
    for path in written(made, tmp_path / "out"):
        for case in load_vectors(path).cases:
            feed = {key: x[None] for key, x in case.arrays.items()}
            layers = run_reference(model.program, feed)
            assert set(case.expected) == set(layers) - set(model.program.inputs)
            for key, values in case.expected.items():
                np.testing.assert_array_equal(values, layers[key][0])
    assert (made.cases[0].arrays["image"] == -128).all()
    zero = model.program.tensors["image"].zero_point
    assert (made.cases[2].arrays["image"] == zero).all()


def test_a_model_takes_given_rows(model: Model) -> None:
    made = model_vectors(model.path, cases=4, data={"image": model.x})
    assert [case.name for case in made.cases] == ["row_0000", "row_0001", "row_0002", "row_0003"]
    np.testing.assert_array_equal(made.cases[3].arrays["image"], model.x[3])
    assert made.provenance["seed"] is None
    assert len(model_vectors(model.path, cases=999, data=model.x).cases) == len(model.x)
    with pytest.raises(InputError, match="needs the inputs image"):
        model_vectors(model.path, data={"other": model.x})


def test_a_wrong_layer_of_a_model_is_noticed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(program: Any, feed: Any) -> Any:
        return {key: values + 1 for key, values in run_reference(program, feed).items()}

    monkeypatch.setattr("fxpgrad.conformance.model_vectors.run_reference", off)
    with pytest.raises(FxpgradError, match="of case lowest differs from the definition"):
        model_vectors(model.path, cases=1)


def test_a_model_with_state_sees_its_cases_as_one_stream(tmp_path: Path) -> None:
    program = one_call_program("svdf_a8", np.random.default_rng(3))
    assert program is not None
    assert program.variables
    save(program, tmp_path / "stream.fxp")
    made = model_vectors(tmp_path / "stream.fxp", cases=2)
    assert made.provenance["rows_checked"] == 1
    executor = Executor(program, 1)
    for case in made.cases:
        layers = dict(executor.layers({key: x[None] for key, x in case.arrays.items()}))
        for key, values in case.expected.items():
            np.testing.assert_array_equal(values, layers[key][0])
    assert set(made.cases[0].expected) >= {"output", "state"}


# --- damaged files


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    return written(kernel_vectors("mul_a8", cases=1), tmp_path / "stored")


def changed(manifest: Path, change: Any) -> Path:
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))
    return manifest


def test_a_damaged_file_is_told_from_a_good_one(stored: tuple[Path, Path]) -> None:
    _, manifest = stored
    data = manifest.parent / "mul_a8_random_0000.bin"
    content = data.read_bytes()
    data.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match="its sha256 is not that of the manifest"):
        load_vectors(manifest)
    data.unlink()
    with pytest.raises(StoreError, match=r"cannot read .*mul_a8_random_0000.bin"):
        load_vectors(manifest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format="other"), "no file of vectors of the format"),
        (lambda m: m.pop("cases"), "does not describe the arrays"),
        (lambda m: m["cases"][0].update(file="../secret"), "which is not beside it"),
        (lambda m: m["cases"][0]["arrays"][0].update(dtype="object"), "which no vector has"),
        (lambda m: m["cases"][0]["arrays"][0].update(shape=[3, 3, 3]), "does not describe the arrays"),
        (lambda m: m["cases"][0]["arrays"][0].update(role="secret"), "does not describe the arrays"),
        (lambda m: m.update(name="mul_a9"), "a kernel that is not known here"),
        (lambda m: m.update(cases=7), "does not describe the arrays"),
    ],
)
def test_a_manifest_that_lies_is_refused(change: Any, message: str, stored: tuple[Path, Path]) -> None:
    with pytest.raises(StoreError, match=message):
        load_vectors(changed(stored[1], change))


def test_what_is_no_file_of_vectors_is_refused(tmp_path: Path, stored: tuple[Path, Path]) -> None:
    plain = tmp_path / "plain.npz"
    plain.write_bytes(npz_bytes({"x": np.zeros(3)}))
    with pytest.raises(StoreError, match="it lacks the array 'manifest'"):
        load_vectors(plain)
    lacking = tmp_path / "lacking.npz"
    with np.load(stored[0]) as whole:
        lacking.write_bytes(npz_bytes({"manifest": whole["manifest"]}))
    with pytest.raises(StoreError, match="is damaged: it lacks the array"):
        load_vectors(lacking)
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(StoreError, match="its manifest is not JSON"):
        load_vectors(tmp_path / "text.json")
    with pytest.raises(InputError, match="are loaded from an"):
        load_vectors(tmp_path / "v.bin")
    with pytest.raises(StoreError, match="cannot read"):
        load_vectors(tmp_path / "nowhere.json")


def test_raw_files_are_little_endian_and_aligned(stored: tuple[Path, Path]) -> None:
    manifest = json.loads(stored[1].read_text())
    for case in manifest["cases"]:
        raw = (stored[1].parent / case["file"]).read_bytes()
        for entry in case["arrays"]:
            assert entry["offset"] % 16 == 0
            assert entry["bytes"] == int(np.prod(entry["shape"])) * np.dtype(entry["dtype"]).itemsize
            if entry["name"] == "multiplier":
                value = int.from_bytes(raw[entry["offset"] :][:4], "little", signed=True)
                with np.load(stored[0]) as arrays:
                    assert value == arrays[f"{case['name']}/argument/multiplier"][0]


def test_a_case_knows_its_arrays() -> None:
    case = VectorCase("a", "b", {"x": np.zeros(2), "n": 3}, {})
    assert list(case.arrays) == ["x"]
