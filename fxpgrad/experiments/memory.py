"""What learning costs in bytes: inference, forward gradients and backpropagation of one Program.

Inference and forward gradients are what the planner and the trainer really allocate. Backpropagation is
counted by the rule that PyTorch follows: the tensors kept from the forward to the backward pass, and the
gradients of what is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fxpgrad.errors import FxpgradError
from fxpgrad.experiments.methods import METHODS, MethodName, batch_of
from fxpgrad.program.head import with_accumulator_output, without_softmax
from fxpgrad.program.plan import plan
from fxpgrad.program.program import Call, Program
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.trainer import Trainer

FLOAT32, FLOAT16 = 4, 2
_WINNER = 8  # bytes of an index that a max pool keeps


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """One call: bytes of its output and constants, and what backpropagation keeps and needs for it.

    kept: float values kept for the backward pass that no earlier call keeps already, with the whole batch;
    winners: bytes of indices that a max pool keeps; gradients: values trained.
    """

    name: str
    kernel: str
    output_bytes: int
    weights_bytes: int
    kept: int
    winners: int
    gradients: int


@dataclass(frozen=True, slots=True)
class MethodMemory:
    """Scratch bytes of one way to learn, beside the weights; reason: why it is not possible."""

    name: str
    about: str
    scratch_bytes: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """A Program's bytes for one batch.

    weights_bytes: all constants; arena_bytes: integer inference; float_weights: how many weights and biases.
    """

    batch: int
    weights_bytes: int
    arena_bytes: int
    float_weights: int
    layers: tuple[LayerMemory, ...]
    methods: tuple[MethodMemory, ...]


def memory_report(program: Program, batch: int) -> MemoryReport:
    """Count the bytes of every way to learn with batches of `batch` samples.

    Raises
    ------
    InputError
        The batch is not positive.
    """
    arena = plan(program, batch).peak_bytes
    layers = _layers(program, batch)
    forward = [
        _forward_gradients(program, name, batch, rows)
        for name, method in METHODS.items()
        for rows in ((None, 1) if method.config.rows == "shared" else (None,))
    ]
    backward = [
        MethodMemory(
            f"bp_{scope} {name}{suffix}", about, _backprop(program, layers, batch, scope, size, checkpointed)
        )
        for scope in ("lp", "ft")
        for name, size in (("float32", FLOAT32), ("float16", FLOAT16))
        for suffix, checkpointed in (("", False), (", checkpoints", True))
        for about in (_about(scope, checkpointed),)
        if scope == "ft" or not checkpointed
    ]
    return MemoryReport(
        batch,
        program.weights_bytes,
        arena,
        sum(layer.gradients for layer in layers),
        layers,
        (MethodMemory("inference", "int8 activations in one arena", arena), *forward, *backward),
    )


def _about(scope: str, checkpointed: bool) -> str:
    what = "the last layer" if scope == "lp" else "every weight and bias"
    return f"backpropagation of {what}" + (", segments computed twice" if checkpointed else "")


def _forward_gradients(program: Program, name: MethodName, batch: int, rows: int | None) -> MethodMemory:
    method = METHODS[name]
    title = name if rows is None else f"{name}, row by row"
    try:
        form = with_accumulator_output(without_softmax(program))
        config, size = batch_of(method.config, batch, batch)
        scratch = Trainer(form, config, LinearCrossEntropy(), size, rows_at_once=rows).scratch_bytes
    except FxpgradError as error:
        return MethodMemory(title, method.about, None, str(error))
    return MethodMemory(title, method.about, scratch)


def _layers(program: Program, batch: int) -> tuple[LayerMemory, ...]:
    known: set[str] = set()
    layers = []
    for call in program.calls:
        kept = {name: program.tensors[name].elements for name in _kept(program, call) if name not in known}
        known |= kept.keys()
        output = program.tensors[call.output]
        weights = [
            program.constants[call.constants[role]].data
            for role in ("weights", "bias")
            if role in call.constants
        ]
        layers.append(
            LayerMemory(
                call.name,
                call.kernel,
                batch * output.nbytes,
                sum(program.constants[name].data.nbytes for name in call.constants.values()),
                batch * sum(kept.values()),
                batch * output.elements * _WINNER
                if call.spec.operator == "pooling" and "max" in call.kernel
                else 0,
                sum(array.size for array in weights),
            )
        )
    return tuple(layers)


def _kept(program: Program, call: Call) -> list[str]:
    """Return the tensors that the backward pass of a call reads."""
    kept = []
    if "weights" in call.constants or call.spec.operator in ("pooling", "batch_matmul", "softmax", "lookup"):
        kept += list(call.inputs[:1])
    if "clamp_low" in call.parameters and call.parameters["clamp_low"] > -128:
        kept.append(call.output)  # the result of a relu says where it was cut
    return kept


def _backprop(
    program: Program,
    layers: Sequence[LayerMemory],
    batch: int,
    scope: str,
    size: int,
    checkpointed: bool,
) -> int:
    """Return kept tensors, log-probabilities and gradients in bytes."""
    classes = program.tensors[program.outputs[0]].elements
    if scope == "lp":
        head = [layer for layer in layers if layer.gradients][-1]
        inputs = next(call.inputs[0] for call in program.calls if call.name == head.name)
        return size * (batch * program.tensors[inputs].elements + batch * classes + head.gradients)
    kept = [size * layer.kept + layer.winners for layer in layers]
    gradients = size * sum(layer.gradients for layer in layers)
    activations = _checkpointed(program, kept, batch, size) if checkpointed else sum(kept)
    return activations + size * batch * classes + gradients


def _checkpointed(program: Program, kept: Sequence[int], batch: int, size: int) -> int:
    """Return the least bytes with checkpoints: what crosses the cuts, and the largest segment between them.

    Segments are filled in order up to a limit; every limit that matters is tried.
    """
    crossing = [size * batch * _live_after(program, index) for index in range(len(kept))]
    best = sum(kept)
    for limit in sorted({int(total) for total in np.cumsum(kept)}):
        stored, segment, largest = 0, 0, 0
        for index, part in enumerate(kept):
            if segment and segment + part > limit:
                stored += crossing[index - 1]
                segment = 0
            segment += part
            largest = max(largest, segment)
        best = min(best, stored + largest)
    return best


def _live_after(program: Program, index: int) -> int:
    """Return the values that calls after `index` read of those made up to it."""
    made = {call.output for call in program.calls[: index + 1]} | set(program.inputs)
    read = {name for call in program.calls[index + 1 :] for name in call.inputs}
    return sum(program.tensors[name].elements for name in made & read)
