"""Taking a recorded run again from its scalars: no data, no inference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxpgrad.errors import InputError
from fxpgrad.trainer.schedule import rate_of_step
from fxpgrad.trainer.scopes import check_scalars
from fxpgrad.trainer.trainer import Trainer


def replay(trainer: Trainer, scalars: Sequence[tuple[int, ...]], steps: int | None = None) -> None:
    """Take the steps of a recorded run, so that the trainer has the values that the run had after them.

    Parameters
    ----------
    trainer : Trainer
        New, of the same Program, configuration (the seed included) and frozen constants; it may have another
        batch.
    scalars : sequence of tuple of int
        Of each step from the first on, one for each direction (`StepReport.scalars`).
    steps : int, optional
        The length that the run was to have, by which a linear schedule falls; None: as many as given. One
        that was given up early (`TrainingReport.stopped`) has fewer scalars.

    Raises
    ------
    InputError
        The trainer has taken steps, an exact head (whose steps depend on the data), or scalars that do not
        fit; more scalars than steps. No step has been taken then.
    """
    if not isinstance(scalars, (Sequence, np.ndarray)):
        raise InputError(f"scalars must be a sequence, an entry a step; got {type(scalars).__name__}")
    total = len(scalars) if steps is None else steps
    if trainer.steps_taken:
        raise InputError(
            f"a run is replayed from its start; this trainer has taken {trainer.steps_taken} steps"
        )
    if trainer.config.head == "exact":
        raise InputError("the steps of an exact head depend on the data: such a run cannot be replayed")
    if not isinstance(total, int) or isinstance(total, bool) or total < len(scalars):
        raise InputError(f"steps must be the length of the whole run, {len(scalars)} or more; got {steps!r}")
    for of_step in scalars:
        check_scalars(trainer.config, of_step)
    for number, of_step in enumerate(scalars):
        trainer.set_rate(rate_of_step(trainer.config, number, total))
        trainer.apply(of_step)
