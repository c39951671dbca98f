"""What a training step in C is made of: the integers of a trainer's step, before any C is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.head import split_before, with_accumulator_output, without_softmax
from fxpgrad.program.program import Call, Program
from fxpgrad.program.prove import channel_bounds
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.head import HeadStep
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.passes import rows_of_a_pass
from fxpgrad.trainer.scopes import make_trainables
from fxpgrad.trainer.trainable import Trainable, largest_probe
from fxpgrad.trainer.trainer import Trainer

LabelledBatch = tuple[NDArray[Any], NDArray[np.int32]]
BIAS_LIMIT = 2**30  # a trained bias beyond it ends the training: accumulators stay proved


@dataclass(frozen=True, slots=True, eq=False)
class TrainingForm:
    """A Program that a C project trains, and how.

    Attributes
    ----------
    program : Program
        Ends in the int32 accumulators of a linear head.
    config : TrainerConfig
    batch, rows : int
        Samples of a step, and of a direction.
    trainables : tuple of Trainable
    first : int
        Index of the first trained call: those before it run once a sample.
    kept : str
        The tensor from which the passes start, which outlives them; the input itself where `first` is 0,
        which is loaded anew for each pass.
    multiplier, shift : int32 [classes]
        From accumulators to logits in 2**-24 nats.
    accumulator_bits : mapping
        32 or 64 by trained call, safe for any weights and for biases within `BIAS_LIMIT`.
    head : tuple of HeadStep
        The exact head's arrays; empty where the head is trained like the rest.
    """

    program: Program
    config: TrainerConfig
    batch: int
    rows: int
    trainables: tuple[Trainable, ...]
    first: int
    kept: str
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    accumulator_bits: Mapping[str, int]
    head: tuple[HeadStep, ...] = ()

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return self.program.tensors[self.program.outputs[0]].elements

    def of_call(self, name: str) -> dict[str, Trainable]:
        """Return what is trained of a call, by role."""
        return {item.role: item for item in self.trainables if item.call == name}


def training_form(
    program: Program, config: TrainerConfig, batch: int, first_batch: LabelledBatch | None = None
) -> TrainingForm:
    """Work a training step out.

    program: ends in a fully connected layer, with a softmax behind it or without. first_batch: samples and
    labels int32 of a first step, whose features set the size of an exact head's steps for good.

    Raises
    ------
    InputError
        The configuration has a part that the C projects do not have, or the Program no linear head.
    TrainingError, LoweringError
        As `Trainer`.
    """
    _check_parts(config)
    if config.head == "exact" and first_batch is None:
        raise InputError(
            "an exact head needs a first batch of data, whose features set the size of its steps"
        )
    _check_model(program)
    form = with_accumulator_output(without_softmax(program))
    _check_sizes(form, batch)
    trainables = make_trainables(form, config)
    names = {item.call for item in trainables}
    head = () if first_batch is None or config.head != "exact" else _head_steps(form, config, first_batch)
    reached = names or {form.calls[-1].name}
    first = min(index for index, call in enumerate(form.calls) if call.name in reached)
    _, active = split_before(form, first)
    objective = LinearCrossEntropy()
    objective.prepare(active, 1)
    items = {name: {item.role: item for item in trainables if item.call == name} for name in names}
    widths = {
        call.name: _accumulator_bits(form, call, items[call.name], config)
        for call in form.calls
        if call.name in names
    }
    if head:
        _check_head(form)
    rows = rows_of_a_pass(config, batch) if trainables else batch
    return TrainingForm(
        form, config, batch, rows, trainables, first, active.inputs[0], *objective.logit_scale, widths, head
    )


def _check_model(program: Program) -> None:
    if program.variables:
        raise InputError(f"program {program.name} keeps state from row to row: it cannot be trained")
    for role, names in (("inputs", program.inputs), ("outputs", program.outputs)):
        if len(names) != 1:
            raise InputError(
                f"program {program.name} has {len(names)} {role}: a training step in C takes a model with "
                "one input and one output"
            )


def _check_sizes(program: Program, batch: int) -> None:
    classes = program.tensors[program.outputs[0]].elements
    if classes < 2:
        raise InputError(
            f"program {program.name} ends in one value, not in the logits of classes: the cross-entropy of "
            "one class is always 0, and nothing could be learned"
        )
    sample = program.tensors[program.inputs[0]].elements
    if batch * sample >= 2**31:
        raise InputError(
            f"a batch of {batch} samples of {sample} values is more than an int32 counts; make it smaller"
        )


def _head_steps(program: Program, config: TrainerConfig, first_batch: LabelledBatch) -> tuple[HeadStep, ...]:
    """Return what a trainer's first step makes of an exact head."""
    x, y = first_batch
    trainer = Trainer(program, config, LinearCrossEntropy(), len(x))
    trainer.step(trainer.features(x), y)
    return trainer.head_steps


def _check_head(program: Program) -> None:
    """Refuse a head whose accumulators could leave int32, whatever weights its steps make."""
    call = program.calls[-1]
    weights = program.constants[call.constants["weights"]].data
    most = (128 + abs(call.parameters["input_zero_point"])) * weights.shape[1] * np.iinfo(weights.dtype).max
    if most + BIAS_LIMIT >= 2**31:
        raise InputError(
            f"the head {call.name} has {weights.shape[1]} {weights.dtype} weights a class: training may lead "
            "its accumulators out of int32; train it by forward gradients, or give it 8-bit weights"
        )


def _check_parts(config: TrainerConfig) -> None:
    parts = {
        "a falling learning rate": config.schedule != "constant",
        "blocks": config.blocks > 1,
        "scalars by magnitude": config.scalar != "sign",
        "sparse signs, split bytes, masks, momentum, moved centres or weight decay": config.composed,
    }
    found = [name for name, present in parts.items() if present]
    if found:
        raise InputError(
            f"a training step in C has the plain estimator alone, without {found[0]}; choose other settings"
        )


def _accumulator_bits(
    program: Program, call: Call, items: Mapping[str, Trainable], config: TrainerConfig
) -> int:
    """Return 32 if no weights that training makes lead out of int32 while biases keep to their limit."""
    weights = program.constants[call.constants["weights"]]
    bias = program.constants[call.constants["bias"]].data
    zero_point = call.parameters["input_zero_point"]
    if "bias" in items:
        start = int(np.abs(bias.astype(np.int64)).max(initial=0))
        if start > BIAS_LIMIT:
            raise InputError(
                f"the bias of {call.name} reaches {start}, beyond {BIAS_LIMIT}: training may overflow"
            )
        reach = BIAS_LIMIT + largest_probe(items["bias"], config)
    else:
        reach = int(np.abs(bias.astype(np.int64)).max(initial=0))
    if "weights" in items:
        products = weights.data.size // bias.size
        most = (128 + abs(zero_point)) * products * int(np.iinfo(weights.data.dtype).max)
    else:
        nothing = np.zeros_like(bias)
        most = int(channel_bounds(weights.data, nothing, zero_point, channel_axis=weights.axis).max())
    return 32 if most + reach < 2**31 else 64
