"""What a forward-gradient run is made of: every choice is an argument."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal, get_args

from fxpgrad.errors import InputError

Scope = Literal["ft", "lp", "last_k", "affine"]
Rows = Literal["shared", "split"]
Schedule = Literal["constant", "linear"]
Head = Literal["forward", "exact"]
DistributionName = Literal["gaussian", "rademacher", "sparse"]
Scalar = Literal["sign", "magnitude"]
Mask = Literal["none", "largest", "smallest", "random"]
FormName = Literal["exact", "paper"]
RoundingName = Literal["nearest", "stochastic", "floor"]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """Settings of sign-m-SPSA in fixed point (paper, sections 2 and 3).

    Attributes
    ----------
    scope : {"ft", "lp", "last_k", "affine"}
        Train every weight and bias (full fine-tuning), those of the last layer (linear probing), those of
        the last `layers` layers, or what requantization carries: each layer's bias and, through gains, its
        multipliers. The affine scope touches no weight, so that it works at any weight width.
    layers : int >= 1
        Of the scope last_k.
    blocks : int >= 1
        Block-coordinate descent: cut the trained layers into so many runs, and train one run a step, in turn.
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
        vectors of the first step: up to about 2 such steps cannot diverge. `first_rate.measure_head_rate`
        finds one that suits a network and its data.
    distribution : {"gaussian", "rademacher", "sparse"}
        What z is drawn from. Sparse: signs, thinned at random (anew for each direction) where epsilon is
        smaller than one step of the weights, so that each probe that is not zero is at least one step.
    split_bytes : bool
        8-bit weights that learn: keep 16 bits of each weight, of which every pass reads the upper byte. The
        kernels stay those of 8-bit weights; the lower byte holds what a step moves by less than one.
    scalar : {"sign", "magnitude"}
        What a direction is multiplied by: the sign of its loss difference, or the difference itself, divided
        by a power of two near its usual size and clipped at 4 (`scale_differences`).
    mask : {"none", "largest", "smallest", "random"}
        Sparse update (paper, section 4): probe and update only so large a share of each layer's weights.
        By magnitude, with thresholds of the first weights; random: the same weights all along.
    density : float in (0, 1]
        The share that a mask keeps.
    momentum : float in [0, 1)
        Momentum-guided sampling (paper, section 4): the weight 1 - b of the last direction in the next one.
        Directions of earlier steps, turned uphill, are drawn again from their seeds; z keeps its variance.
    sharpness : float >= 0
        Sharpness-aware perturbation (paper, section 4): one more direction finds which way is up, and the
        probes are centred so many epsilons along it. Two more inferences a step. 0: off.
    look_ahead : float >= 0
        Centre the probes where the last step, taken once more so many times, would lead. 0: off.
    weight_decay : float >= 0
        A step also takes learning rate * weight_decay off every probed weight, relative to it; not off
        biases, gains and an exact head. Not with a mask.
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
    split_bytes: bool = False
    scalar: Scalar = "sign"
    mask: Mask = "none"
    density: float = 1.0
    momentum: float = 0.0
    sharpness: float = 0.0
    look_ahead: float = 0.0
    weight_decay: float = 0.0
    layers: int = 1
    blocks: int = 1
    rounding: RoundingName = "stochastic"
    train_bias: bool = True
    seed: int = 0
    patience: int = 25

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{name} must be an integer in [{low}, {high}]; got {value!r}")
        for name in ("epsilon", "learning_rate", "head_rate"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 < value <= sys.float_info.max):
                raise InputError(f"{name} must be a positive finite number; got {value!r}")
        for name, (least, most) in _REAL.items():
            value = getattr(self, name)
            if not (_is_number(value) and least <= value <= most):
                raise InputError(f"{name} must be a number in [{least:g}, {most:g}]; got {value!r}")
        for name in ("relative", "split_bytes", "train_bias"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be true or false; got {getattr(self, name)!r}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.form == "paper" and (self.distribution != "gaussian" or self.composed):
            raise InputError(
                "form 'paper' is the paper's plain estimator: distribution 'gaussian', without split bytes, "
                "masks, momentum, centres or weight decay"
            )
        if self.mask == "none" and self.density != 1.0:
            raise InputError(
                f"density {self.density:g} needs a mask: choose 'largest', 'smallest' or 'random'"
            )
        if self.mask != "none" and self.weight_decay:
            raise InputError(
                "weight_decay would shrink the weights that a mask leaves alone: take one of them"
            )
        if self.rows == "split" and self.sharpness:
            raise InputError("sharpness needs a direction that sees the whole batch: choose rows 'shared'")
        if self.scope == "affine" and (self.mask != "none" or self.split_bytes):
            raise InputError("the scope affine trains no weight: it takes neither a mask nor split bytes")

    @property
    def composed(self) -> bool:
        """Whether a direction is more than a draw, so that its parts are put together in a slab."""
        return bool(
            self.distribution == "sparse"
            or self.split_bytes
            or self.mask != "none"
            or self.momentum
            or self.sharpness
            or self.look_ahead
            or self.weight_decay
        )

    @property
    def head_alone(self) -> bool:
        """Whether the exact head is all that is trained, so that nothing is probed."""
        last = self.scope == "lp" or (self.scope == "last_k" and self.layers == 1)
        return last and self.head == "exact"


def forwards_of_a_step(config: TrainerConfig) -> int:
    """Return how many inferences of its batch a step takes."""
    if config.head_alone:
        return 1
    climbing = 2 if config.sharpness else 0
    return climbing + 2 * (config.num_directions if config.rows == "shared" else 1)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_CHOICES = {
    "scope": get_args(Scope),
    "rows": get_args(Rows),
    "schedule": get_args(Schedule),
    "head": get_args(Head),
    "distribution": get_args(DistributionName),
    "form": get_args(FormName),
    "rounding": get_args(RoundingName),
    "scalar": get_args(Scalar),
    "mask": get_args(Mask),
}
_WHOLE = {
    "num_directions": (1, 64),
    "seed": (0, 2**63 - 1),
    "patience": (1, 2**31),
    "layers": (1, 2**31),
    "blocks": (1, 2**31),
}
_REAL = {
    "density": (2.0**-16, 1.0),
    "momentum": (0.0, 0.99),
    "sharpness": (0.0, 1e3),
    "look_ahead": (0.0, 1e3),
    "weight_decay": (0.0, 1e3),
}
