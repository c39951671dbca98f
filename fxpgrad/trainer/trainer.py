"""The trainer: sign-m-SPSA, driving a Program twice per direction with seeds only.

No perturbed copy of the model exists and no z is stored: each trained layer's perturbed weights are
written into one scratch of the largest layer's size just before the layer runs, and the update
draws the same z again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, LoweringError, TrainingError
from fxpgrad.program.execute import BoundCall, Executor, check_input, run_program
from fxpgrad.program.head import split_before
from fxpgrad.program.program import Program
from fxpgrad.program.prove import (
    AccumulatorProof,
    real_multipliers,
    required_bits,
    with_proved_accumulators,
)
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import Objective
from fxpgrad.trainer.report import StepReport, TrainingReport
from fxpgrad.trainer.trainable import (
    Trainable,
    distribution_code,
    form_code,
    make_trainables,
    rounding_code,
)
from fxpgrad.trainer.watch import Watch
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.training.accumulator_bound import accumulator_bound
from fxpgrad_kernels.training.update import BLOCK

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
    """

    def __init__(self, program: Program, config: TrainerConfig, objective: Objective, batch: int) -> None:
        self.program = program
        self.config = config
        if program.variables:
            raise TrainingError(
                f"program {program.name} keeps state from row to row ({', '.join(program.variables)}); "
                "training a stateful network is not supported"
            )
        self.trainables = make_trainables(program, config)
        first = min(index for index, call in enumerate(program.calls) if call.name == self.trainables[0].call)
        self._frozen, active = split_before(program, first)
        self._objective = objective
        objective.prepare(active, batch)
        self._executor = Executor(active, batch)
        self._profile = profile_named(program.profile)
        self._table = direction_table(distribution_code(config))
        self._block = np.zeros((config.num_directions, BLOCK), np.int8)
        self._signs = np.zeros(config.num_directions, np.int32)
        self._counts = np.zeros(2, np.int64)
        self._by_call: dict[str, list[Trainable]] = {}
        for item in self.trainables:
            self._by_call.setdefault(item.call, []).append(item)
        self._scratch = np.zeros(self.layer_scratch_bytes, np.uint8)
        self.steps_taken = 0

    @property
    def layer_scratch_bytes(self) -> int:
        """Bytes of the perturbed copy of the largest trained layer (weights and bias)."""
        return max(
            sum(-(-item.values.nbytes // 16) * 16 for item in items) for items in self._by_call.values()
        )

    @property
    def scratch_bytes(self) -> int:
        """Bytes of the arena and of one perturbed layer.

        Not in it: the trained values themselves, their per-channel probe and update integers, a few
        hundred bytes of random block per direction, and one loss per sample.
        """
        return self._executor.plan.peak_bytes + self.layer_scratch_bytes

    @property
    def batch(self) -> int:
        """Samples per step."""
        return self._executor.batch

    def features(self, x: NDArray[Any]) -> NDArray[Any]:
        """Run the frozen calls before the first trained one: what `step` takes instead of inputs."""
        return x if self._frozen is None else run_program(self._frozen, x)

    def _probe(
        self, features: NDArray[Any], labels: NDArray[np.int32], direction: int, sign: int
    ) -> tuple[int, int]:
        """Return (loss, clipped values) of one perturbed inference."""
        executor = self._executor
        executor.load(features)
        saturated = 0
        for bound in executor.calls:
            items = self._by_call.get(bound.call.name)
            if items is None:
                bound.run()
                continue
            overrides, clipped = self._perturbed(items, direction, sign)
            self._choose_accumulator(bound, overrides)
            bound.run(overrides)
            saturated += clipped
        output = executor.view(executor.program.outputs[0])
        return self._objective(output, labels), saturated

    def _perturbed(self, items: list[Trainable], direction: int, sign: int) -> tuple[dict[str, Any], int]:
        overrides: dict[str, Any] = {}
        offset = saturated = 0
        for item in items:
            end = offset + item.values.nbytes
            target = self._scratch[offset:end].view(item.values.dtype)
            offset = -(-end // 16) * 16
            saturated += item.perturb(
                item.values.reshape(-1),
                item.epsilon,
                self._table,
                self._block[0],
                target,
                self.config.seed,
                self.steps_taken,
                direction,
                item.tensor,
                sign,
                form_code(self.config),
                distribution_code(self.config),
            )
            overrides[item.role] = target.reshape(item.values.shape)
        return overrides, int(saturated)

    def _choose_accumulator(self, bound: BoundCall, overrides: dict[str, Any]) -> None:
        """Prove the perturbed layer again: 32 bits where they are safe, 64 where those are exact."""
        call = bound.call
        constants = self._executor.program.constants
        weights = overrides["weights"]
        bias = overrides.get("bias", constants[call.constants["bias"]].data)
        if constants[call.constants["weights"]].axis != 0:
            weights = np.moveaxis(weights, -1, 0)
        matrix = np.ascontiguousarray(weights).reshape(len(bias), -1)
        limit = int(accumulator_bound(matrix, bias, call.parameters["input_zero_point"]))
        proof = AccumulatorProof(call.name, limit, limit.bit_length() + 1)
        try:
            overrides["accumulator_bits"] = required_bits(
                self._profile, proof, real_multipliers(self._executor.program, call)
            )
        except LoweringError as error:
            raise TrainingError(
                f"training has grown the weights too far: {error}; or use a smaller learning rate"
            ) from error

    def step(self, features: NDArray[Any], labels: NDArray[np.int32]) -> StepReport:
        """Take one step on one batch of features (see `features`) and labels int32 [batch]."""
        self._check_labels(labels, self.batch)
        plus, minus, saturated = [], [], 0
        for direction in range(self.config.num_directions):
            loss_plus, clipped_plus = self._probe(features, labels, direction, 1)
            loss_minus, clipped_minus = self._probe(features, labels, direction, -1)
            plus.append(loss_plus)
            minus.append(loss_minus)
            saturated += clipped_plus + clipped_minus
        signs = tuple((p > m) - (p < m) for p, m in zip(plus, minus, strict=True))
        moved, clipped = self.apply(signs)
        report = StepReport(
            self.steps_taken - 1, tuple(plus), tuple(minus), signs, saturated, moved, clipped, self.batch
        )
        return report

    def apply(self, signs: tuple[int, ...]) -> tuple[int, int]:
        """Take the step that the signs mean, without any inference; return (moved, clipped) values.

        signs: one of -1, 0, 1 for each direction. This is also how a recorded run is replayed.
        """
        if len(signs) != self.config.num_directions or not set(signs) <= {-1, 0, 1}:
            raise InputError(f"signs must be {self.config.num_directions} of -1, 0, 1; got {signs}")
        self._signs[:] = signs
        moved = saturated = 0
        if any(signs):
            for item in self.trainables:
                item.update(
                    item.values.reshape(-1),
                    self._signs,
                    item.multiplier,
                    item.shift,
                    self._table,
                    self._block,
                    self._counts,
                    self.config.seed,
                    self.steps_taken,
                    item.tensor,
                    rounding_code(self.config),
                    distribution_code(self.config),
                )
                moved += int(self._counts[0])
                saturated += int(self._counts[1])
        self.steps_taken += 1
        return moved, saturated

    def fit(
        self, x: NDArray[Any], y: NDArray[np.int32], steps: int, on_step: OnStep | None = None
    ) -> TrainingReport:
        """Take `steps` steps on batches drawn from x [n, ...] and y int32 [n].

        With n equal to the batch every step sees all data in order; else batches are drawn
        without replacement, as a pure function of (seed, step).

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
        watch = Watch(self.config.patience, values, self._objective.num_classes)
        for _ in range(steps):
            rows = self._rows(len(x))
            report = self.step(features[rows], y[rows])
            reports.append(report)
            if on_step is not None:
                on_step(report)
            watch.observe(report)
        return TrainingReport(tuple(reports), 2 * self.config.num_directions * len(reports))

    def _check_labels(self, labels: NDArray[np.int32], samples: int) -> None:
        classes = self._objective.num_classes
        if not isinstance(labels, np.ndarray) or labels.dtype != np.int32 or labels.shape != (samples,):
            got = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, np.ndarray) else type(labels)
            raise InputError(f"labels must be int32 [{samples}]; got {got}")
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise InputError(f"labels must lie in 0..{classes - 1}; got {labels.min()}..{labels.max()}")

    def _rows(self, samples: int) -> Any:
        if samples == self.batch:
            return slice(None)
        sequence = np.random.SeedSequence(self.config.seed, spawn_key=(self.steps_taken,))
        words = np.random.PCG64(sequence).random_raw(samples)  # raw words: a stream NumPy keeps for good
        return np.sort(np.argsort(words, kind="stable")[: self.batch])

    def adapted(self) -> Program:
        """Return the Program with the trained values (copies), its accumulators proved anew."""
        values = {item.name: item.values.copy() for item in self.trainables}
        return with_proved_accumulators(self.program.with_constants(values))
