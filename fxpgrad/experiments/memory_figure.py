"""The figure of a memory report: bytes of every way to learn, and where backpropagation's lie."""

from __future__ import annotations

from typing import Any

from fxpgrad.experiments.memory import FLOAT32, MemoryReport
from fxpgrad.figures import import_figure

_LAYERS_NAMED = 12
_MB = 1e6


def plot_memory(report: MemoryReport) -> Any:
    """Return a Figure: scratch and weights by method, and the float values kept by layer, stacked."""
    methods = [method for method in report.methods if method.scratch_bytes is not None]
    figure = import_figure()(figsize=(9, 1.5 + 0.35 * len(methods) + 2.5), layout="constrained")
    bars, layers = figure.subplots(2, 1, height_ratios=(0.35 * len(methods) + 0.5, 2.5))
    for at, method in enumerate(methods):
        floats = method.name.startswith("bp_")
        size = 2 if "float16" in method.name else FLOAT32
        weights = size * report.float_weights if floats else report.weights_bytes
        scratch = method.scratch_bytes or 0
        bars.barh(at, weights / _MB, color="0.75")
        bars.barh(at, scratch / _MB, left=weights / _MB, color="C1" if floats else "C0")
        text = f" {_text(scratch)} scratch"
        bars.text((weights + scratch) / _MB, at, text, va="center", fontsize="small")
    bars.set_yticks(range(len(methods)), [method.name for method in methods])
    bars.invert_yaxis()
    bars.set_xlabel(f"MB, batch of {report.batch} (grey: weights)")
    bars.margins(x=0.2)
    _stack(layers, report)
    return figure


def _stack(panel: Any, report: MemoryReport) -> None:
    """Draw what each layer holds in one stacked bar a kind."""
    kinds = ("kept for backward", "gradients", "integer outputs")
    left = [0.0] * len(kinds)
    order = sorted(report.layers, key=lambda layer: -(layer.kept + layer.gradients))
    named = {layer.name for layer in order[:_LAYERS_NAMED]}
    for number, layer in enumerate(report.layers):
        bytes_of = (FLOAT32 * layer.kept + layer.winners, FLOAT32 * layer.gradients, layer.output_bytes)
        sizes = [count / _MB for count in bytes_of]
        label = layer.name.rpartition(";")[2][-30:] if layer.name in named else None
        panel.barh(
            range(len(kinds)), sizes, left=left, color=f"C{number % 10}", edgecolor="white", label=label
        )
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    panel.set_yticks(range(len(kinds)), kinds)
    panel.invert_yaxis()
    panel.set_xlabel("MB by layer, float32; integer outputs share one arena, so that inference needs less")
    panel.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _text(count: float) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
