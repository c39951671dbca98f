"""Writing a folder: whole or not at all, and never over what somebody else has put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fxpgrad.codegen.project_folder import check_folder, write_folder
from fxpgrad.errors import StoreError

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
    with pytest.raises(StoreError, match="it is a folder"):
        write_folder(tmp_path / "out", FILES, force=True)
    assert content(tmp_path) == {}


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
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
