"""Gradient descent by PyTorch: optimizers, schedules and minibatches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.experiments.torch_operators import import_torch

OPTIMIZERS = ("sgd", "momentum", "adam")
SCHEDULES = ("constant", "linear")


@dataclass(frozen=True, slots=True)
class Descent:
    """How to descend.

    Attributes
    ----------
    steps : int >= 0
        Number of updates.
    learning_rate : float > 0
    optimizer : {"sgd", "momentum", "adam"}
        Plain steps, steps with momentum, or Adam with PyTorch's defaults.
    momentum : float in [0, 1)
        Of the optimizer "momentum".
    schedule : {"constant", "linear"}
        The rate as it is, or falling to zero: (1 - step / steps) of it.
    batch : int >= 1 or None
        Samples per step, reshuffled whenever fewer than that remain; None or >= n takes all every step.
    seed : int
        Of the shuffling; unused with the full batch.
    """

    steps: int
    learning_rate: float
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "constant"
    batch: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if self.steps < 0:
            raise InputError(f"steps must not be negative, but is {self.steps}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"learning_rate must be finite and positive, not {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must be in [0, 1), not {self.momentum}")
        whole = isinstance(self.batch, int | np.integer) and not isinstance(self.batch, bool)
        if self.batch is not None and not (whole and self.batch >= 1):
            raise InputError(f"batch must be at least 1, or None for all samples, not {self.batch!r}")


def batches(count: int, batch: int | None, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield row numbers of `count` samples for ever, int64 [batch]."""
    if batch is None or batch >= count:
        while True:
            yield np.arange(count)
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(count)
        yield from (order[start : start + batch] for start in range(0, count - batch + 1, batch))


def descend(
    plan: Descent,
    trained: list[Any],
    samples: int,
    loss: Callable[[Any], Any],
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Take the plan's steps on `trained`, in place.

    Parameters
    ----------
    plan
    trained
        Torch leaves that require a gradient.
    samples
        How many there are to draw batches from.
    loss
        Rows (int64 tensor [batch]) to a scalar tensor.
    on_step
        Called after every update with the number of steps done.
    """
    torch = import_torch()
    rules: dict[str, Callable[[], Any]] = {
        "sgd": lambda: torch.optim.SGD(trained, lr=plan.learning_rate),
        "momentum": lambda: torch.optim.SGD(trained, lr=plan.learning_rate, momentum=plan.momentum),
        "adam": lambda: torch.optim.Adam(trained, lr=plan.learning_rate),
    }
    rule, rows = rules[plan.optimizer](), batches(samples, plan.batch, plan.seed)
    for step in range(plan.steps):
        if plan.schedule == "linear":
            for group in rule.param_groups:
                group["lr"] = plan.learning_rate * (1 - step / plan.steps)
        value = loss(torch.as_tensor(next(rows)))
        rule.zero_grad()
        value.backward()
        rule.step()
        if on_step is not None:
            on_step(step + 1)
