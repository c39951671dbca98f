"""Our side of the comparison: Programs run by an Executor that holds its inputs already."""

from __future__ import annotations

import dataclasses

from fxpgrad.benchmarks.candidate import OURS, Candidate
from fxpgrad.benchmarks.layer import Geometry, Layer, cached_layer, compare_outputs
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.threads import ThreadedExecutor

PROFILE = "tflite_double"
WIDE = f"{OURS} a8w16"
WIDE_64 = f"{OURS} a8w16 int64"


def layer_program(layer: Layer, *, wide_sums: bool = False) -> Program:
    """Return the layer's Program; wide_sums: with 64-bit sums, whether it needs them or not."""
    program = lower(layer.graph, PROFILE)
    if not wide_sums:
        return program
    calls = tuple(
        dataclasses.replace(call, parameters={**call.parameters, "accumulator_bits": 64})
        for call in program.calls
    )
    return dataclasses.replace(program, calls=calls)


def layer_candidate(
    layer: Layer, name: str = OURS, *, wide_sums: bool = False, threads: int = 1
) -> Candidate:
    """Return the layer, run once and compared with the exact sums."""
    executor = ThreadedExecutor(layer_program(layer, wide_sums=wide_sums), layer.geometry.batch, threads)
    verdict = compare_outputs(layer, executor.run(layer.x))
    return Candidate(name, executor.execute, layer.geometry.macs, verdict)


def wide_candidates(geometry: Geometry, threads: int = 1) -> list[Candidate]:
    """Return the layer with 16-bit weights, its sums in 32 bits (if they fit) and in 64-bit blocks."""
    layer = cached_layer(geometry, 16)
    narrow = layer_program(layer).calls[-1].parameters.get("accumulator_bits") == 32
    found = [layer_candidate(layer, WIDE, threads=threads)] if narrow else []
    return [*found, layer_candidate(layer, WIDE_64, wide_sums=True, threads=threads)]
