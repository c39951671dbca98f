"""The trainer: sign-m-SPSA, driving a Program twice per direction with seeds only.

No perturbed copy of the model exists and no z is stored: each trained layer's perturbed weights are
written into one scratch of the largest layer's size just before the layer runs, and the update
draws the same z again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import Executor, check_input, only_input, positive, run_program
from fxpgrad.program.head import split_before
from fxpgrad.program.program import Program
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.trainer.best_state import BestState
from fxpgrad.trainer.config import TrainerConfig, forwards_of_a_step
from fxpgrad.trainer.guidance import Guidance
from fxpgrad.trainer.head import ExactHead, HeadStep
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.passes import Passes, rows_of_a_pass, rows_of_an_inference
from fxpgrad.trainer.report import StepReport, TrainingReport
from fxpgrad.trainer.schedule import rate_of_step, rows_of_step
from fxpgrad.trainer.scopes import check_scalars, magnitude_unit, make_trainables
from fxpgrad.trainer.trainable import Trainable, tensor_numbers, trained_values, with_trained
from fxpgrad.trainer.update import Update
from fxpgrad.trainer.watch import Watch
from fxpgrad.trainer.widths import AccumulatorWidths
from fxpgrad_kernels.training.scalars import scale_differences

OnStep = Callable[[StepReport], None]


class Trainer:
    """Adapts a Program to data by fixed-point forward gradients (paper, sections 2 and 3).

    Parameters
    ----------
    program : Program
        Ends in what the objective reads: int32 accumulators, or int8 features.
    config : TrainerConfig
    objective : Objective
    batch : int
        Samples per step. The frozen calls before the first trained one are run once for all data.
    threads : int >= 1
        Threads that share a step's passes and its update. They change the time only.
    frozen : set of str
        Constants (biases that a file does not store, say) that are not trained.
    paired : bool
        Run both passes of a direction layer by layer, so that z is drawn once for both: faster where
        weights are many and rows few. False needs one arena and one perturbed layer instead of two
        (per thread). The results are the same.
    rows_at_once : int, optional
        Rows of one inference, a divisor of those that a direction sees (None). Fewer need a smaller arena,
        and every layer is perturbed anew for each inference. The results are the same.
    """

    def __init__(
        self,
        program: Program,
        config: TrainerConfig,
        objective: Objective,
        batch: int,
        *,
        threads: int = 1,
        paired: bool = False,
        frozen: frozenset[str] = frozenset(),
        rows_at_once: int | None = None,
    ) -> None:
        self.program = program
        self.config = config
        if program.variables:
            raise TrainingError(
                f"program {program.name} keeps state from row to row ({', '.join(program.variables)}); "
                "training a stateful network is not supported"
            )
        threads = positive("threads", threads)
        if not isinstance(paired, bool):
            raise InputError(f"paired must be True or False; got {paired!r}")
        self.trainables = make_trainables(program, config, frozen)
        if not self.trainables and config.head != "exact":
            raise TrainingError(
                f"nothing is left to train in the scope {config.scope}: what it has is frozen, or biases "
                "that train_bias leaves out; choose another scope, or an exact head"
            )
        names = {item.call for item in self.trainables} or {program.calls[-1].name}
        first = min(index for index, call in enumerate(program.calls) if call.name in names)
        self._frozen, active = split_before(program, first)
        if config.head == "exact":
            active = _with_own_head(active)
        self._batch, self._rows = batch, rows_of_a_pass(config, batch) if self.trainables else batch
        self._executor = Executor(active, rows_of_an_inference(self._rows, rows_at_once, objective))
        trained: dict[str, list[Trainable]] = {}
        for item in self.trainables:
            trained.setdefault(item.call, []).append(item)
        self._widths = AccumulatorWidths(active, trained, config)
        self._guidance = Guidance(config, magnitude_unit(config))
        self._passes = Passes(
            self._executor, trained, config, objective, self._guidance, self._rows,
            threads=threads, paired=paired,
        )  # fmt: skip
        self._features = active.tensors[only_input(active)]
        self._objective = self._passes.objective
        self._forwards = forwards_of_a_step(config) if self.trainables else 1
        summed = 2 * config.num_directions if config.rows == "shared" else 2
        rows_summed = (summed if self.trainables else 1) * batch
        self._head = (
            ExactHead(active, config, self._objective, rows_summed, tensor_numbers(program), frozen)
            if config.head == "exact"
            else None
        )
        self._updates = [
            Update(items, config, self._guidance) for items in _shared_out(self.trainables, threads)
        ]
        self._typical = np.zeros(1, np.int64)
        self._rate = 0.0  # of the values' steps: none has been set
        self.steps_taken = 0

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the arenas, of the perturbed layers and of an exact head's gradient, of all threads.

        Not in it: the trained values themselves, their per-channel probe and update integers, some
        tens of kB of random block, and one loss per sample.
        """
        return max(self._passes.scratch_bytes, sum(update.scratch_bytes for update in self._updates))

    @property
    def forwards(self) -> int:
        """Inferences of its batch that a step takes."""
        return self._forwards

    @property
    def batch(self) -> int:
        """Samples per step."""
        return self._batch

    def features(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run the frozen calls before the first trained one: what `step` takes instead of inputs."""
        return x if self._frozen is None else run_program(self._frozen, x)

    def step(self, features: NDArray[Any], labels: NDArray[np.int32]) -> StepReport:
        """Take one step on one batch of features (see `features`) and labels int32 [batch]."""
        self._check_labels(labels, self.batch)
        if not self.trainables:
            return self._head_step(features, labels)
        plus, minus, saturated = self.probe(features, labels)
        scalars = self._scalars(plus, minus)
        head = self._step_head()
        moved, clipped = self.apply(scalars)
        moved, clipped, rows = moved + head[0], clipped + head[1], self._rows
        return StepReport(self.steps_taken - 1, plus, minus, scalars, saturated, moved, clipped, rows)

    def _scalars(self, plus: tuple[int, ...], minus: tuple[int, ...]) -> tuple[int, ...]:
        """Return what each direction is multiplied by."""
        differences = [p - m for p, m in zip(plus, minus, strict=True)]
        if self.config.scalar == "sign":
            return tuple((d > 0) - (d < 0) for d in differences)
        scalars = np.zeros(len(differences), np.int32)
        places = magnitude_unit(self.config).bit_length() - 1
        scale_differences(np.array(differences, np.int64), self._typical, scalars, places)
        return tuple(scalars.tolist())

    def probe(
        self, features: NDArray[Any], labels: NDArray[np.int32]
    ) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Run the passes of the next step without taking it.

        Return the losses of the directions' plus passes, of their minus passes (2**-24 nats, summed over
        the samples that a direction sees), and how many perturbed values were clipped.
        """
        check_input(self._features, features, self._batch)
        given = features, labels, self.steps_taken
        widths, count, clipped = self._widths.choose(self.steps_taken), self.config.num_directions, 0
        if self.config.sharpness:
            self._guidance.climb(self.steps_taken, 0)
            losses, clipped = self._passes.run(*given, widths, range(count, count + 1))
            uphill = losses[count, 1] - losses[count, -1]
            self._guidance.climb(self.steps_taken, (uphill > 0) - (uphill < 0))
        losses, saturated = self._passes.run(*given, widths, range(count))
        plus = tuple(losses[direction, 1] for direction in range(count))
        minus = tuple(losses[direction, -1] for direction in range(count))
        return plus, minus, saturated + clipped

    def _head_step(self, features: NDArray[Any], labels: NDArray[np.int32]) -> StepReport:
        """Take a step in which nothing but the exact head is trained: one inference, no probe."""
        loss = self._passes.run_plain(features, labels)
        moved, clipped = self._step_head()
        self.steps_taken += 1
        return StepReport(self.steps_taken - 1, (loss,), (), (), 0, moved, clipped, self.batch)

    def _step_head(self) -> tuple[int, int]:
        """Step the exact head, if there is one, against what the passes have summed."""
        if self._head is None:
            return 0, 0
        counts = self._head.step(self._passes.head_gradients, self.steps_taken)
        self._head.refresh(self._executor)  # the other executors share its prepared constants
        return counts

    def apply(self, scalars: tuple[int, ...]) -> tuple[int, int]:
        """Take the step that the scalars mean, without any inference; return (moved, clipped) values.

        scalars: for each direction -1, 0 or 1, or a magnitude. `replay` takes a whole run so.
        """
        check_scalars(self.config, scalars)
        moved = saturated = 0
        if any(scalars) or self.config.weight_decay:
            jobs = [partial(update.run, self.steps_taken, scalars) for update in self._updates]
            for counts in self._passes.each(jobs):
                moved += counts[0]
                saturated += counts[1]
        self._guidance.record(self.steps_taken, scalars)
        self.steps_taken += 1
        return moved, saturated

    def fit(
        self,
        x: NDArray[Any],
        y: NDArray[np.int32],
        steps: int,
        on_step: OnStep | None = None,
        *,
        keep_best: bool = False,
    ) -> TrainingReport:
        """Take `steps` steps on batches drawn from x [n, ...] and y int32 [n].

        With n equal to the batch every step sees all data in order; else batches are drawn
        without replacement, as a pure function of (seed, step).

        keep_best: keep a copy of the values whose steps had the lowest mean loss; where a run is hopeless
        after it was better than at its beginning, go back to them and say so (`TrainingReport.stopped`).

        Raises
        ------
        InputError
            Data that does not fit.
        TrainingError
            The run is hopeless: see `Watch`.
        """
        check_input(self.program.tensors[self.program.inputs[0]], x)
        self._check_labels(y, len(x))
        if len(x) < self.batch:
            raise InputError(f"{len(x)} samples cannot fill a batch of {self.batch}; use a smaller batch")
        if not isinstance(steps, int) or steps < 1:
            raise InputError(f"steps must be an integer of at least 1; got {steps!r}")
        features = self.features(x)
        reports: list[StepReport] = []
        values = sum(item.values.size for item in self.trainables)
        if self._head is not None:
            values += sum(array.size for array in self._head.values.values())
        rates = ["learning rate"] * bool(self.trainables) + ["head rate"] * (self._head is not None)
        watch = Watch(self.config.patience, values, self._objective.num_classes, " or the ".join(rates))
        best, stopped = BestState(self._trained_arrays(), self.config.patience), ""
        for number in range(steps):
            self.set_rate(rate_of_step(self.config, number, steps))
            rows = rows_of_step(self.config.seed, self.steps_taken, len(x), self.batch)
            try:
                report = self.step(features[rows], y[rows])
                reports.append(report)
                if on_step is not None:
                    on_step(report)
                watch.observe(report)
            except TrainingError as error:
                if not (keep_best and best.is_better_than_first):
                    raise
                best.restore()
                self._widths.forget()
                if self._head is not None:
                    self._head.refresh(self._executor)
                stopped = f"{error}. The values are those after step {best.step}, the best"
                break
            if keep_best:
                best.observe(report)
        return TrainingReport(tuple(reports), self._forwards * len(reports), stopped)

    @property
    def head_steps(self) -> tuple[HeadStep, ...]:
        """How the exact head's arrays are stepped; empty without one, or before the first step."""
        return () if self._head is None else self._head.steps

    def _trained_arrays(self) -> list[NDArray[Any]]:
        head = [] if self._head is None else list(self._head.values.values())
        return [item.values for item in self.trainables] + head

    def set_rate(self, rate: float) -> None:
        """Take the next steps at a share of the learning rate, in (0, 1]; `fit` does so by its schedule."""
        if rate == self._rate:
            return
        self._rate = rate
        for item in self.trainables:
            item.set_rate(rate)
        if self._head is not None:
            self._head.set_rate(rate)

    def _check_labels(self, labels: NDArray[np.int32], samples: int) -> None:
        classes = self._objective.num_classes
        if not isinstance(labels, np.ndarray) or labels.dtype != np.int32 or labels.shape != (samples,):
            got = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, np.ndarray) else type(labels)
            raise InputError(f"labels must be int32 [{samples}]; got {got}")
        if int(np.maximum.reduce(labels.view(np.uint32))) >= classes:  # a negative one is large
            raise InputError(f"labels must lie in 0..{classes - 1}; got {labels.min()}..{labels.max()}")

    def adapted(self) -> Program:
        """Return the Program with the trained values (copies), its accumulators proved anew."""
        return self.write_into(self.program)

    def trained_layers(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return copies of the trained values by call and role; gains as factors (float64)."""
        layers: dict[str, dict[str, NDArray[Any]]] = {}
        for item in self.trainables:
            layers.setdefault(item.call, {})[item.role] = trained_values(item)
        if self._head is not None:
            layers[self.program.calls[-1].name] = {role: a.copy() for role, a in self._head.values.items()}
        return layers

    def write_into(self, program: Program) -> Program:
        """Return a Program of the same layers (another head's output, say) with the trained values."""
        head = (
            {} if self._head is None else {self._head.names[role]: a for role, a in self._head.values.items()}
        )
        return with_proved_accumulators(with_trained(program, self.trainables, head))


def _with_own_head(program: Program) -> Program:
    """Return the Program with its last layer's weights and bias in arrays of their own, to be rewritten."""
    head = program.calls[-1]
    names = [head.constants[role] for role in ("weights", "bias")]
    return program.with_constants({name: program.constants[name].data.copy() for name in names})


def _shared_out(items: Sequence[Trainable], threads: int) -> list[list[Trainable]]:
    """Deal the trained values out so that the largest share is small; no share is empty."""
    shares: list[list[Trainable]] = [[] for _ in range(min(threads, len(items)))]
    for item in sorted(items, key=lambda item: -item.values.size):
        min(shares, key=lambda share: sum(other.values.size for other in share)).append(item)
    return shares
