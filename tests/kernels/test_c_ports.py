"""The C port of every kernel equals the definition, keeps to its arrays, and does nothing that C leaves open.

Compiled by each compiler that is installed, with every warning an error; between guard pages; and under the
address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from fxpgrad.codegen.header import DEVICE, HEADER, header_text
from fxpgrad.codegen.host_compiler import SANITIZED, build_shared
from fxpgrad.codegen.ports import port_files
from fxpgrad.testing import cases
from fxpgrad_kernels.registry import kernels
from tests.codegen.compilers import COMPILERS, needed
from tests.guarded_memory import Crash, Sandbox, needs_guards
from tests.kernels.c_port_call import check_drawn, check_port

PORTED = sorted(port_files())
CASES, DRAWN_CASES, DEEP_CASES = 20, 5, 10_000


@pytest.fixture(scope="module", params=COMPILERS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed(request.param)
    path = tmp_path_factory.mktemp("ports") / f"{request.param}.so"
    return build_shared(path, compiler=request.param)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Path]]:
    """Return a process in which gcc's sanitizers run, and the library that they watch."""
    needed("gcc")
    found = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(found):
        pytest.skip("gcc has no address sanitizer here")
    path = tmp_path_factory.mktemp("ports") / "sanitized.so"
    build_shared(path, compiler="gcc", flags=("-O1", *SANITIZED))
    old = {name: os.environ.get(name) for name in ("LD_PRELOAD", "ASAN_OPTIONS")}
    os.environ.update(LD_PRELOAD=found, ASAN_OPTIONS="detect_leaks=0:verify_asan_link_order=0")
    try:
        with Sandbox() as opened:
            yield opened, path
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def test_header_is_what_the_table_of_kernels_says():
    assert (DEVICE / HEADER).read_text() == header_text(), "run python -m fxpgrad.codegen.header"


@pytest.mark.parametrize(("target", "good"), [("msp430", False), ("x86_64", True)])
def test_an_int_of_16_bits_is_refused(target: str, good: bool) -> None:
    needed("clang")
    words = ["clang", f"--target={target}", "-ffreestanding", "-std=c99", "-fsyntax-only", DEVICE / HEADER]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "unknown target" in done.stderr:
        pytest.skip(f"clang has no target {target}")
    assert (done.returncode == 0) == good
    assert good or "fxp_int_has_32_bits" in done.stderr


def test_ports_are_of_registered_kernels():
    assert set(PORTED) <= set(kernels())


@needs_guards
@pytest.mark.parametrize("name", PORTED)
def test_port_equals_definition_between_guard_pages(name: str, library: Path, sandbox: Sandbox) -> None:
    sandbox.call(check_port, library, name, 0, CASES, True)


def check_drawn_cases(sandbox: Sandbox, library: Path, name: str, count: int) -> None:
    """Run a port on cases of Hypothesis, between guard pages: one that fails or kills the process shrinks."""

    @settings(max_examples=count)
    @given(case=cases(name))
    def check(case: dict[str, Any]) -> None:
        sandbox.call(check_drawn, library, name, case, True)

    check()


@needs_guards
@pytest.mark.parametrize("name", PORTED)
def test_port_equals_definition_on_cases_that_shrink(name: str, library: Path, sandbox: Sandbox) -> None:
    check_drawn_cases(sandbox, library, name, DRAWN_CASES)


@needs_guards
@pytest.mark.deep
@pytest.mark.parametrize("name", PORTED)
def test_port_equals_definition_on_many_cases_that_shrink(name: str, library: Path, sandbox: Sandbox) -> None:
    check_drawn_cases(sandbox, library, name, DEEP_CASES)


@needs_guards
@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [("clamp_high);", "clamp_high - 1);", AssertionError), ("(input[i],", "(input[i + 1],", Crash)],
    ids=["a bound too low", "an element too far"],
)
def test_a_planted_fault_is_found(
    right: str, wrong: str, error: type[Exception], sandbox: Sandbox, tmp_path: Path
) -> None:
    needed("gcc")
    text = port_files()["clamp_a8"].read_text()
    assert right in text
    (tmp_path / "clamp.c").write_text(text.replace(right, wrong))
    library = build_shared(tmp_path / "clamp.so", [tmp_path / "clamp.c"], compiler="gcc")
    with pytest.raises(error, match="clamp_a8"):
        check_drawn_cases(sandbox, library, "clamp_a8", 100)


@pytest.mark.parametrize("name", PORTED)
def test_sanitizers_are_silent(name: str, sanitized: tuple[Sandbox, Path]) -> None:
    sandbox, path = sanitized
    sandbox.call(check_port, path, name, 0, CASES, False)


@pytest.mark.deep
@pytest.mark.parametrize("name", PORTED)
def test_sanitizers_are_silent_in_many_cases(name: str, sanitized: tuple[Sandbox, Path]) -> None:
    sandbox, path = sanitized
    sandbox.call(check_port, path, name, 0, DEEP_CASES, False)
