"""Heads: exposing the accumulators of one, attaching one, and cutting a Program in two."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxpgrad.errors import InputError, LoweringError
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.program.execute import Executor, run_program, run_reference
from fxpgrad.program.head import (
    ACCUMULATORS,
    attach_linear_head,
    has_linear_head,
    split_before,
    with_accumulator_output,
)
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import dequantize_output
from fxpgrad.program.store import from_bytes, to_bytes
from fxpgrad.program.validate import check_program
from fxpgrad.quantize import quantize
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.arithmetic.requantize_ref import requantize_ref
from tests.program.random_programs import random_program, random_samples, small_network


def features() -> Program:
    """Return a Program that ends in 5 int8 features."""
    program = lower(small_network()[1])
    body, _ = split_before(program, len(program.calls) - 1)
    assert body is not None
    return body


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("split", [False, True])
def test_requantized_accumulators_are_the_logits(seed: int, profile: str, split: bool) -> None:
    program = random_program(seed, profile, split)
    exposed = with_accumulator_output(program)
    check_program(exposed)
    last = program.calls[-1]
    x = random_samples(program, seed)
    accumulators = run_program(exposed, x)
    assert accumulators.dtype == np.int32
    pairs = (program.constants[last.constants[name]].data for name in ("multiplier", "shift"))
    p = last.parameters
    logits = requantize_ref(accumulators, *pairs, p["rounding"]) + p["output_zero_point"]
    np.testing.assert_array_equal(np.clip(logits, p["clamp_low"], p["clamp_high"]), run_program(program, x))
    np.testing.assert_array_equal(accumulators, run_reference(exposed, x)[ACCUMULATORS])


def test_exposing_keeps_weights_and_drops_what_nothing_reads() -> None:
    program = random_program(0)
    exposed = with_accumulator_output(program)
    last = program.calls[-1]
    gone = set(program.constants) - set(exposed.constants)
    assert gone == {last.constants["multiplier"], last.constants["shift"]}
    assert last.output not in exposed.tensors
    assert exposed.calls[-1].constants["weights"] == last.constants["weights"]
    assert with_accumulator_output(exposed) is exposed
    assert to_bytes(from_bytes(to_bytes(exposed))) == to_bytes(exposed)


def test_exposing_keeps_constants_that_another_layer_shares() -> None:
    program = random_program(0)
    first = next(call for call in program.calls if "multiplier" in call.constants)
    last = program.calls[-1]
    sharing = dataclasses.replace(
        first, constants={**first.constants, "multiplier": last.constants["multiplier"]}
    )
    calls = tuple(sharing if call is first else call for call in program.calls)
    exposed = with_accumulator_output(dataclasses.replace(program, calls=calls))
    assert last.constants["multiplier"] in exposed.constants


def test_a_program_without_a_linear_head_is_refused() -> None:
    body = features()
    assert not has_linear_head(body)
    with pytest.raises(InputError, match="attach a head first"):
        with_accumulator_output(body)
    with pytest.raises(InputError, match="attach a head first"):
        with_accumulator_output(dataclasses.replace(body, calls=()))


@pytest.mark.parametrize("weight_bits", [8, 16])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_an_attached_head_computes_the_real_head(weight_bits: int, scale: float) -> None:
    body = features()
    rng = np.random.default_rng(0)
    weights, bias = scale * rng.normal(size=(4, 5)), scale * rng.normal(size=4)
    program = attach_linear_head(body, weights, bias, weight_bits=weight_bits)
    check_program(program)
    assert program.calls[-1].name == "head"
    x = random_samples(program, 1, batch=6)
    info = body.tensors[body.outputs[0]]
    real = info.scale * (run_program(body, x).astype(float) - info.zero_point)
    step = abs(weights).max() / (127 if weight_bits == 8 else 32767)
    tolerance = 0.5 * step * (abs(real).sum(axis=1).max() + info.scale) + 1e-12
    error = abs(dequantize_output(program, run_program(program, x)) - (real @ weights.T + bias))
    assert error.max() <= tolerance
    scales = program.constants["head/weights"].scale
    assert scales is not None
    assert np.unique(scales).size == 1
    np.testing.assert_array_equal(run_program(program, x), run_reference(program, x)[ACCUMULATORS])


def test_a_head_of_zeros_and_one_with_a_huge_bias_stay_exact() -> None:
    body = features()
    zeros = attach_linear_head(body, np.zeros((3, 5)), np.zeros(3))
    assert not run_program(zeros, random_samples(zeros, 0)).any()
    heavy = attach_linear_head(body, np.full((2, 5), 1e-6), np.array([1e6, -1e6]))
    real = dequantize_output(heavy, run_program(heavy, random_samples(heavy, 0)))
    np.testing.assert_allclose(real, np.broadcast_to([1e6, -1e6], real.shape), rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "bias", "bits", "message"),
    [
        (np.ones((3, 4)), np.ones(3), 16, "does not fit the output"),
        (np.ones(5), np.ones(1), 16, "does not fit the output"),
        (np.ones((3, 5)), np.ones(2), 16, "as many biases"),
        (np.full((3, 5), np.nan), np.ones(3), 16, "finite numbers"),
        (np.ones((3, 5)), np.full(3, np.inf), 16, "finite numbers"),
        (np.ones((3, 5)), np.ones(3), 4, "must be 8 or 16; got 4"),
    ],
)
def test_heads_that_do_not_fit_are_refused(weights, bias, bits: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attach_linear_head(features(), weights, bias, weight_bits=bits)


def test_a_head_whose_accumulators_leave_int32_is_refused() -> None:
    net = GraphBuilder("wide")
    x = net.activation(net.input("x", (600,)), "relu")
    graph = quantize(net.build(x), np.random.default_rng(0).normal(size=(4, 600)).astype(np.float32))
    with pytest.raises(LoweringError, match=r"head head: .* use 8-bit head weights"):
        attach_linear_head(lower(graph), np.ones((2, 600)), np.zeros(2))
    attach_linear_head(lower(graph), np.ones((2, 600)), np.zeros(2), weight_bits=8)


@pytest.mark.parametrize("seed", range(6))
def test_the_two_parts_of_a_cut_program_give_its_bits(seed: int) -> None:
    program = random_program(seed)
    x = random_samples(program, seed)
    whole, cuts = run_program(program, x), 0
    for index in range(1, len(program.calls)):
        try:
            first, second = split_before(program, index)
        except LoweringError:
            continue
        cuts += 1
        assert first is not None
        check_program(first)
        check_program(second)
        np.testing.assert_array_equal(run_program(second, run_program(first, x)), whole)
        assert set(first.constants) | set(second.constants) == set(program.constants)
    assert cuts > 0


def test_cutting_before_the_first_call_leaves_nothing_in_front() -> None:
    program = random_program(1)
    assert split_before(program, 0) == (None, program)


def test_a_cut_through_a_branch_is_refused() -> None:
    net = GraphBuilder("residual")
    x = net.input("x", (3, 3, 2))
    x = net.add(x, net.conv2d(x, np.ones((2, 1, 1, 2))), name="add")
    residual = lower(
        quantize(net.build(x), np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype(np.float32))
    )
    with pytest.raises(LoweringError, match="2 tensors cross the cut before add"):
        split_before(residual, 1)


def test_executor_of_the_tail_runs_on_the_cached_front() -> None:
    program = lower(small_network()[1])
    x = random_samples(program, 2, batch=4)
    first, second = split_before(with_accumulator_output(program), len(program.calls) - 1)
    assert first is not None
    cached = run_program(first, x)
    tail = Executor(second, 4)
    np.testing.assert_array_equal(tail.run(cached), run_program(with_accumulator_output(program), x))


def test_a_layer_that_is_called_like_the_new_tensor_keeps_its_numbers() -> None:
    rng = np.random.default_rng(3)
    programs = []
    for inner in ("accumulators", "hidden"):
        builder = GraphBuilder("net")
        x = builder.input("x", (6,))
        rng = np.random.default_rng(3)
        h = builder.fully_connected(
            x, rng.normal(0, 1, (5, 6)).astype(np.float32), np.zeros(5, np.float32), name=inner
        )
        out = builder.fully_connected(h, rng.normal(0, 1, (3, 5)).astype(np.float32), np.zeros(3, np.float32))
        data = np.random.default_rng(4).normal(0, 1, (20, 6)).astype(np.float32)
        programs.append(with_accumulator_output(lower(quantize(builder.build([out]), data))))
    values = np.random.default_rng(5).integers(-128, 128, (4, 6)).astype(np.int8)
    np.testing.assert_array_equal(run_program(programs[0], values), run_program(programs[1], values))
    body, _ = split_before(programs[0], 1)
    assert body is not None
    check_program(attach_linear_head(body, np.ones((2, 5)), np.zeros(2)))
