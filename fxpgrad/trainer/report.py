"""What a run says about itself: nothing that went wrong in a step stays silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step.

    Attributes
    ----------
    step : int
        Its number, from 0.
    losses_plus, losses_minus : tuple of int
        Summed losses of each pair, in 2**-24 nats; where only an exact head is trained, the one loss of the
        batch and nothing.
    scalars : tuple of int
        What each direction is multiplied by: the sign of its directional derivative, -1, 0 or 1, or its
        magnitude (see `TrainerConfig.scalar`).
    probes_saturated : int
        Perturbed values that were clipped, over all passes.
    moved, updates_saturated : int
        Values that the update changed, and values that it clipped.
    batch : int
        Samples behind each loss.
    """

    step: int
    losses_plus: tuple[int, ...]
    losses_minus: tuple[int, ...]
    scalars: tuple[int, ...]
    probes_saturated: int
    moved: int
    updates_saturated: int
    batch: int

    @property
    def dead(self) -> str | None:
        """Why the step changed nothing, or None if it changed something.

        "zero loss" is no fault: every probe fits the batch to within 2**-20 nats a sample, so near to
        perfection that the two losses of a pair cannot be told apart.
        """
        if self.moved:
            return None
        losses = self.losses_plus + self.losses_minus
        if max(losses) <= self.batch * 2**4:
            return "zero loss"
        return "equal losses" if self.scalars and not any(self.scalars) else "no weight moved"

    @property
    def saturated(self) -> bool:
        """Whether any probe or update was clipped."""
        return bool(self.probes_saturated or self.updates_saturated)

    @property
    def mean_loss(self) -> float:
        """Mean loss of the probes in nats per sample (for people)."""
        losses = self.losses_plus + self.losses_minus
        return sum(losses) / (len(losses) * self.batch * 2**24)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """A whole run; stopped: why it was given up, its best values restored, or nothing."""

    steps: tuple[StepReport, ...]
    forwards: int
    stopped: str = ""

    @property
    def dead_steps(self) -> tuple[int, ...]:
        """Numbers of the steps that changed nothing."""
        return tuple(report.step for report in self.steps if report.dead)

    @property
    def saturated_steps(self) -> tuple[int, ...]:
        """Numbers of the steps with a clipped probe or update."""
        return tuple(report.step for report in self.steps if report.saturated)
