"""`fxpgrad inspect`: what a Program is made of and what it needs."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import click
from rich.table import Table

from fxpgrad.cli.terminal import (
    FILE_NAME,
    byte_text,
    json_option,
    print_json,
    print_rich,
    profile_option,
    warn_of_doubts,
)
from fxpgrad.errors import InputError
from fxpgrad.importers.model_file import program_from, read_model
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.plan import Plan, plan
from fxpgrad.program.program import Call, Program, TensorInfo
from fxpgrad.program.prove import prove_call
from fxpgrad.program.work import multiply_accumulates

_LARGEST_BATCH = 2**20


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call, for one sample; `proved_bits` is the signed width that no partial sum can leave."""

    name: str
    kernel: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    macs: int
    weights_bytes: int
    proved_bits: int | None
    accumulator_bits: int | None


def call_row(program: Program, call: Call) -> CallRow:
    """Describe one call."""
    output = program.tensors[call.output]
    proof = prove_call(program, call)
    return CallRow(
        call.name,
        call.kernel,
        tuple(program.tensors[name].shape for name in call.inputs),
        output.shape,
        multiply_accumulates(program, call),
        sum(program.constants[name].data.nbytes for name in call.constants.values()),
        None if proof is None else proof.bits,
        call.parameters.get("accumulator_bits"),
    )


@click.command("inspect")
@click.argument("model", type=FILE_NAME)
@click.option("--batch", default=1, show_default=True, help="Samples that the arena is planned for.")
@profile_option
@json_option
def inspect_command(model: str, batch: int, profile: str | None, as_json: bool) -> None:
    """Show what a model is made of and needs.

    MODEL is an .fxp, .tflite or .onnx file. Bits: the accumulator width that is proved to suffice, and
    the one used.
    """
    if batch > _LARGEST_BATCH:
        raise InputError(f"batch must be at most {_LARGEST_BATCH}; got {batch}")
    content = read_model(model)
    program = program_from(content, model, profile)
    warn_of_doubts(program)
    rows = [call_row(program, call) for call in program.calls]
    memory = plan(program, batch)
    digests = {
        "weights_sha256": program.constants_sha256(),
        "file_sha256": hashlib.sha256(content).hexdigest(),
    }
    if as_json:
        totals = {
            "macs": sum(row.macs for row in rows),
            "weights_bytes": program.weights_bytes,
            "batch": batch,
            "arena_bytes": memory.peak_bytes,
            "arena_lower_bound_bytes": memory.lower_bound_bytes,
        }
        print_json(
            {
                "name": program.name,
                "profile": program.profile,
                "inputs": [dataclasses.asdict(program.tensors[name]) for name in program.inputs],
                "outputs": [dataclasses.asdict(program.tensors[name]) for name in program.outputs],
                "calls": [dataclasses.asdict(row) for row in rows],
                "totals": totals,
                "variables": dict(program.variables),
                "metadata": dict(program.metadata),
                **digests,
            }
        )
        return
    print_rich(_table(program, rows), _summary(program, memory, digests))


def _shape_text(shape: tuple[int, ...]) -> str:
    return "×".join(str(size) for size in shape) or "scalar"


def _table(program: Program, rows: list[CallRow]) -> Table:
    table = Table(title=f"{program.name}: {len(rows)} calls", title_justify="left", show_footer=True)
    total = [f"{sum(row.macs for row in rows):,}", f"{program.weights_bytes:,}"]
    table.add_column("call", footer="all", overflow="fold")
    table.add_column("kernel", overflow="fold")
    table.add_column("shapes, one sample")
    table.add_column("MACs", footer=total[0], justify="right")
    table.add_column("weights, B", footer=total[1], justify="right")
    table.add_column("bits proved/has", justify="right")
    for row in rows:
        inputs = ", ".join(_shape_text(shape) for shape in row.input_shapes)
        bits = "" if row.proved_bits is None else f"{row.proved_bits} / {row.accumulator_bits or '?'}"
        table.add_row(
            short_name(row.name),
            row.kernel,
            f"{inputs} → {_shape_text(row.output_shape)}",
            f"{row.macs:,}" if row.macs else "",
            f"{row.weights_bytes:,}" if row.weights_bytes else "",
            bits,
        )
    return table


def _summary(program: Program, memory: Plan, digests: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for role, names in (("input", program.inputs), ("output", program.outputs)):
        for name in names:
            table.add_row(role, _tensor_text(program.tensors[name]))
    samples = "1 sample" if memory.batch == 1 else f"{memory.batch} samples"
    table.add_row(
        "arena",
        f"{byte_text(memory.peak_bytes)} for {samples} "
        f"({memory.peak_bytes:,} B; no plan can need less than {memory.lower_bound_bytes:,} B)",
    )
    table.add_row("weights", f"{byte_text(program.weights_bytes)} in {len(program.constants)} constants")
    table.add_row("profile", program.profile)
    for key, value in program.metadata.items():
        table.add_row(key, value)
    for key, value in digests.items():
        table.add_row(key, value)
    return table


def _tensor_text(info: TensorInfo) -> str:
    numbers = f"scale {info.scale:.6g}, zero point {info.zero_point + 128 * info.unsigned}"
    return f"{info.name}: {info.outer_dtype} {_shape_text(info.shape)}, {numbers}"
