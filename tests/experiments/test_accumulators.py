"""Narrow accumulators of whole Programs: proofs, exact emulation and counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxpgrad.errors import InputError
from fxpgrad.experiments.accumulators import check_accumulators, prove_layers
from fxpgrad.graph.graph import Graph, Node, Quantization, Tensor
from fxpgrad.program.execute import run_program, run_reference
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad_kernels.registry import kernel_named
from tests.program.random_programs import random_program, random_samples, small_network


def program() -> Program:
    return lower(small_network(weight_bits=8)[1])


def widths(model: Program) -> dict[str, int]:
    return {layer.call: layer.proved_bits for layer in prove_layers(model, 16)}


@given(st.integers(0, 30))
def test_an_accumulator_of_the_proved_width_changes_nothing(seed: int) -> None:
    model = random_program(seed)
    try:
        widest = max(widths(model).values())
    except InputError:
        return  # no layer with weights
    if not 8 <= widest <= 32:
        return
    x = random_samples(model, seed)
    for on_overflow in ("wrap", "saturate"):
        result = check_accumulators(model, x, widest, on_overflow)  # type: ignore[arg-type]
        assert all(layer.fits and not layer.overflows for layer in result.layers)
        assert result.differing_rows == 0
        np.testing.assert_array_equal(result.exact, run_program(model, x))


def test_no_sum_is_larger_than_the_proof_says() -> None:
    model = program()
    x = random_samples(model, 3, batch=20)
    for layer in check_accumulators(model, x, 32).layers:
        assert 0 < layer.largest < 2 ** (layer.proved_bits - 1)
        assert layer.elements > 0


@pytest.mark.parametrize("on_overflow", ["wrap", "saturate"])
def test_a_narrow_run_is_the_reference_of_every_layer_in_turn(on_overflow: str) -> None:
    model = program()
    x = random_samples(model, 1, batch=6)
    bits = min(widths(model).values()) - 3
    result = check_accumulators(model, x, bits, on_overflow, batch=4)  # type: ignore[arg-type]
    assert any(layer.overflows for layer in result.layers)
    narrow = {layer.call for layer in result.layers}
    calls = []
    for call in model.calls:
        if call.name not in narrow:
            calls.append(call)
            continue
        family, _, types = call.kernel.rpartition("_")
        parameters = {**call.parameters, "accumulator_bits": bits, "saturate": int(on_overflow == "saturate")}
        calls.append(dataclasses.replace(call, kernel=f"{family}_narrow_{types}", parameters=parameters))
    twin = dataclasses.replace(model, calls=tuple(calls))
    assert all(kernel_named(call.kernel) for call in calls)
    np.testing.assert_array_equal(result.outputs, run_reference(twin, x)[model.outputs[0]])


def stateful() -> Program:
    """Return y = dense(v + x), with v = v + x kept from row to row."""
    eighth = Quantization(np.array([0.125]), np.array([3], np.int64))
    plain = Quantization(np.array([0.125]), np.zeros(1, np.int64))
    weights = np.random.default_rng(0).integers(-99, 99, (2, 4)).astype(np.int8)
    tensors = {name: Tensor(name, (4,), "int8", eighth) for name in ("x", "v", "sum")}
    tensors |= {"y": Tensor("y", (2,), "int8", Quantization(np.array([2.0]), np.array([0], np.int64)))}
    tensors |= {"w": Tensor("w", (2, 4), "int8", plain, weights)}
    bias = Quantization(np.full(1, 0.125**2), np.zeros(1, np.int64))
    tensors |= {"b": Tensor("b", (2,), "int32", bias, np.array([5, -7], np.int32))}
    none = {"activation": "none"}
    nodes = (
        Node("sum", "add", ("x", "v"), "sum", none),
        Node("y", "fully_connected", ("sum", "w", "b"), "y", none),
        Node("keep", "assign", ("sum",), "v"),
    )
    return lower(Graph("stateful", tensors, nodes, ("x",), ("y",), ("v",)))


def test_a_stateful_model_is_stepped_once_for_each_row() -> None:
    model = stateful()
    x = np.random.default_rng(1).integers(-9, 9, (20, 4)).astype(np.int8)
    result = check_accumulators(model, x, 32)
    np.testing.assert_array_equal(result.exact, run_program(model, x))
    assert result.differing_rows == 0


def test_counts_do_not_depend_on_the_batch() -> None:
    model = program()
    x = random_samples(model, 2, batch=9)
    one, four = (check_accumulators(model, x, 10, "saturate", batch=batch) for batch in (1, 4))
    assert one.layers == four.layers
    np.testing.assert_array_equal(one.outputs, four.outputs)


def test_accuracy_counts_the_first_largest_output() -> None:
    model = program()
    x = random_samples(model, 5, batch=12)
    result = check_accumulators(model, x, 32)
    labels = run_program(model, x).argmax(axis=1).astype(np.int32)
    assert result.correct(labels) == (12, 12)


def test_without_data_only_the_proofs_are_made() -> None:
    result = check_accumulators(program(), bits=16)
    assert result.rows == 0
    assert result.differing_rows == 0
    assert [layer.proved_bits <= 16 for layer in result.layers] == [layer.fits for layer in result.layers]


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(InputError, match="accumulator bits"):
        check_accumulators(program(), bits=7)
    with pytest.raises(InputError, match="wrap or saturate"):
        check_accumulators(program(), None, 16, "clip")  # type: ignore[arg-type]
