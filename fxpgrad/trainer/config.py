"""What a forward-gradient run is made of: every choice is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from fxpgrad.errors import InputError

Scope = Literal["ft", "lp", "affine"]
Rows = Literal["shared", "split"]
Schedule = Literal["constant", "linear"]
Head = Literal["forward", "exact"]
DistributionName = Literal["gaussian", "rademacher"]
FormName = Literal["exact", "paper"]
RoundingName = Literal["nearest", "stochastic", "floor"]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Settings of sign-m-SPSA in fixed point (paper, sections 2 and 3).

    Attributes
    ----------
    scope : {"ft", "lp", "affine"}
        Train every weight and bias (full fine-tuning), those of the last layer (linear probing), or what
        requantization carries: each layer's bias and, through gains, its multipliers. The affine scope
        touches no weight, so that it works at any weight width.
    num_directions : int in [1, 64]
        m: directions per step.
    rows : {"shared", "split"}
        Every direction sees the whole batch (2 m inferences of it), or a part of its own (2 inferences in
        all): with m equal to the batch, one direction a sample. Splitting is for scopes of few values.
    epsilon : float > 0
        Size of the probe in units of what is probed (see `relative`); rounded to steps per channel.
    learning_rate : float > 0
        eta: size of a step in the same units. The signs of m directions are averaged (shared), or
        summed and divided by sqrt(m) (split).
    relative : bool
        Kernel-wise normalization (paper, section 4): the unit is not 1 but each kernel's own size, the root
        mean square of its weights; for a bias, 32 steps of its layer's output. The affine scope is always
        relative: gains are factors.
    schedule : {"constant", "linear"}
        The learning rate over `Trainer.fit`: as it is, or falling to zero in 64 stairs.
    head : {"forward", "exact"}
        Train the last layer by forward gradients like the rest, or by its exact integer gradient.
    head_rate : float > 0
        Size of a step of the exact head, in units of one over the mean squared length of the feature
        vectors of the first step: up to about 2 such steps cannot diverge.
    distribution : {"gaussian", "rademacher"}
        What z is drawn from.
    form : {"exact", "paper"}
        dz = 1/32 with an exact unit, or the paper's dz = 0.0276 whose unit 36 shrinks every weight
        by 0.8 % in both passes.
    rounding : {"stochastic", "nearest", "floor"}
        How an update becomes a whole number of weight steps.
    train_bias : bool
        Also train the int32 biases.
    seed : int in [0, 2**63)
        Names every direction and every rounding bit of the run.
    patience : int >= 1
        Give up after this many dead steps in a row.
    """

    scope: Scope = "ft"
    num_directions: int = 3
    rows: Rows = "shared"
    epsilon: float = 1e-3
    learning_rate: float = 1e-3
    relative: bool = False
    schedule: Schedule = "constant"
    head: Head = "forward"
    head_rate: float = 1.0
    distribution: DistributionName = "gaussian"
    form: FormName = "exact"
    rounding: RoundingName = "stochastic"
    train_bias: bool = True
    seed: int = 0
    patience: int = 25

    def __post_init__(self) -> None:
        for name, choices in (
            ("scope", get_args(Scope)),
            ("rows", get_args(Rows)),
            ("schedule", get_args(Schedule)),
            ("head", get_args(Head)),
            ("distribution", get_args(DistributionName)),
            ("form", get_args(FormName)),
            ("rounding", get_args(RoundingName)),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        for name, low, high in (
            ("num_directions", 1, 64),
            ("seed", 0, 2**63 - 1),
            ("patience", 1, 2**31),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{name} must be an integer in [{low}, {high}]; got {value!r}")
        for name in ("epsilon", "learning_rate", "head_rate"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a positive finite number; got {value!r}")
        if self.form == "paper" and self.distribution != "gaussian":
            raise InputError("form 'paper' is defined for distribution 'gaussian' only")
