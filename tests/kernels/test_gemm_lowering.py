"""The tile's one piece of IR, lowered for several processors: each takes its own multiply-add instruction.

Only instructions are looked at here; nothing is run, and nothing is said of speed.
"""

from __future__ import annotations

import functools
import re

import llvmlite.binding as llvm
import pytest

from fxpgrad_kernels.gemm.tile import tile_function
from fxpgrad_kernels.gemm.vectors import I8, I16
from fxpgrad_kernels.jit import ir

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
WIDTHS = pytest.mark.parametrize("weights", [I8, I16], ids=["int8", "int16"])


@functools.cache
def assembly(triple: str, cpu: str, bits: int) -> str:
    """Return the optimized assembly of the tile for one processor, or skip."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = ir.Module("tile")
    module.triple = triple
    tile_function(module, ir.IntType(bits)).linkage = "external"
    try:
        machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    except RuntimeError as reason:
        pytest.skip(f"this build of LLVM has no target {triple}: {reason}")
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(3))
    passes.getModulePassManager().run(parsed, passes)
    return machine.emit_assembly(parsed)


def count(text: str, instruction: str) -> int:
    return len(re.findall(rf"^\s+(?:\{{vex\}}\s+)?{instruction}\s", text, re.MULTILINE))


@WIDTHS
def test_zen3_multiplies_and_adds_pairs(weights: ir.IntType) -> None:
    text = assembly(X86, "znver3", weights.width)
    assert count(text, "vpmaddwd") >= 12  # six rows of two vectors
    assert count(text, "vpmulld") == 0


@pytest.mark.parametrize("cpu", ["znver4", "sapphirerapids"])
@WIDTHS
def test_vnni_multiplies_pairs_and_accumulates(cpu: str, weights: ir.IntType) -> None:
    text = assembly(X86, cpu, weights.width)
    assert count(text, "vpdpwssd") >= 12
    assert count(text, "vpmulld") == 0


@WIDTHS
def test_plain_x86_64_multiplies_and_adds_pairs(weights: ir.IntType) -> None:
    assert count(assembly(X86, "x86-64", weights.width), "pmaddwd") >= 24


@WIDTHS
def test_aarch64_multiplies_long(weights: ir.IntType) -> None:
    text = assembly(ARM, "generic", weights.width)
    assert count(text, "smull2?") + count(text, "smlal2?") >= 24
    assert count(text, "mul") < 12


@pytest.mark.parametrize(("triple", "cpu"), [(X86, "znver3"), (ARM, "generic")])
@WIDTHS
def test_no_register_of_the_tile_is_a_float(triple: str, cpu: str, weights: ir.IntType) -> None:
    text = assembly(triple, cpu, weights.width)
    assert re.search(r"^\s+(?:v?(?:add|mul|cvt)[sp][sd]|fadd|fmul|scvtf|fcvt)", text, re.MULTILINE) is None


@pytest.mark.parametrize(("triple", "cpu"), [(X86, "znver3"), (ARM, "generic")])
@WIDTHS
def test_inner_loops_begin_at_a_line_of_instructions(triple: str, cpu: str, weights: ir.IntType) -> None:
    assert count(assembly(triple, cpu, weights.width), r"\.p2align\s+6") >= 3  # one for each height of a tile
