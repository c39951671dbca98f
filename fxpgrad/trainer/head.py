"""The exact head: the last linear layer trained by its own integer gradient, (softmax - onehot) x^T.

It needs no backward pass and no probe: features and accumulators lie in the arena after any inference,
those of a probe included. It costs one int64 for each of its weights, per thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import TrainingError
from fxpgrad.program.execute import Executor
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy, Objective
from fxpgrad.trainer.trainable import rounding_code, update_scale
from fxpgrad.trainer.units import scale_of
from fxpgrad_kernels.loss.residuals import residuals_linear
from fxpgrad_kernels.loss.residuals_ref import FRACTION_BITS
from fxpgrad_kernels.training.accumulator_bound import accumulator_bound
from fxpgrad_kernels.training.exact_gradient import WORDS, add_outer_products, descend


@dataclass(frozen=True, slots=True, eq=False)
class HeadStep:
    """How an array of an exact head is stepped: role, constant, stream number, integers of `descend`."""

    role: str
    name: str
    tensor: int
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    coarse: int


class HeadGradient:
    """One thread's sum of the head's gradient over the passes of a step."""

    def __init__(self, program: Program, rows: int) -> None:
        call = program.calls[-1]
        classes, width = program.constants[call.constants["weights"]].data.shape
        self._features = call.inputs[0]
        self._accumulators = call.output
        self._zero_point = call.parameters["input_zero_point"]
        self._residuals = np.zeros((rows, classes), np.int32)
        self.squares = 0  # of all features that were added, as long as somebody is `measuring` them
        self.measuring = True
        self.weights = np.zeros((classes, width), np.int64)
        self.bias = np.zeros(classes, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the gradient and of the residuals."""
        return self.weights.nbytes + self.bias.nbytes + self._residuals.nbytes

    def clear(self) -> None:
        """Start a step."""
        self.weights[:] = 0
        self.bias[:] = 0
        self.squares = 0

    def add(self, executor: Executor, objective: LinearCrossEntropy, labels: NDArray[np.int32]) -> None:
        """Add the rows that an executor has just run."""
        scale = objective.logit_scale
        if self.measuring:
            centred = executor.view(self._features).reshape(-1).astype(np.int64) - self._zero_point
            self.squares += int(centred @ centred)
        residuals_linear(executor.view(self._accumulators), *scale, labels, self._residuals)
        add_outer_products(
            executor.view(self._features), self._residuals, self.weights, self.bias,
            self.weights, self.bias, self._zero_point,
        )  # fmt: skip


class ExactHead:
    """The head's values, shared by all threads, and the step that rewrites them.

    Parameters
    ----------
    program : Program
        Ends in the head; its weights and bias are arrays that only this object writes.
    rows : int
        Rows whose gradients one step sums.
    numbers : mapping
        The number of each constant in the random stream.
    frozen : set of str
        Constants that are not trained.
    """

    def __init__(
        self,
        program: Program,
        config: TrainerConfig,
        objective: Objective,
        rows: int,
        numbers: Mapping[str, int],
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        if not isinstance(objective, LinearCrossEntropy):
            raise TrainingError(
                "the exact head is the gradient of the linear cross-entropy; choose that objective"
            )
        self._program, self._config, self._call = program, config, program.calls[-1]
        roles = ("weights", "bias") if config.train_bias else ("weights",)
        names = {role: self._call.constants[role] for role in roles}
        self.names = {role: name for role, name in names.items() if name not in frozen}
        self.values = {role: program.constants[name].data for role, name in self.names.items()}
        self._numbers = {role: numbers[name] for role, name in self.names.items()}
        self._coarse = max(0, (rows - 1).bit_length() - 8)
        self._words = np.zeros(WORDS, np.uint32)
        self._counts = np.zeros(2, np.int64)
        self._weights = program.constants[self._call.constants["weights"]].data
        self._bias = program.constants[self._call.constants["bias"]].data
        self._rows = rows
        self._shifts = {
            "weights": self._coarse,
            "bias": max(0, self._coarse - 8),
        }  # of 2**23, and 2**15, a row
        self._rate = 1.0
        self._real: dict[str, NDArray[np.float64]] = {}
        self._scales: dict[str, tuple[NDArray[np.int32], NDArray[np.int32]]] = {}

    def _measure(self, squares: int) -> None:
        """Choose the size of a step by the features of the first one, once for the run."""
        features = self._program.tensors[self._call.inputs[0]].scale
        size = max(squares / self._rows, 1.0) * features**2  # squared length of a feature vector
        step = self._config.head_rate / size / (self._rows * 2.0**FRACTION_BITS)
        factors = {"weights": features * 2.0**self._coarse, "bias": 2.0 ** self._shifts["bias"]}
        constants = self._program.constants
        self._real = {
            role: step * factors[role] / scale_of(constants[name]) for role, name in self.names.items()
        }
        self.set_rate(self._rate)

    @property
    def steps(self) -> tuple[HeadStep, ...]:
        """How each array is stepped; empty before the first step has measured the features."""
        return tuple(
            HeadStep(role, self.names[role], self._numbers[role], *scale, self._shifts[role])
            for role, scale in self._scales.items()
        )

    def set_rate(self, rate: float) -> None:
        """Scale the step by `rate` in [0, 1] of the full one."""
        self._rate = rate
        self._scales = {
            role: update_scale(rate * real, self.names[role], rate="head rate")
            for role, real in self._real.items()
        }

    def step(self, gradients: list[HeadGradient], number: int) -> tuple[int, int]:
        """Step against the sum of the threads' gradients; return how many values moved and were clipped.

        Raises
        ------
        TrainingError
            The weights have grown until the accumulators no longer fit int32.
        """
        if not self._real:
            self._measure(sum(gradient.squares for gradient in gradients))
            for gradient in gradients:
                gradient.measuring = False
        moved = clipped = 0
        for role in self.names:
            total: NDArray[Any] = np.sum([getattr(gradient, role) for gradient in gradients], axis=0)
            scale = self._scales[role]
            descend(
                self.values[role].reshape(-1), total.reshape(-1), *scale, np.zeros_like(scale[0]),
                self._words, self._counts, self._config.seed, number, self._numbers[role],
                rounding_code(self._config), self._shifts[role], 0,
            )  # fmt: skip
            moved += int(self._counts[0])
            clipped += int(self._counts[1])
        bound = accumulator_bound(self._weights, self._bias, self._call.parameters["input_zero_point"])
        if bound >= 2**31:
            raise TrainingError(
                f"training has grown the head {short_name(self._call.name)} until its accumulator may "
                f"reach {bound}, beyond int32; use a smaller head rate"
            )
        return moved, clipped

    def refresh(self, executor: Executor) -> None:
        """Put the present values in the order in which the head's kernel reads them."""
        constants = {role: self._program.constants[name].data for role, name in self._call.constants.items()}
        self._call.spec.prepare_into(executor.prepared[self._call.name], constants, self._call.parameters)
