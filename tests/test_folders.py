"""Writing a folder: whole or not at all, and never over what somebody else has put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fxpgrad.errors import StoreError
from fxpgrad.files import check_folder, make_folder, write_folder

FILES = {"a.c": "int a;\n", "kernels/b.c": "int b;\n"}


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("exists", [False, True])
def test_a_new_or_empty_folder_is_filled(exists: bool, tmp_path: Path) -> None:
    target = tmp_path / "out"
    if exists:
        target.mkdir()
    write_folder(target, FILES)
    assert content(target) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_files_is_refused_and_kept(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty.*--force"):
        write_folder(target, FILES)
    assert content(tmp_path) == {"out/mine.txt": "mine"}


def test_force_replaces_files_of_the_same_names_and_keeps_the_others(tmp_path):
    target = tmp_path / "out"
    (target / "kernels").mkdir(parents=True)
    for name in ("mine.txt", "a.c", "kernels/mine.c"):
        (target / name).write_text("mine")
    write_folder(target, FILES, force=True)
    assert content(target) == {**FILES, "mine.txt": "mine", "kernels/mine.c": "mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_does_not_replace_a_folder_by_a_file(tmp_path):
    (tmp_path / "out" / "a.c").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"a\.c in it is a folder"):
        write_folder(tmp_path / "out", FILES, force=True)
    assert content(tmp_path) == {}


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_folder(tmp_path / "out", FILES)
    assert list(tmp_path.iterdir()) == []


def test_files_and_missing_parents_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        check_folder(tmp_path / "file", force=True)
    with pytest.raises(StoreError, match="there is no folder"):
        check_folder(tmp_path / "none" / "out")
    with pytest.raises(StoreError, match="cannot write"):
        check_folder("x" * 5000)


def test_folders_without_permission_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StoreError, match="no permission"):
        check_folder(tmp_path / "out")


def test_a_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_folder(tmp_path / "link", FILES)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == FILES


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


def test_the_folder_itself_stays_when_it_is_filled(tmp_path):
    target = tmp_path / "out"
    target.mkdir(mode=0o700)
    before = target.stat()
    write_folder(target, FILES)
    assert (target.stat().st_ino, target.stat().st_mode) == (before.st_ino, before.st_mode)


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


def test_a_folder_is_made_with_those_above_it_and_one_that_is_there_stays(tmp_path):
    target = tmp_path / "a" / "b"
    for _ in range(2):
        assert make_folder(target) == target
        assert target.is_dir()
        (target / "kept").write_text("")
    with pytest.raises(StoreError, match="is not a folder"):
        make_folder(target / "kept")
    with pytest.raises(StoreError, match="cannot write to"):
        make_folder(target / "kept" / "below")
    with pytest.raises(StoreError, match=r"cannot write to .*: File name too long"):
        make_folder(tmp_path / ("a" * 300))
