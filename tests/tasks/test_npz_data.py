"""A damaged array file is a `StoreError` of one line, whatever NumPy says about it."""

from __future__ import annotations

import lzma
import struct
import tokenize
import warnings
import zipfile

import numpy as np
import pytest

from fxpgrad.errors import StoreError
from fxpgrad.tasks import npz_data
from fxpgrad.tasks.npz_data import load_array, load_labelled

HEADERS = {
    "unclosed": b"{'descr': '|i1', 'fortran_order': False, 'shape': (2,",
    "no expression": b"{'descr': '|i1', , 'fortran_order': False, 'shape': (2,)}",
    "mixed keys": b"{b'descr': '|i1', 'fortran_order': False, 'shape': (2,)}",
    "no dictionary": b"7L",
    "no type": b"{'descr': (1, 2, 3), 'fortran_order': False, 'shape': (2,)}",
    "huge": b"{'descr': '|i1', 'fortran_order': False, 'shape': (9999999999999999999999,)}",
    "negative": b"{'descr': '|i1', 'fortran_order': False, 'shape': (-2,)}",
    "nested": b"(" * 900 + b")" * 900,
    "odd escape": b"{'descr': '\\q', 'fortran_order': False, 'shape': (2,)}",
}


def npy_content(header):
    text = header + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\x01\x02"


def assert_unreadable(path, load):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StoreError) as refused:
            load(path)
    assert path.name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", HEADERS)
def test_damaged_header_is_refused(tmp_path, name):
    path = tmp_path / "x.npy"
    path.write_bytes(npy_content(HEADERS[name]))
    assert_unreadable(path, load_array)
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy_content(HEADERS[name]))
        archive.writestr("y.npy", npy_content(HEADERS[name]))
    assert_unreadable(path, lambda place: load_labelled(place, None))


def test_damaged_lzma_member_is_refused(tmp_path):
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(
            "x.npy", npy_content(b"{'descr': '|i1', 'fortran_order': False, 'shape': (2,)}") * 20
        )
        archive.writestr("y.npy", b"")
    content = bytearray(path.read_bytes())
    content[35 + len("x.npy") : 60] = b"\xff" * (60 - 35 - len("x.npy"))
    path.write_bytes(content)
    assert_unreadable(path, lambda place: load_labelled(place, None))


@pytest.mark.parametrize("error", [tokenize.TokenError("a", (1, 0)), lzma.LZMAError(), KeyError("a\nb")])
def test_whatever_the_parser_raises_is_refused(tmp_path, monkeypatch, error):
    def fail(*_arguments, **_options):
        raise error

    path = tmp_path / "x.npy"
    np.save(path, np.zeros(2))
    monkeypatch.setattr(npz_data.np, "load", fail)
    assert_unreadable(path, load_array)


def test_header_of_python_2_is_read_without_a_warning(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(npy_content(b"{'descr': '|i1', 'fortran_order': False, 'shape': (2L,)}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load_array(path), np.array([1, 2], np.int8))
