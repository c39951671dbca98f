"""Faults planted in the C ports are found, most of them with their cause; the ports as they are pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fxpgrad.codegen.ports import port_files
from fxpgrad.conformance.conform import Setup, conform
from tests.conformance.mutants import MUTANTS, Mutant, build_port
from tests.guarded_memory import needs_guards

pytestmark = [
    needs_guards,
    pytest.mark.skipif(
        shutil.which("cc") is None and shutil.which("gcc") is None, reason="needs a C compiler"
    ),
]

HONEST = (
    "conv2d_a8w8", "depthwise_conv2d_a8w8", "fully_connected_a8w8", "add_a8", "average_pool2d_a8",
    "max_pool2d_a8", "softmax_a8", "requantize_a32",
)  # fmt: skip
SECONDS = 60.0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kernel}-{mutant.name}")
def test_a_planted_fault_is_found(mutant: Mutant, tmp_path: Path) -> None:
    library = build_port(mutant.kernel, tmp_path, mutant)
    setup = Setup(timeout=1.0)
    verdict = conform(library, mutant.kernel, seconds=SECONDS, shrink_seconds=1.0, setup=setup)
    assert mutant.kind in [finding.kind for finding in verdict.findings]
    if mutant.cause:
        assert verdict.diagnosis is not None
        assert [cause.name for cause in verdict.diagnosis.causes] == [mutant.cause]


@pytest.mark.parametrize("kernel", HONEST)
def test_an_honest_port_passes(kernel: str, tmp_path: Path) -> None:
    verdict = conform(build_port(kernel, tmp_path), kernel, cases=100)
    assert verdict.passed, verdict.findings


@pytest.mark.deep
@pytest.mark.parametrize("kernel", sorted(port_files()))
def test_every_port_passes_many_cases(kernel: str, tmp_path: Path) -> None:
    assert conform(build_port(kernel, tmp_path), kernel, cases=1000).passed


def test_enough_is_planted():
    values = [mutant for mutant in MUTANTS if mutant.kind == "values"]
    assert len(MUTANTS) >= 12
    assert sum(bool(mutant.cause) for mutant in values) >= 8
    assert len({mutant.name + mutant.kernel for mutant in MUTANTS}) == len(MUTANTS)
