"""Writing files: all or nothing, and only over regular files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fxpgrad.errors import StoreError
from fxpgrad.files import write_atomically, write_folder


def test_a_new_file_obeys_the_umask_and_an_old_one_keeps_its_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o600)
    write_atomically(tmp_path / "new", b"2")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert (tmp_path / "new").read_bytes() == b"2"


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["fifo", "folder", "circle", "missing folder"])
def test_what_is_no_regular_file_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to("it")
    else:
        path = tmp_path / "nowhere" / "it"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(path, b"x")
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"old")

    def interrupted(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_gets_all_of_its_files(tmp_path: Path) -> None:
    write_folder(tmp_path / "new", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {"a": b"1", "b": b"2"}
    with pytest.raises(StoreError, match="is not empty; --force"):
        write_folder(tmp_path / "new", {"a": b"3"})
    write_folder(tmp_path / "new", {"a": b"3"}, force=True)
    assert (tmp_path / "new" / "a").read_bytes() == b"3"
    assert (tmp_path / "new" / "b").read_bytes() == b"2"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_in_the_place_of_a_file_stops_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(StoreError, match="b in it is a folder"):
        write_folder(tmp_path, {"a": b"1", "b": b"2"}, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_folder_stays_as_it_was(
    existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it"
    if existing:
        folder.mkdir()
        (folder / "a").write_bytes(b"old")

    def interrupted(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(folder, {"a": b"1", "b": b"2"}, force=True)
    assert [path.name for path in tmp_path.iterdir()] == (["it"] if existing else [])
    assert not existing or [path.read_bytes() for path in folder.iterdir()] == [b"old"]


@pytest.mark.parametrize("kind", ["file", "circle", "missing parent"])
def test_what_cannot_be_a_folder_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    if kind == "file":
        path.write_bytes(b"mine")
    elif kind == "circle":
        path.symlink_to("it")
    else:
        path = tmp_path / "nowhere" / "it"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="cannot write to"):
        write_folder(path, {"a": b"1"}, force=True)
    assert sorted(tmp_path.iterdir()) == before
