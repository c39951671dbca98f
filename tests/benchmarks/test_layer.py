"""Layers: exact sums against Python integers, and verdicts on wrong numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fxpgrad.benchmarks.layer import (
    FINE,
    Geometry,
    compare_fine_outputs,
    compare_outputs,
    compare_real,
    compare_sums,
    exact_sums,
    make_layer,
)
from fxpgrad.benchmarks.ours import WIDE_64, layer_candidate, layer_program, wide_candidates
from fxpgrad.program.execute import run_reference

GEOMETRIES = (
    Geometry("dense", 3, 7, 5),
    Geometry("conv", 2, 3, 4, 5, 3),
    Geometry("conv", 1, 3, 4, 6, 3, 2),
    Geometry("conv", 1, 4, 3, 4, 1),
    Geometry("depthwise", 2, 4, 4, 5, 3),
    Geometry("depthwise", 1, 4, 4, 6, 3, 2),
)
ids = {"ids": [geometry.kind + " " + geometry.label for geometry in GEOMETRIES]}


def sums_by_loops(layer):
    """The same sums in Python integers, window by window."""
    g = layer.geometry
    if g.kind == "dense":
        x = layer.x.astype(object) - layer.input_zero_point
        return (x @ layer.weights.T.astype(object)).astype(np.int64)
    before, _ = g.padding
    out = np.zeros((g.batch, g.out_size, g.out_size, g.out_channels), np.int64)
    for image, y, x, channel in np.ndindex(out.shape):
        total = 0
        for row, column in np.ndindex(g.kernel, g.kernel):
            at = y * g.stride + row - before, x * g.stride + column - before
            if min(at) < 0 or max(at) >= g.size:
                continue
            pixel = layer.x[(image, *at)].astype(np.int64) - layer.input_zero_point
            if g.kind == "conv":
                total += int(pixel @ layer.weights[channel, row, column].astype(np.int64))
            else:
                total += int(pixel[channel]) * int(layer.weights[0, row, column, channel])
        out[image, y, x, channel] = total
    return out


@pytest.mark.parametrize("geometry", GEOMETRIES, **ids)
@pytest.mark.parametrize("bits", [8, 16])
def test_exact_sums_equal_loops_over_python_integers(geometry, bits):
    layer = make_layer(geometry, bits)
    np.testing.assert_array_equal(exact_sums(layer), sums_by_loops(layer))


@pytest.mark.parametrize("geometry", GEOMETRIES, **ids)
def test_our_layer_is_exact_and_equals_its_reference(geometry):
    layer = make_layer(geometry)
    assert layer_candidate(layer).result == "exact"
    program = layer_program(layer)
    reference = run_reference(program, layer.x)[program.outputs[0]]
    assert compare_outputs(layer, reference) == "exact"


def test_operands_use_the_whole_range():
    layer = make_layer(Geometry("dense", 64, 64, 64))
    assert (layer.x.min(), layer.x.max()) == (-128, 127)
    assert (layer.weights.min(), layer.weights.max()) == (-127, 127)


def test_wide_weights_in_both_widths_of_sums():
    candidates = wide_candidates(GEOMETRIES[1])
    assert [candidate.result for candidate in candidates] == ["exact", "exact"]
    assert candidates[-1].name == WIDE_64


def test_macs_and_labels():
    assert Geometry("dense", 2, 3, 5).macs == 30
    assert Geometry("conv", 2, 3, 5, 8, 3, 2).macs == 2 * 16 * 9 * 15
    assert Geometry("depthwise", 1, 4, 4, 8, 3).macs == 64 * 9 * 4
    assert Geometry("conv", 25, 16, 32, 8, 3, 2).label == "3x3 /2, 8² 16→32, batch 25"


def test_verdict_on_saturated_sums():
    layer = make_layer(Geometry("dense", 8, 16, 10))
    sums = exact_sums(layer).astype(np.int64)
    assert compare_sums(layer, sums) == "exact"
    sums[:4] += 7
    assert compare_sums(layer, sums) == "inexact: 50 % of sums, by ≤ 7"


def test_a_rounding_rule_is_no_error_but_a_step_is():
    layer = make_layer(Geometry("dense", 8, 16, 10))
    real = layer.real_outputs()
    for rounded in (np.rint(real), np.floor(real + 0.5), np.ceil(real - 0.5)):
        assert compare_outputs(layer, np.clip(rounded, -128, 127)) == "exact"
    assert compare_outputs(layer, np.clip(np.rint(real) + 2, -128, 127)).startswith("inexact: ")
    fine = np.rint((real - layer.output_zero_point) * FINE)
    assert compare_fine_outputs(layer, fine) == "exact"
    assert compare_fine_outputs(layer, fine + 3).startswith("inexact: ")


def test_error_of_real_numbers():
    layer = make_layer(Geometry("dense", 8, 16, 10))
    real = exact_sums(layer) * layer.input_scale * layer.weight_scale
    assert float(compare_real(layer, real).removeprefix("float, error ")) < 1e-15
    assert compare_real(layer, real * 1.5) == "float, error 5e-01"
