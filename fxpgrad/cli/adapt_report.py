"""What `fxpgrad adapt` reports: JSON-able data, and a table of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from fxpgrad.cli.terminal import byte_text, percent
from fxpgrad.experiments.adapt import AdaptedProgram
from fxpgrad.experiments.methods import METHODS, MethodName


def payload_of(
    result: AdaptedProgram, method: MethodName, samples: int, output: str, seconds: float
) -> dict[str, Any]:
    """Return what the run cost and gave as JSON-able data; method and output: as the command has them."""
    steps = result.report.steps
    return {
        "method": method,
        "head": result.head,
        "samples": samples,
        "steps": len(steps),
        "forwards": result.forwards,
        "dead_steps": len(result.report.dead_steps),
        "saturated_steps": len(result.report.saturated_steps),
        "stopped": result.report.stopped,
        "loss_first": steps[0].mean_loss,
        "loss_last": steps[-1].mean_loss,
        "accuracy_before": result.accuracy_before,
        "accuracy_after": result.accuracy_after,
        "scratch_bytes": result.scratch_bytes,
        "weights_sha256": result.program.constants_sha256(),
        "config": dataclasses.asdict(result.config),
        "head_rates": None if result.head_rates is None else dataclasses.asdict(result.head_rates),
        "output": output,
        "seconds": seconds,
    }


def _head_rate(payload: dict[str, Any]) -> str:
    rate, search = f"{payload['config']['head_rate']:g}", payload["head_rates"]
    if search is None:
        return rate
    tried = ", ".join(f"{trial['rate']:g}" for trial in search["trials"])
    found = "found among" if search["rate"] else "the default: unseen samples gained by none of"
    return f"{rate} ({found} {tried})"


def table_of(payload: dict[str, Any]) -> Table:
    """Return the payload as a table, without the rates that the method does not have."""
    table = Table(title=f"Adapted: {payload['output']}", title_justify="left", show_header=False)
    probes = not METHODS[payload["method"]].config.head_alone
    epsilon = f" (epsilon {payload['config']['epsilon']:.2g})" if probes else ""
    rows = {
        "method": f"{payload['method']}, {payload['head']} head",
        "steps": f"{payload['steps']} ({payload['dead_steps']} dead, {payload['saturated_steps']} saturated)",
        "forwards": f"{payload['forwards']} of the batch{epsilon}",
        "head rate": _head_rate(payload),
        "mean loss": f"{payload['loss_first']:.4f} → {payload['loss_last']:.4f}",
        "accuracy on the data": f"{percent(payload['accuracy_before'])} → "
        f"{percent(payload['accuracy_after'])} ({payload['samples']} samples)",
        "scratch memory": byte_text(payload["scratch_bytes"]),
        "time": f"{payload['seconds']:.1f} s",
        "weights_sha256": payload["weights_sha256"],
    }
    if payload["config"]["head"] != "exact":
        del rows["head rate"]
    for name, value in rows.items():
        table.add_row(name, value)
    return table
