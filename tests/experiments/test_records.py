"""Records survive what befalls a long run: interruption, a full disk, a foreign file."""

from __future__ import annotations

import json

import pytest

from fxpgrad.errors import StoreError
from fxpgrad.experiments.records import Records


def test_records_are_found_again(tmp_path):
    path = tmp_path / "r.jsonl"
    records = Records(path)
    assert len(records) == 0
    records.add({"key": "a", "accuracy": 0.5})
    records.add({"key": "b", "accuracy": 0.25})
    again = Records(path)
    assert "a" in again
    assert "c" not in again
    assert again["b"] == {"key": "b", "accuracy": 0.25}


def test_a_line_that_was_cut_is_dropped_and_the_file_mended(tmp_path):
    path = tmp_path / "r.jsonl"
    Records(path).add({"key": "a"})
    path.write_bytes(path.read_bytes() + b'{"key": "b", "acc')
    records = Records(path)
    assert len(records) == 1
    records.add({"key": "b"})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("line", ["not json", "[1]", '{"accuracy": 1}', '{"key": 3}'])
def test_a_foreign_file_is_refused_and_kept(tmp_path, line):
    path = tmp_path / "r.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(StoreError, match="line 1 of"):
        Records(path)
    assert path.read_text() == line + "\n"


def test_a_last_record_without_an_end_is_kept(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"key": "a"}\n{"key": "b"}')
    records = Records(path)
    assert "b" in records
    records.add({"key": "c"})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("content", ["a note without an end", '{"key": "a"}\nanother note', "{}"])
def test_a_foreign_last_line_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(StoreError, match="the last line of"):
        Records(path)
    assert path.read_text() == content


def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    records = Records(tmp_path / "nowhere" / "r.jsonl")
    with pytest.raises(StoreError, match=r"cannot write .*r\.jsonl"):
        records.add({"key": "a"})
