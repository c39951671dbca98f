"""The .fxp file: round trips, damage, crafted content, failed writes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxpgrad.errors import StoreError
from fxpgrad.program.execute import run_program
from fxpgrad.program.store import MAGIC, VERSION, from_bytes, load, save, to_bytes
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from tests.program.random_programs import random_program, random_samples

HEADER = struct.Struct("<8sIQ")
PROGRAM = random_program(4)
CONTENT = to_bytes(PROGRAM)
Manifest = dict[str, Any]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", range(6))
def test_round_trip_gives_equal_bytes_and_equal_results(seed: int, profile: str, tmp_path: Path) -> None:
    program = random_program(seed, profile)
    save(program, tmp_path / "a.fxp")
    again = load(tmp_path / "a.fxp")
    assert to_bytes(again) == to_bytes(program) == (tmp_path / "a.fxp").read_bytes()
    assert (again.name, again.profile, again.inputs, again.outputs) == (
        program.name,
        program.profile,
        program.inputs,
        program.outputs,
    )
    assert again.calls == program.calls
    assert again.tensors == program.tensors
    assert again.constants_sha256() == program.constants_sha256()
    for name, constant in program.constants.items():
        kept = again.constants[name]
        assert kept.data.dtype == constant.data.dtype
        assert kept.data.flags.writeable
        np.testing.assert_array_equal(kept.data, constant.data)
        np.testing.assert_array_equal(kept.scale, constant.scale)  # type: ignore[arg-type]
    x = random_samples(program, seed)
    np.testing.assert_array_equal(run_program(again, x), run_program(program, x))


def test_layout_is_the_documented_one() -> None:
    magic, version, length = HEADER.unpack_from(CONTENT)
    assert (magic, version) == (b"FXPGRAD\0", 2) == (MAGIC, VERSION)
    manifest = json.loads(CONTENT[20 : 20 + length])
    data = CONTENT[20 + length : -32]
    assert len(data) == manifest["data_bytes"]
    assert hashlib.sha256(CONTENT[:-32]).digest() == CONTENT[-32:]
    for entry in manifest["constants"]:
        assert entry["offset"] % 16 == 0
        raw = np.frombuffer(data, np.dtype(entry["dtype"]).newbyteorder("<"), offset=entry["offset"])
        stored = raw[: int(np.prod(entry["shape"]))].reshape(entry["shape"])
        np.testing.assert_array_equal(stored, PROGRAM.constants[entry["name"]].data)


def test_every_flipped_byte_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "damaged.fxp"
    rng = np.random.default_rng(0)
    ends = [*range(24), *range(len(CONTENT) - 34, len(CONTENT))]
    for position in [*ends, *rng.integers(0, len(CONTENT), 400)]:
        damaged = bytearray(CONTENT)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"damaged\.fxp"):
            load(path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.fxp"
    rng = np.random.default_rng(1)
    lengths = [*range(60), len(CONTENT) - 1, len(CONTENT) - 32, *rng.integers(0, len(CONTENT), 200)]
    for length in lengths:
        path.write_bytes(CONTENT[:length])
        with pytest.raises(StoreError, match=r"short\.fxp"):
            load(path)


def test_appended_bytes_are_refused() -> None:
    with pytest.raises(StoreError, match="the data is corrupt"):
        from_bytes(CONTENT + b"\0")


def signed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_another_version_and_another_kind_of_file_are_refused() -> None:
    with pytest.raises(StoreError, match=r"has \.fxp version 1; this release reads version 2"):
        from_bytes(signed(HEADER.pack(MAGIC, 1, 2) + b"{}"))
    for content in (b"", b"PK\x03\x04" * 30, b"\0" * 100, MAGIC):
        with pytest.raises(StoreError, match=r"not an \.fxp file"):
            from_bytes(content)


def crafted(change: Callable[[Manifest], Any]) -> bytes:
    """Return the file with another manifest, and a digest that is right."""
    length = HEADER.unpack_from(CONTENT)[2]
    manifest = json.loads(CONTENT[20 : 20 + length])
    changed = change(manifest)
    text = json.dumps(manifest if changed is None else changed).encode()
    return signed(HEADER.pack(MAGIC, VERSION, len(text)) + text + CONTENT[20 + length : -32])


def put(*path: Any, value: Any) -> Callable[[Manifest], None]:
    """Set the entry at `path` of the manifest."""

    def change(manifest: Manifest) -> None:
        place: Any = manifest
        for key in path[:-1]:
            place = place[key]
        assert path[-1] in place or isinstance(place, list)
        place[path[-1]] = value

    return change


CRAFTED: dict[str, Callable[[Manifest], Any]] = {
    "offset past the end": put("constants", 0, "offset", value=10**6),
    "offset near 2^63": put("constants", 0, "offset", value=2**63 - 8),
    "offset before the start": put("constants", 0, "offset", value=-1),
    "negative shape": put("constants", 0, "shape", value=[-1]),
    "two negative sizes": put("constants", 0, "shape", value=[-2, -2]),
    "shape of another size": put("constants", 0, "shape", value=[1]),
    "shape of another rank": put("constants", 0, "shape", value=[1, 1, 1]),
    "sizes whose product wraps": put("constants", 0, "shape", value=[2**32, 2**32]),
    "size beyond int64": put("constants", 0, "shape", value=[2**70]),
    "infinite size": put("constants", 0, "shape", value=[float("inf")]),
    "type of pointers": put("constants", 0, "dtype", value="object"),
    "type of floats": put("constants", 0, "dtype", value="float32"),
    "axis beyond the rank": put("constants", 0, "axis", value=9),
    "scale that is text": put("constants", 0, "scale", value="1"),
    "scale that is NaN": put("constants", 0, "scale", value=[float("nan")]),
    "data bytes": put("data_bytes", value=0),
    "unknown kernel": put("calls", 0, "kernel", value="conv2d_a4w4"),
    "kernel that is no text": put("calls", 0, "kernel", value=["conv2d_a8w8"]),
    "training kernel": put("calls", 0, "kernel", value="update_w16"),
    "unknown profile": put("profile", value="fast"),
    "profile that is no text": put("profile", value=None),
    "tensor shape that disagrees": put("tensors", 0, "shape", value=[9, 9, 9]),
    "tensor of negative shape": put("tensors", 0, "shape", value=[-4, 4, 4]),
    "tensor of wrapping shape": put("tensors", 0, "shape", value=[2**32, 2**32]),
    "tensor of no such type": put("tensors", 0, "dtype", value="int7"),
    "tensor scale zero": put("tensors", 0, "scale", value=0.0),
    "tensor scale infinite": put("tensors", 0, "scale", value=float("inf")),
    "infinite zero point": put("tensors", 0, "zero_point", value=float("inf")),
    "inputs unknown": put("inputs", value=["nothing"]),
    "inputs that are no texts": put("inputs", value=[["image"]]),
    "outputs empty": put("outputs", value=[]),
    "parameter that is text": put("calls", 0, "parameters", value={"stride_h": "x"}),
    "parameters that are a list": put("calls", 0, "parameters", value=[]),
    "constants of a call that are a list": put("calls", 0, "constants", value=["weights"]),
    "calls that are a number": put("calls", value=3),
    "metadata that is a list": put("metadata", value=[1]),
    "manifest that is a list": lambda manifest: [manifest],
    "manifest that is a number": lambda manifest: 7,
    "no tensors": lambda manifest: manifest.pop("tensors") and None,
}


@pytest.mark.parametrize("change", CRAFTED.values(), ids=tuple(CRAFTED))
def test_crafted_manifests_with_a_right_digest_are_refused(change: Callable[[Manifest], Any]) -> None:
    with pytest.raises(StoreError, match=r"crafted\.fxp is not a valid Program"):
        from_bytes(crafted(change), "crafted.fxp")


def test_the_unchanged_manifest_passes_the_same_way() -> None:
    assert to_bytes(from_bytes(crafted(lambda manifest: None))) == CONTENT


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"nan", b'{"name": 1}'],
    ids=lambda t: repr(t[:8]),
)
def test_manifests_that_are_no_json_object_are_refused(text: bytes) -> None:
    with pytest.raises(StoreError, match="not a valid Program"):
        from_bytes(signed(HEADER.pack(MAGIC, VERSION, len(text)) + text))


def test_a_manifest_length_past_the_end_is_refused() -> None:
    with pytest.raises(StoreError, match="not a valid Program"):
        from_bytes(signed(HEADER.pack(MAGIC, VERSION, 2**64 - 1) + b"{}"))


@pytest.mark.parametrize("seed", range(3))
def test_random_edits_of_a_manifest_are_refused_or_still_run(seed: int) -> None:
    """Numbers of the manifest replaced at random: a StoreError or a Program that runs, never a crash."""
    rng = np.random.default_rng(seed)
    x = random_samples(PROGRAM, seed)
    numbers = (-1, 0, 1, 2, 3, 7, 15, 64, 127, 1000)

    def spots(node: Any) -> list[tuple[Any, Any]]:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        found = []
        for key, value in items:
            if isinstance(value, (dict, list)):
                found += spots(value)
            elif isinstance(value, int):
                found.append((node, key))
        return found

    def edit(manifest: Manifest) -> None:
        places = spots(manifest)
        for _ in range(int(rng.integers(1, 3))):
            place, key = places[rng.integers(len(places))]
            place[key] = int(rng.choice(numbers))

    accepted = 0
    for _ in range(300):
        try:
            program = from_bytes(crafted(edit))
        except StoreError:
            continue
        accepted += 1
        info = program.tensors[program.inputs[0]]
        if info.shape == x.shape[1:]:
            run_program(program, x.view(info.outer_dtype))
    assert 0 < accepted < 300


def full_disk(*arguments: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullDisk(io.BytesIO):
    """A file whose buffer cannot be written out."""

    def write(self, content: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.fxp"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fdopen", lambda handle, mode: os.close(handle) or FullDisk())
    with pytest.raises(StoreError, match=r"cannot write .*kept\.fxp: No space left on device"):
        save(PROGRAM, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["fsync", "fdopen", "replace", "chmod"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.fxp"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, failing, full_disk)
    with pytest.raises(StoreError, match=r"cannot write .*kept\.fxp: No space left on device"):
        save(PROGRAM, path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_directories_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*nowhere.*No such file"):
        save(PROGRAM, tmp_path / "nowhere" / "a.fxp")
    with pytest.raises(StoreError, match=r"cannot read .*absent\.fxp: No such file"):
        load(tmp_path / "absent.fxp")
    with pytest.raises(StoreError, match="cannot read"):
        load(tmp_path)
    with pytest.raises(StoreError, match="cannot write"):
        save(PROGRAM, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_replaces_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "a.fxp"
    save(random_program(5), path)
    save(PROGRAM, path)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]
