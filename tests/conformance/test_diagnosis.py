"""Every cause, played by a target, is found again; the definition itself is none."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.conformance.cases import legal_case
from fxpgrad.conformance.causes.cause import Cause
from fxpgrad.conformance.definition import expected_of
from fxpgrad.conformance.diagnosis import Sample, causes_of, diagnose
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.registry import kernel_named, kernels
from fxpgrad_kernels.spec import KernelSpec

NAMES = (
    "conv2d_a8w8", "depthwise_conv2d_a8w8", "fully_connected_a8w8", "transpose_conv2d_a8w8", "conv2d_a16w8",
    "add_a8", "sub_a16", "mul_a8", "average_pool2d_a8", "max_pool2d_a8", "requantize_a32", "batch_matmul_a8",
)  # fmt: skip


def samples_of(spec: KernelSpec, cause: Cause | None, count: int, profile: str | None = None) -> list[Sample]:
    """Return what a target with this fault writes; without one, what the definition says."""
    rng, found = np.random.default_rng(3), list[Sample]()
    chosen = None if profile is None else profile_named(profile)
    for _ in range(count):
        case = legal_case(spec.name, rng, chosen)
        expected = expected_of(spec, case)
        got = expected if cause is None else cause.outputs(case)
        if got is not None:
            found.append(Sample(case, expected, got))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_played_cause_is_found(name):
    """Of every family of causes; which of them coincide in all samples is a matter of the samples."""
    spec = kernel_named(name)
    causes = list(causes_of(spec))
    assert len({cause.name for cause in causes}) == len(causes)
    for cause in causes[::5]:
        samples = samples_of(spec, cause, 25)
        diagnosis = diagnose(spec, samples)
        if diagnosis.failing * 2 > len(samples):
            assert cause.name in {found.name for found in diagnosis.causes}, cause.name


def test_a_right_target_has_no_diagnosis():
    spec = kernel_named("conv2d_a8w8")
    diagnosis = diagnose(spec, samples_of(spec, None, 5))
    assert (diagnosis.causes, diagnosis.failing, diagnosis.passing, diagnosis.tried) == ((), 0, 5, 0)


def test_a_cause_that_one_right_result_contradicts_is_none():
    spec = kernel_named("add_a8")
    (cause,) = (c for c in causes_of(spec) if c.name == "output_zero_point dropped")
    samples = samples_of(spec, cause, 20)
    assert [found.name for found in diagnose(spec, samples).causes] == [cause.name]
    honest = Sample(samples[0].case, samples[0].expected, samples[0].expected)
    moved = next(s for s in samples if s.fails)
    contradicted = [*samples, Sample(moved.case, moved.expected, moved.expected)]
    assert diagnose(spec, [*samples, honest]).causes or samples[0].fails
    assert diagnose(spec, contradicted).causes == ()


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("conv2d_a8w8", "output_zero_point sign", "bias dropped"),
        ("conv2d_a8w8", "stride swapped", "padding holds 0"),
        ("add_a8", "input_a_zero_point sign", "clamps ignored"),
    ],
)
def test_two_faults_at_once_are_named_together(name, one, other):
    spec = kernel_named(name)
    by_name = {cause.name: cause for cause in causes_of(spec)}
    samples = samples_of(spec, by_name[other].after(by_name[one]), 60)
    diagnosis = diagnose(spec, samples, seconds=120.0)
    assert [cause.name for cause in diagnosis.causes] == [f"{one} + {other}"]
    assert diagnosis.causes[0].sentence == f"{by_name[one].sentence}; and {by_name[other].sentence}"


def test_what_nothing_explains_stays_unexplained():
    spec = kernel_named("add_a8")
    rng = np.random.default_rng(0)
    samples = [
        Sample(
            sample.case, sample.expected, {"output": rng.permutation(sample.expected["output"]) ^ np.int8(1)}
        )
        for sample in samples_of(spec, None, 30)
    ]
    assert diagnose(spec, samples).causes == ()


def test_a_rounding_of_another_runtime_is_named():
    spec = kernel_named("fully_connected_a8w8")
    (cause,) = (c for c in causes_of(spec) if c.name == "rounding SINGLE")
    assert "tosa_single" in cause.sentence
    diagnosis = diagnose(spec, samples_of(spec, cause, 60, "tflite_double"))
    assert [found.name for found in diagnosis.causes] == ["rounding SINGLE"]


@pytest.mark.parametrize("name", kernels())
def test_causes_of_every_kernel_can_be_listed(name):
    for cause in causes_of(kernel_named(name)):
        assert cause.name
        assert not cause.sentence.endswith(".")
