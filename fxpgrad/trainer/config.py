"""What a forward-gradient run is made of: every choice is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from fxpgrad.errors import InputError

Scope = Literal["ft", "lp"]
DistributionName = Literal["gaussian", "rademacher"]
FormName = Literal["exact", "paper"]
RoundingName = Literal["nearest", "stochastic", "floor"]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Settings of sign-m-SPSA in fixed point (paper, sections 2 and 3).

    Attributes
    ----------
    scope : {"ft", "lp"}
        Train every weight and bias (full fine-tuning), or those of the last layer (linear probing).
    num_directions : int in [1, 64]
        m: directions, that is pairs of inferences, per step.
    epsilon : float > 0
        Size of the probe in real weight units; becomes round(epsilon / weight step) per channel.
    learning_rate : float > 0
        eta: size of a step in real weight units.
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
    epsilon: float = 1e-3
    learning_rate: float = 1e-3
    distribution: DistributionName = "gaussian"
    form: FormName = "exact"
    rounding: RoundingName = "stochastic"
    train_bias: bool = True
    seed: int = 0
    patience: int = 25

    def __post_init__(self) -> None:
        for name, choices in (
            ("scope", get_args(Scope)),
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
        for name in ("epsilon", "learning_rate"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a positive finite number; got {value!r}")
        if self.form == "paper" and self.distribution != "gaussian":
            raise InputError("form 'paper' is defined for distribution 'gaussian' only")
