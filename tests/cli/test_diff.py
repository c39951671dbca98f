"""`fxpgrad diff` finds every difference between two dumps, and the first layer that has one."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fxpgrad.program.difference import compare_tensors
from tests.cli.small_models import assert_refused, call, write_data


def dumps(folder, a, b):
    paths = folder / "a.npz", folder / "b.npz"
    for path, arrays in zip(paths, (a, b), strict=True):
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as stream:
                    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    return paths


def layers():
    rng = np.random.default_rng(5)
    return {
        "image": rng.integers(-128, 128, (3, 4, 4, 2), dtype=np.int8),
        "z conv": rng.integers(-128, 128, (3, 2, 2, 5), dtype=np.int8),
        "a logits": rng.integers(-(2**31), 2**31, (3, 7), dtype=np.int32),
    }


def test_equal_dumps_exit_0(tmp_path):
    a, b = dumps(tmp_path, layers(), dict(reversed(layers().items())))
    result = call("diff", a, b)
    assert result.exit_code == 0
    assert "equal: 3 tensors, 177 values" in result.stdout
    report = json.loads(call("diff", a, b, "--json").stdout)
    assert report["equal"] is True
    assert report["first_unequal"] is None
    assert [row["name"] for row in report["tensors"]] == ["image", "z conv", "a logits"]


def test_differences_are_counted_and_the_first_layer_named(tmp_path):
    changed = layers()
    changed["z conv"][1, 0, 1, 3] ^= np.int8(1)
    changed["a logits"][0, 2], changed["a logits"][2, 6] = 5, -(2**31)
    original = layers()
    original["a logits"][2, 6] = 2**31 - 1
    a, b = dumps(tmp_path, original, changed)
    result = call("diff", a, b, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["equal"], report["first_unequal"]) == (False, "z conv")
    assert (report["unequal_tensors"], report["differing_values"], report["compared_values"]) == (2, 3, 177)
    conv, logits = report["tensors"][1:]
    assert (conv["differing"], conv["largest"]) == (1, 1)
    assert conv["first"]["index"] == [1, 0, 1, 3]
    assert conv["first"]["a"] == int(original["z conv"][1, 0, 1, 3])
    assert (logits["differing"], logits["largest"]) == (2, 2**32 - 1)
    shown = call("diff", a, b)
    assert shown.exit_code == 1
    assert "different: 2 of 3 tensors, 3 of 177 values; first: z conv" in shown.stdout
    assert "4,294,967,295" in shown.stdout


def test_missing_tensors_and_other_types_are_differences(tmp_path):
    other = layers()
    del other["image"]
    other["z conv"] = other["z conv"].astype(np.int16)
    other["a logits"] = other["a logits"][:2]
    other["extra"] = np.zeros(3, np.int8)
    a, b = dumps(tmp_path, layers(), other)
    result = call("diff", a, b, "--json")
    assert result.exit_code == 1
    rows = {row["name"]: row for row in json.loads(result.stdout)["tensors"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "image": "missing in B",
        "z conv": "dtype differs",
        "a logits": "shape differs",
        "extra": "missing in A",
    }
    assert rows["z conv"]["detail"] == "int8 and int16"
    assert rows["a logits"]["detail"] == "(3, 7) and (2, 7)"
    shown = call("diff", a, b).stdout
    assert "missing in B" in shown
    assert "int8 and int16" in shown


def test_floats_count_nan_as_equal_to_nan_and_report_infinity(tmp_path):
    a = {"x": np.array([1.0, np.nan, np.inf, 2.0], np.float32), "y": np.array([1.5, 2.5])}
    b = {"x": np.array([1.0, np.nan, 1.0, np.nan], np.float32), "y": np.array([1.5, 2.0])}
    x, y = json.loads(call("diff", *dumps(tmp_path, a, b), "--json").stdout)["tensors"]
    assert (x["differing"], x["largest"], x["first"]) == (2, None, {"index": [2], "a": "inf", "b": 1.0})
    assert (y["differing"], y["largest"]) == (1, 0.5)
    assert "not finite" in call("diff", tmp_path / "a.npz", tmp_path / "b.npz").stdout


def test_byte_order_and_scalars_do_not_matter(tmp_path):
    a, b = dumps(tmp_path, {"x": np.array(3, ">i4")}, {"x": np.array(3, "<i4")})
    assert call("diff", a, b).exit_code == 0


def test_dump_of_a_run_equals_itself_and_not_that_of_other_data(tmp_path, classifier):
    for name, x in (("a", classifier.x), ("b", classifier.x), ("c", classifier.x[::-1])):
        np.save(tmp_path / "x.npy", x)
        places = ("--output", tmp_path / "y.npy", "--dump", tmp_path / f"{name}.npz")
        assert call("run", classifier.path, "--input", tmp_path / "x.npy", *places).exit_code == 0
    assert call("diff", tmp_path / "a.npz", tmp_path / "b.npz").exit_code == 0
    result = call("diff", tmp_path / "a.npz", tmp_path / "c.npz", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["first_unequal"] == "image"


@given(
    dtype=st.sampled_from(["int8", "uint8", "int16", "int32", "int64", "uint64", "bool"]),
    data=st.data(),
)
def test_compared_integers_agree_with_python(dtype, data):
    a = data.draw(hnp.arrays(dtype, 6), "a")
    b = data.draw(hnp.arrays(dtype, 6), "b")
    row = compare_tensors("x", a, b)
    gaps = [abs(int(p) - int(q)) for p, q in zip(a, b, strict=True)]
    assert row.largest == max(gaps)
    assert row.differing == sum(gap > 0 for gap in gaps)
    assert row.equal == (not any(gaps))
    assert (row.first.index if row.first else None) == next(((i,) for i, gap in enumerate(gaps) if gap), None)


def test_unreadable_files_are_refused_in_one_line(tmp_path):
    good = write_data(tmp_path / "good.npz", **layers())
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, None], dtype=object))
    np.savez(tmp_path / "text.npz", x=np.array(["a"]))
    np.savez(tmp_path / "complex.npz", x=np.zeros(2, complex))
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04junk")
    (tmp_path / "nothing.npz").write_bytes(b"")
    for name, entries in (("empty", []), ("twice", ["x.npy", "x"]), ("foreign", ["notes.txt"])):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            for entry in entries:
                archive.writestr(entry, b"\x93NUMPY" if entry == "x" else b"text")
    cases = {
        "absent.npz": "cannot read",
        "array.npy": ".npz archive",
        "objects.npz": "pickled",
        "text.npz": "must hold integers",
        "complex.npz": "must hold integers",
        "junk.npz": "junk.npz",
        "nothing.npz": "nothing.npz",
        "empty.npz": "no arrays",
        "twice.npz": "two arrays",
        "foreign.npz": "not an array",
    }
    for name, word in cases.items():
        assert_refused(call("diff", good, tmp_path / name), word)
        assert_refused(call("diff", tmp_path / name, good, "--json"), word)


@pytest.mark.parametrize("arguments", [(), ("a.npz",), ("a.npz", "b.npz", "c.npz"), ("", "b.npz")])
def test_wrong_usage_is_refused(arguments):
    assert_refused(call("diff", *arguments))
