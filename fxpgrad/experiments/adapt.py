"""Adapting a Program to a user's own labelled data by forward gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.experiments.evaluate import Evaluation, evaluate
from fxpgrad.experiments.few_shot import prototype_classifier
from fxpgrad.experiments.methods import batch_of
from fxpgrad.importers.model_file import program_from
from fxpgrad.importers.tflite_writer import LayerValues, layers_without_bias, write_layers
from fxpgrad.program.head import has_linear_head, with_accumulator_output, without_softmax
from fxpgrad.program.program import Program
from fxpgrad.trainer.alignment import Alignment, Layers, align, measure_moments
from fxpgrad.trainer.config import TrainerConfig, forwards_of_a_step
from fxpgrad.trainer.first_rate import (
    FirstRate,
    measure_head_rate,
    rows_of_all_classes,
    samples_for_head_rate,
)
from fxpgrad.trainer.objective import LinearCrossEntropy
from fxpgrad.trainer.report import TrainingReport
from fxpgrad.trainer.trainer import OnStep, Trainer
from fxpgrad.trainer.window import measure_window, window_forwards

HeadChoice = Literal["auto", "linear", "prototypes"]
_MOST_ALIGNED, _LEAST_ALIGNED = 256, 8
_OF_A_SEARCH = 10  # times its inferences a run has at least, be it for epsilon or for the head's rate
_LEAST_SEARCHED = 100  # samples: fewer tell rates from one another by chance
DISTANCE_SCALE = "distance_scale"  # the metadata entry of a backbone trained with prototypes


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedProgram:
    """The Program after training, and what the run cost and gave (accuracies on the training data).

    layers: the trained values by call and role, see `Trainer.trained_layers`. config: what was trained with.
    head_rates: how the exact head's rate was searched; None if it was not. forwards: inferences of the batch,
    those that found epsilon or the head's rate, or aligned layers, included.
    """

    program: Program
    layers: Layers
    head: Literal["linear", "prototypes"]
    report: TrainingReport
    accuracy_before: float
    accuracy_after: float
    scratch_bytes: int
    config: TrainerConfig
    head_rates: FirstRate | None
    forwards: int


def choose_head(program: Program, head: HeadChoice) -> Literal["linear", "prototypes"]:
    """Return which head is trained: the Program's own if it has one, else a new prototype classifier.

    Raises
    ------
    InputError
        The Program does not end in what the choice needs.
    """
    linear = has_linear_head(without_softmax(program))
    if head == "linear" and not linear:
        raise InputError(
            f"program {program.name} does not end in a fully connected layer; "
            "choose the head 'prototypes' or 'auto'"
        )
    if head == "linear" or (head == "auto" and linear):
        return "linear"
    info = program.tensors[program.outputs[0]]
    if info.dtype != "int8" or len(info.shape) != 1:
        raise InputError(
            f"program {program.name} gives {info.name}: {info.dtype} {info.shape}; "
            "a prototype classifier needs int8 features of rank 1"
        )
    if "head/weights" in program.constants:
        raise InputError(
            f"program {program.name} has a layer called 'head' already; choose the head 'linear'"
        )
    return "prototypes"


def with_prototypes(program: Program, x: NDArray[Any], y: NDArray[np.int32]) -> Program:
    """Put the prototype classifier of labelled data on a Program that ends in int8 features.

    The factor of the squared distances is the Program's metadata entry `distance_scale`, else 1.
    """
    text = program.metadata.get(DISTANCE_SCALE, "1.0")
    try:
        scale = float(text)
    except ValueError:
        raise InputError(
            f"program {program.name} has the metadata distance_scale {text!r}; it must be a number"
        ) from None
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"program {program.name} has distance_scale {text}; it must be positive and finite")
    return prototype_classifier(program, x, y, scale)


def adapt(
    program: Program,
    x: NDArray[Any],
    y: NDArray[np.int32],
    config: TrainerConfig,
    steps: int,
    *,
    batch: int | None = None,
    head: HeadChoice = "auto",
    threads: int = 1,
    paired: bool = False,
    rows_at_once: int | None = None,
    frozen: frozenset[str] = frozenset(),
    find_epsilon: bool = False,
    find_head_rate: bool = False,
    like: NDArray[Any] | None = None,
    try_writing: Callable[[Layers], object] | None = None,
    on_step: OnStep | None = None,
) -> AdaptedProgram:
    """Train a classifier on labelled data and return it in its original form.

    Parameters
    ----------
    program
        Ends in a fully connected layer, with a softmax behind it or without (its int32 accumulators are
        trained on, and the Program's own output stays as it is), or in int8 features (a prototype
        classifier of the data is attached first).
    x, y
        [n, ...input shape] of the Program's input type; int32 [n].
    config, steps
        How to train, and for how many steps.
    batch
        Samples per step, 1..n; None means all, but at most 50. Where the configuration splits rows, it gets
        as many directions as fit the batch.
    head
        Which head to train; see `choose_head`.
    threads, paired, rows_at_once
        How the passes of a step are run, see `Trainer`; they change time and scratch only.
    frozen
        Names of constants that are not trained.
    find_epsilon
        Measure the window of epsilons first (`measure_window`) and take epsilon from it, in relative units.
    find_head_rate
        Search the exact head's rate first (`search_head_rate`); config's is kept if no rate lowers the loss.
    like
        Unlabelled samples of what the Program was made for, of its input type: align the layers first (see
        `fxpgrad.trainer.alignment`), on 8 to 256 different samples of each kind.
    try_writing
        Called with the layers (see `AdaptedProgram`) before the first step: what cannot be written in the
        end is better refused then.
    on_step
        Called after every step.

    Raises
    ------
    InputError, TrainingError
        See `Trainer.fit`; or alignment makes the network worse on the data than chance explains. A run that
        was better before it turned hopeless is no error: the result holds its best values, and
        `report.stopped` says why.
    LoweringError
        Training has grown a layer until its accumulators no longer fit.
    """
    kind = choose_head(program, head)
    first = evaluate(_with_head(program, kind, x, y), x, y)
    alignment = None if like is None else _aligned(program, like, x, frozen)
    before = _with_head(program if alignment is None else alignment.program, kind, x, y)
    if alignment is not None:
        _require_no_loss(first, evaluate(before, x, y))
    config, size = batch_of(config, len(x), batch)

    def all_layers() -> Layers:
        trained = trainer.trained_layers()
        return trained if alignment is None else alignment.merged(trained)

    form, objective = with_accumulator_output(without_softmax(before)), LinearCrossEntropy()
    extra = 0 if alignment is None else math.ceil(alignment.forwards / size)
    if find_epsilon:
        window = measure_window(form, config, objective, x, y, size, frozen=frozen)
        if window.epsilon is None:
            raise TrainingError(window.reason)
        config, extra = replace(config, epsilon=window.epsilon), extra + window.forwards
    how: dict[str, Any] = {"threads": threads, "paired": paired, "rows_at_once": rows_at_once}
    trainer = Trainer(form, config, objective, size, frozen=frozen, **how)  # what it refuses needs no search
    if try_writing is not None:
        try_writing(all_layers())
    rates = search_head_rate(form, config, x, y, size, steps, frozen) if find_head_rate else None
    if rates is not None:
        config = replace(config, head_rate=rates.rate or config.head_rate)
        extra += rates.forwards
        trainer = Trainer(form, config, objective, size, frozen=frozen, **how)
    report = trainer.fit(x, y, steps, on_step, keep_best=True)
    after = trainer.write_into(before)
    return AdaptedProgram(
        after,
        all_layers(),
        kind,
        report,
        first.accuracy,
        evaluate(after, x, y).accuracy,
        trainer.scratch_bytes,
        config,
        rates,
        report.forwards + extra,
    )


def search_head_rate(
    form: Program,
    config: TrainerConfig,
    x: NDArray[Any],
    y: NDArray[np.int32],
    batch: int,
    steps: int,
    frozen: frozenset[str],
) -> FirstRate | None:
    """Search the exact head's rate on as many samples as a tenth of a run's inferences pays for.

    None where there is no exact head, or fewer than 100 such samples. Arguments: see `measure_head_rate`.
    """
    if config.head != "exact":
        return None
    budget = steps * forwards_of_a_step(config) / _OF_A_SEARCH
    count = min(len(x), samples_for_head_rate(form, batch, steps, budget))
    if count < _LEAST_SEARCHED:
        return None
    rows = rows_of_all_classes(y, count)
    return measure_head_rate(
        form, config, LinearCrossEntropy(), x[rows], y[rows], batch, steps, frozen=frozen
    )


def _aligned(program: Program, like: NDArray[Any], x: NDArray[Any], frozen: frozenset[str]) -> Alignment:
    """Align the layers on samples spread over the data of each kind."""
    usual, now = (_some("like", like), _some("x", x))
    return align(program, measure_moments(program, usual), now, frozen)


def _some(name: str, samples: NDArray[Any]) -> NDArray[Any]:
    """Return samples spread over all; refuse those that say nothing about layers."""
    if len(samples) < _LEAST_ALIGNED:
        raise InputError(
            f"alignment needs at least {_LEAST_ALIGNED} samples in {name} to measure layers by; got "
            f"{len(samples)}; use more, or align nothing"
        )
    chosen = samples[:: -(-len(samples) // _MOST_ALIGNED)]
    if (chosen == chosen[0]).all():
        raise InputError(f"the samples in {name} are all the same: alignment cannot measure layers by them")
    return chosen


def _require_no_loss(before: Evaluation, after: Evaluation) -> None:
    """Refuse an alignment that has done harm: what it was aligned to is not what the network was made for."""
    if after.accuracy < before.ci95[0]:
        raise InputError(
            f"alignment lowers the accuracy on the data from {before.accuracy:.1%} to {after.accuracy:.1%}: "
            "the samples in like must be of the kind that the model was made for, with all classes in them, "
            "and in the same units as x; or align nothing"
        )


def _with_head(
    program: Program, kind: Literal["linear", "prototypes"], x: NDArray[Any], y: NDArray[np.int32]
) -> Program:
    return program if kind == "linear" else with_prototypes(program, x, y)


def trainable_form(program: Program, head: HeadChoice, x: NDArray[Any], y: NDArray[np.int32]) -> Program:
    """Return the Program as `adapt` trains it: ending in the int32 accumulators of a linear head."""
    return with_accumulator_output(without_softmax(_with_head(program, choose_head(program, head), x, y)))


def unwritable_constants(content: bytes, program: Program) -> frozenset[str]:
    """Return the biases of a Program that its .tflite file leaves out, so that they cannot be trained."""
    missing = layers_without_bias(content)
    return frozenset(
        call.constants["bias"] for call in program.calls if call.name in missing and "bias" in call.constants
    )


def written_tflite(content: bytes, path: str, profile: str | None, layers: Layers) -> tuple[bytes, Program]:
    """Return a .tflite file with trained values in it, and the Program that it gives.

    Raises
    ------
    ModelFileError
        A trained layer cannot be written (see `write_layers`).
    """
    written = write_layers(content, {name: LayerValues(**values) for name, values in layers.items()})
    return written, program_from(written, path, profile)


def affords_window(config: TrainerConfig, steps: int, samples: int, batch: int) -> bool:
    """Whether finding epsilon takes at most a tenth of a run's inferences (relative units only)."""
    if not (config.relative or config.scope == "affine"):
        return False
    return _OF_A_SEARCH * window_forwards(config, samples, batch) <= steps * forwards_of_a_step(config)
