"""Functions with the signatures of CMSIS-NN: ours of that shape pass, and faults in them are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fxpgrad.codegen.host_compiler import found_compiler, run_compiler
from fxpgrad.conformance.conform import Setup, Verdict, conform
from fxpgrad.errors import InputError
from tests.guarded_memory import needs_guards

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None and shutil.which("gcc") is None, reason="needs a C compiler"
)
SOURCE = Path(__file__).with_name("cmsis_shaped.c")
DILATION_SWAPPED, OFFSET_SIGN, RETURNS_ERROR, SCRATCH_TOO_SMALL, ROUNDS_UP = range(1, 6)


def verdict_on(folder: Path, kernel: str, fault: int = 0, **options) -> Verdict:
    library = folder / f"fault{fault}.so"
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", f"-DFAULT={fault}")
    run_compiler([found_compiler(), *flags, SOURCE, "-o", library])
    setup = options.pop("setup", Setup(abi="cmsis"))
    return conform(library, kernel, setup=setup, **{"cases": 60, "shrink_seconds": 1.0, **options})


@pytest.mark.parametrize("kernel", ["conv2d_a8w8", "depthwise_conv2d_a8w8", "fully_connected_a8w8"])
def test_a_function_of_that_shape_passes(kernel, tmp_path):
    verdict = verdict_on(tmp_path, kernel)
    assert verdict.passed, verdict.findings
    assert verdict.cases == 60
    assert verdict.profile == "cmsis_default"


def test_what_the_signature_cannot_express_is_told(tmp_path):
    verdict = verdict_on(tmp_path, "conv2d_a8w8")
    assert verdict.refused["groups"] > 0
    assert set(verdict.refused) <= {"groups", "accumulators that may leave int32"}


def test_a_wrapper_takes_no_upscaling(tmp_path):
    setup = Setup(abi="cmsis-wrapper", symbol="arm_convolve_wrapper_s8")
    assert verdict_on(tmp_path, "conv2d_a8w8", setup=setup).passed


@pytest.mark.parametrize(
    ("kernel", "fault", "cause"),
    [
        ("conv2d_a8w8", DILATION_SWAPPED, "dilation swapped"),
        ("depthwise_conv2d_a8w8", DILATION_SWAPPED, "dilation swapped"),
        ("fully_connected_a8w8", OFFSET_SIGN, "output_zero_point sign"),
        ("conv2d_a8w8", ROUNDS_UP, "rounding DOUBLE_UP"),
    ],
)
def test_a_fault_is_found_and_named(kernel, fault, cause, tmp_path):
    verdict = verdict_on(tmp_path, kernel, fault, cases=1000)
    assert [finding.kind for finding in verdict.findings] == ["values"]
    assert [found.name for found in verdict.diagnosis.causes] == [cause]


def test_a_rounding_is_wrong_under_one_profile_and_right_under_another(tmp_path):
    assert verdict_on(tmp_path, "fully_connected_a8w8").passed
    other = verdict_on(tmp_path, "fully_connected_a8w8", profile="cmsis_single", cases=1000)
    names = [cause.name for cause in other.diagnosis.causes]
    assert names == ["rounding DOUBLE_AWAY", "rounding TOSA_DOUBLE"]  # equal where nothing leaves int32


def test_an_error_code_is_a_finding(tmp_path):
    (finding,) = verdict_on(tmp_path, "conv2d_a8w8", RETURNS_ERROR).findings
    assert (finding.kind, finding.text) == ("status", "returned -1 instead of 0")


@needs_guards
def test_a_scratch_buffer_that_is_asked_for_too_small_is_a_finding(tmp_path):
    (finding,) = verdict_on(tmp_path, "conv2d_a8w8", SCRATCH_TOO_SMALL).findings
    assert finding.kind == "bounds"
    assert "scratch" in finding.text


def test_a_profile_without_such_a_rounding_is_an_error(tmp_path):
    with pytest.raises(InputError, match="a rounding that CMSIS-NN does not have"):
        verdict_on(tmp_path, "fully_connected_a8w8", profile="xnnpack_float32")


def test_a_kernel_without_such_a_function_is_an_error(tmp_path):
    with pytest.raises(InputError, match="--abi cmsis knows"):
        verdict_on(tmp_path, "softmax_a8")
