"""The cache of compiled kernels: nothing at import, nothing stale, shared by processes, never required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import fxpgrad_kernels
from fxpgrad_kernels import jit, registry

PACKAGE = Path(fxpgrad_kernels.__file__).parent
REQUANTIZE = """
    import numpy as np
    from fxpgrad_kernels.arithmetic.requantize import requantize_array
    x, m, s = np.array([3 << 20], np.int32), np.array([2**30], np.int32), np.array([1], np.int32)
    out = np.empty(1, np.int32)
    requantize_array(x, m, s, out, 0)
    print(out[0])
"""


@pytest.fixture
def sources(tmp_path):
    """Return a folder that holds a copy of the kernel package, free to edit."""
    root = tmp_path / "sources"
    shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def run(code: str, sources: Path, cache: Path, **environment: str) -> str:
    """Run code in a fresh process that imports the kernels from `sources`; return what it prints."""
    settings = os.environ | {"PYTHONPATH": str(sources), "NUMBA_CACHE_DIR": str(cache)} | environment
    settings["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [sys.executable, "-c", textwrap.dedent(code)]
    result = subprocess.run(command, env=settings, cwd=sources, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def machine_code(cache: Path) -> dict[Path, int]:
    """Return the files of compiled code with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.suffix in {".nbc", ".nbi"}}


def test_import_compiles_nothing(sources, tmp_path):
    cache = tmp_path / "cache"
    run("import fxpgrad, fxpgrad_kernels.registry as r; r.kernels()", sources, cache)
    assert machine_code(cache) == {}


def test_package_under_test_is_the_copy(sources, tmp_path):
    printed = run("import fxpgrad_kernels as k; print(k.__file__)", sources, tmp_path / "cache")
    assert Path(printed).is_relative_to(sources)


def test_second_process_loads_what_the_first_compiled(sources, tmp_path):
    cache = tmp_path / "cache"
    first_result = run(REQUANTIZE, sources, cache)
    first = machine_code(cache)
    assert any(path.suffix == ".nbc" for path in first)
    hits = """
    from fxpgrad_kernels.arithmetic import requantize as r
    print(len(r.requantize_array.stats.cache_hits), len(r.requantize_array.stats.cache_misses))
    """
    second = run(textwrap.dedent(REQUANTIZE) + textwrap.dedent(hits), sources, cache)
    assert second.split() == [first_result, "1", "0"]
    assert machine_code(cache) == first


def test_only_kernels_are_stored(sources, tmp_path):
    cache = tmp_path / "cache"
    run(REQUANTIZE, sources, cache)
    assert {path.name.split(".")[1].split("-")[0] for path in machine_code(cache)} == {"requantize_array"}


def test_device_function_cannot_be_called_from_python():
    @jit.device
    def twice(value):
        return value + value

    with pytest.raises(TypeError, match="twice is a device function"):
        twice(1)


def test_only_the_kernel_can_be_called_from_other_code():
    """Two modules may hold functions of one name: `NRT_decref`, or one that an intrinsic defines."""
    spec = registry.kernel_named("conv2d_a8w8")
    text = jit.llvm_ir(spec.function, *spec.example_arguments())
    defined = [line for line in text.splitlines() if line.startswith("define ")]
    seen = [line for line in defined if not line.startswith("define private ")]
    assert len(defined) > len(seen) == 2  # the function itself, and what Python calls
    assert all("conv2d" in line for line in seen)


def test_kernel_runs_where_the_cache_vanished(sources, tmp_path):
    cache = tmp_path / "cache"
    vanish = """
        import shutil
        from fxpgrad_kernels import jit
        from fxpgrad_kernels.arithmetic import requantize
        shutil.rmtree(jit.cache_directory())
    """
    assert run(textwrap.dedent(vanish) + textwrap.dedent(REQUANTIZE), sources, cache) == str(3 << 20)


def test_edit_of_a_function_in_another_file_is_never_served_stale(sources, tmp_path):
    cache = tmp_path / "cache"
    assert run(REQUANTIZE, sources, cache) == str(3 << 20)
    callee = sources / PACKAGE.name / "arithmetic" / "saturate.py"
    times = os.stat(callee).st_atime_ns, os.stat(callee).st_mtime_ns
    text = callee.read_text()
    edited = text.replace("INT32_MIN), INT32_MAX)", "INT32_MIN), INT8_MAX + 0)")
    assert edited != text
    callee.write_text(edited)
    os.utime(callee, ns=times)  # not even the time of the file need change
    # the edited clamp first cuts 2 * x to 127; then 127 / 2 rounds to 64
    assert run(REQUANTIZE, sources, cache) == "64"
    callee.write_text(text)
    assert run(REQUANTIZE, sources, cache) == str(3 << 20)


def test_any_edit_moves_the_cache(sources, tmp_path):
    code = "from fxpgrad_kernels import jit; print(jit.cache_directory())"
    before = run(code, sources, tmp_path / "cache")
    (sources / PACKAGE.name / "arithmetic" / "added.py").write_text("# nothing\n")
    after = run(code, sources, tmp_path / "cache")
    assert before != after
    assert Path(before).parent == Path(after).parent == tmp_path / "cache"


def test_cache_directory_that_cannot_be_made_falls_back_to_a_private_one(sources, tmp_path):
    blocked = tmp_path / "a_file"
    blocked.write_text("in the way")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = textwrap.dedent(REQUANTIZE) + "from fxpgrad_kernels import jit; print(jit.cache_directory())"
    result, used = run(code, sources, blocked / "cache", TMPDIR=str(temporary)).split()
    assert result == str(3 << 20)
    assert Path(used).parent == temporary
    assert blocked.read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root writes everywhere")
def test_read_only_cache_directory_falls_back_to_a_private_one(sources, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    assert run(REQUANTIZE, sources, cache) == str(3 << 20)
    assert machine_code(cache) == {}


@pytest.mark.parametrize("suffix", [".nbc", ".nbi"])
@pytest.mark.parametrize("left", [0, 50])
def test_damaged_cache_files_are_made_anew(sources, tmp_path, suffix, left):
    cache = tmp_path / "cache"
    expected = run(REQUANTIZE, sources, cache)
    damaged = [path for path in machine_code(cache) if path.suffix == suffix]
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:left])
    assert run(REQUANTIZE, sources, cache) == expected
    assert all(path.stat().st_size > left for path in damaged)
    before = machine_code(cache)
    assert run(REQUANTIZE, sources, cache) == expected
    assert machine_code(cache) == before


FULL_DISK = """
    import numba.core.caching as caching
    def full(*arguments):
        raise OSError(28, "No space left on device")
    caching.IndexDataCacheFile.save = full
"""


def test_a_full_disk_costs_the_cache_and_nothing_else(sources, tmp_path):
    cache = tmp_path / "cache"
    assert run(textwrap.dedent(FULL_DISK) + textwrap.dedent(REQUANTIZE), sources, cache) == str(3 << 20)
    assert machine_code(cache) == {}


READ_ONLY = """
    import tempfile
    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system")
    tempfile.TemporaryFile = refuse
"""


def test_machine_code_that_cannot_be_added_to_is_read(sources, tmp_path):
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    expected = run(REQUANTIZE, sources, cache)
    before = machine_code(cache)
    code = textwrap.dedent(READ_ONLY) + textwrap.dedent(REQUANTIZE)
    assert run(code, sources, cache, TMPDIR=str(temporary)) == expected
    assert machine_code(cache) == before
    assert list(temporary.iterdir()) == []


def test_a_private_directory_goes_with_its_process(sources, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = textwrap.dedent(READ_ONLY) + textwrap.dedent(REQUANTIZE)
    assert run(code, sources, tmp_path / "cache", TMPDIR=str(temporary)) == str(3 << 20)
    assert list(temporary.iterdir()) == []


def test_folders_of_other_sources_are_forgotten_when_they_are_old(sources, tmp_path):
    cache = tmp_path / "cache"
    day = 24 * 60 * 60
    ages = {f"kernels-{number:016x}": number * 4 * day for number in range(10)}
    for name, age in ages.items():
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age,) * 2)
    (cache / "kernels-of-mine").mkdir()
    (cache / "kernels-ffffffffffffffff").symlink_to(cache / "kernels-of-mine")
    run("from fxpgrad_kernels import jit; jit.cache_directory()", sources, cache)
    kept = {path.name for path in cache.iterdir()}
    assert {"kernels-of-mine", "kernels-ffffffffffffffff"} < kept
    assert kept & set(ages) == {f"kernels-{number:016x}" for number in range(4)}
