"""The arrays that a run trains, with the integers that scale their probes and their updates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import TrainingError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.units import scale_of
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE, scale_multipliers
from fxpgrad_kernels.training.perturb import BLOCK, Form
from fxpgrad_kernels.training.update import RoundingRule

KERNEL_SUFFIX = {"int8": "w8", "int16": "w16", "int32": "b32"}
FULL_DENSITY = 2**16  # of what is not thinned
SPLIT = 256  # steps of a whole weight of split bytes in one step of its upper byte


Scale = tuple[NDArray[np.int32], NDArray[np.int32]]  # multiplier, shift


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What makes a direction of one constant more than a draw (see `TrainerConfig.composed`).

    Attributes
    ----------
    density, fixed_density : int
        The shares, in 2**-16, that are left of each direction, and of all directions alike.
    bounds : (int32 [channels], int32 [channels]) or None
        The least and the greatest magnitude of a weight that is trained.
    uphill, ahead : (int32 [channels], int32 [channels])
        Multiplier and shift of the moves of the probes' centre.
    decay : int32 [channels]
        Weight decay of a step, in 2**(shift - 31), 0 where nothing is trained; rewritten with the rate.
    decayed : float
        The share that a step at the full rate takes off.
    """

    density: int
    fixed_density: int
    bounds: tuple[NDArray[np.int32], NDArray[np.int32]] | None
    uphill: Scale
    ahead: Scale
    decay: NDArray[np.int32]
    decayed: float


@dataclass(frozen=True, slots=True, eq=False)
class Trainable:
    """One trained constant, or the gains of a call's multipliers.

    Attributes
    ----------
    name, call, role : str
        The constant, the call that reads it, and the argument ("weights" or "bias") it is there; or
        "<call>/gain", the call and "gain".
    tensor : int
        Its number in the random stream: its place among all weights and biases of the Program; a gain's
        is 2**20 more than that of the weights beside it.
    values : int8, int16 or int32 array
        The present values; the trainer's own copy, updated in place.
    epsilon : int32 [channels]
        The probe in steps of each channel.
    multiplier, shift : int32 [channels]
        The update: learning rate * unit * z's unit / (step * m) = multiplier * 2**(shift - 31), rewritten
        where a schedule lowers the rate. Where the channel is not the first axis (depthwise filters) these
        three hold one entry per weight instead.
    real : float64 [channels]
        That real number at the full rate.
    block : int
        Which block of the trained layers it belongs to.
    split : bool
        `values` are int16 of which the passes read the upper byte; epsilon is in steps of that.
    parts : Parts or None
        None where a direction is nothing but a draw.
    look_ahead : float
        How many more of the last steps the probes' centre is moved by.
    """

    name: str
    call: str
    role: str
    tensor: int
    values: NDArray[Any]
    epsilon: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    real: NDArray[np.float64]
    block: int = 0
    split: bool = False
    parts: Parts | None = None
    look_ahead: float = 0.0

    def set_rate(self, rate: float) -> None:
        """Scale the update by `rate` in [0, 1] of the full learning rate."""
        decayed = 0.0 if self.parts is None else rate * self.parts.decayed
        self.multiplier[:], self.shift[:] = update_scale(rate * self.real, self.name, least=decayed)
        if self.parts is not None:
            decay = np.rint(decayed * 2.0 ** (31 - self.shift.astype(np.float64)))
            self.parts.decay[:] = np.where(self.real > 0, np.minimum(decay, 2**31 - 1), 0)
            ahead = update_scale(self.look_ahead * rate * self.real, self.name)
            self.parts.ahead[0][:], self.parts.ahead[1][:] = ahead

    @property
    def read(self) -> NDArray[Any]:
        """The values as a pass reads them where nothing is perturbed: the upper bytes of split ones."""
        if not self.split:
            return self.values
        upper: NDArray[Any] = np.clip((self.values.astype(np.int32) + 128) >> 8, -127, 127).astype(np.int8)
        return upper

    @property
    def read_dtype(self) -> np.dtype[Any]:
        """The type of what a pass reads."""
        return np.dtype(np.int8) if self.split else self.values.dtype

    @property
    def perturb(self) -> KernelSpec:
        """The kernel that writes w + sign * delta."""
        return kernel_named(f"perturb_{KERNEL_SUFFIX[self.values.dtype.name]}")

    @property
    def perturb_pair(self) -> KernelSpec:
        """The kernel that writes w + delta and w - delta, from one draw."""
        return kernel_named(f"perturb_pair_{KERNEL_SUFFIX[self.values.dtype.name]}")

    @property
    def perturb_along(self) -> KernelSpec:
        """The kernel that writes w + sign * delta for a given z."""
        return kernel_named(
            "perturb_split" if self.split else f"perturb_along_{KERNEL_SUFFIX[self.values.dtype.name]}"
        )

    @property
    def descend(self) -> KernelSpec:
        """The kernel that takes a step against a given gradient in place."""
        return kernel_named(f"descend_{KERNEL_SUFFIX[self.values.dtype.name]}")

    @property
    def copy(self) -> KernelSpec:
        """The kernel that copies whole values, if its sign is 0."""
        return kernel_named(f"perturb_along_{KERNEL_SUFFIX[self.values.dtype.name]}")

    @property
    def mask(self) -> KernelSpec:
        """The kernel that masks a direction by the magnitude of the weights."""
        return kernel_named(f"mask_direction_{KERNEL_SUFFIX[self.values.dtype.name]}")

    @property
    def update(self) -> KernelSpec:
        """The kernel that takes a step in place."""
        return kernel_named(f"update_{KERNEL_SUFFIX[self.values.dtype.name]}")


def distribution_code(config: TrainerConfig) -> int:
    """Return the generator's code for the run's distribution."""
    if config.distribution in ("rademacher", "sparse"):
        return int(Distribution.RADEMACHER)
    return int(Distribution.GAUSSIAN_PAPER if config.form == "paper" else Distribution.GAUSSIAN)


def form_code(config: TrainerConfig) -> int:
    """Return the perturbation's code for the run's form."""
    return int(Form[config.form.upper()])


def rounding_code(config: TrainerConfig) -> int:
    """Return the update's code for the run's rounding rule."""
    return int(RoundingRule[config.rounding.upper()])


def largest_probe(item: Trainable, config: TrainerConfig) -> int:
    """Return a bound of how far a probe moves what a pass reads, moves of its centre included.

    |z| is at most 127 / 32, or 1 if it is a sign; the paper's form also shrinks the value by 0.8 %.
    """
    shrinks = np.iinfo(item.values.dtype).max // 64 if config.form == "paper" else 0
    far = int(item.epsilon.max(initial=0)) * _largest_z(config) // 32 + 1 + shrinks
    if item.parts is None:
        return far
    moved = _reach(item.parts.uphill, _largest_z(config)) + _reach(item.parts.ahead, _most(config))
    return far + (moved // SPLIT + 1 if item.split else moved)


def probe_pair(
    item: Trainable, config: TrainerConfig, step: int, direction: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the values of both passes of a direction, in new arrays."""
    spec = item.perturb_pair
    plus, minus = np.empty_like(item.values), np.empty_like(item.values)
    arguments = {
        "weights": item.values.reshape(-1),
        "epsilon": item.epsilon,
        "table": direction_table(distribution_code(config)),
        "block": np.zeros(BLOCK, np.int8),
        "plus": plus.reshape(-1),
        "minus": minus.reshape(-1),
        "seed": config.seed,
        "step": step,
        "direction": direction,
        "tensor": item.tensor,
        "form": form_code(config),
        "distribution": distribution_code(config),
        "first_index": 0,
    }
    spec.function(*(arguments[argument.name] for argument in spec.arguments))
    return plus, minus


def largest_move(item: Trainable, config: TrainerConfig) -> int:
    """Return a bound of how far one update moves what a pass reads."""
    far = _reach((item.multiplier, item.shift), _most(config))
    if item.parts is not None:
        far += math.ceil(item.parts.decayed * np.iinfo(item.values.dtype).max)
    return far // SPLIT + 1 if item.split else far


def _reach(scale: Scale, most: int) -> int:
    """Return a bound of most * multiplier * 2**(shift - 31), rounded."""
    pairs = zip(scale[0].tolist(), scale[1].tolist(), strict=True)
    return max((most * multiplier >> (31 - shift) for multiplier, shift in pairs), default=0) + 1


def _most(config: TrainerConfig) -> int:
    """Return a bound of |sum_i scalars[i] * z_i|."""
    scalars = config.num_directions if config.scalar == "sign" else 256
    return scalars * _largest_z(config)


def _largest_z(config: TrainerConfig) -> int:
    signs = config.distribution in ("rademacher", "sparse") and not config.momentum
    return 32 if signs else 127


def trained_values(item: Trainable) -> NDArray[Any]:
    """Return a copy of the present values; gains as factors (float64)."""
    return np.clip(item.values, LOWEST, HIGHEST) / ONE if item.role == "gain" else item.read.copy()


def with_trained(
    program: Program, trainables: Sequence[Trainable], others: Mapping[str, NDArray[Any]]
) -> Program:
    """Return the Program with copies of the trained values; gains go into multipliers, shifts and scales.

    others: further constants by name.
    """
    arrays = {item.name: item.read.copy() for item in trainables if item.role != "gain"}
    arrays |= {name: data.copy() for name, data in others.items()}
    gains = {item.call: item.values for item in trainables if item.role == "gain"}
    return with_multiplied_gains(program, gains, arrays)


def with_multiplied_gains(
    program: Program, gains: Mapping[str, NDArray[np.int32]], arrays: Mapping[str, NDArray[Any]]
) -> Program:
    """Return the Program with gains, by call, in its multipliers and scales, and with other new constants."""
    changed, scales = dict(arrays), dict[str, NDArray[np.float64]]()
    calls = {call.name: call for call in program.calls}
    for name, gain in gains.items():
        names = calls[name].constants
        old = [program.constants[names[role]].data for role in ("multiplier", "shift")]
        new = [np.empty_like(array) for array in old]
        scale_multipliers(*old, gain, *new)
        changed |= {names[role]: array for role, array in zip(("multiplier", "shift"), new, strict=True)}
        for role in ("weights", "bias"):
            constant = program.constants[names[role]]
            scales[constant.name] = scale_of(constant) * (np.clip(gain, LOWEST, HIGHEST) / ONE)
    trained = program.with_constants(changed)
    constants = {
        name: dataclasses.replace(constant, scale=scales.get(name, constant.scale))
        for name, constant in trained.constants.items()
    }
    return dataclasses.replace(trained, constants=constants)


def tensor_numbers(program: Program) -> dict[str, int]:
    """Number the weights and biases of a Program in the order of its calls: part of the stream's format."""
    names = [
        call.constants[role]
        for call in program.calls
        for role in ("weights", "bias")
        if role in call.constants
    ]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def update_scale(
    real: NDArray[np.float64], name: str, *, least: float = 0.0, rate: str = "learning rate"
) -> Scale:
    """Return (multiplier, shift) with real = multiplier * 2**(shift - 31), shift down to -62.

    least: a number that must have a multiplier at the same shifts too.

    Raises
    ------
    TrainingError
        The shift would be beyond 30; the message names what is trained, and what `rate` calls its rate.
    """
    if not np.isfinite(real).all() or not math.isfinite(least):
        raise TrainingError(f"{rate} too large for {short_name(name)}: a step would exceed the integer range")
    _, exponent = np.frexp(np.maximum(real, least))
    multiplier = np.rint(np.ldexp(real, 31 - exponent)).astype(np.int64)
    overflow = multiplier == 2**31
    multiplier[overflow] //= 2
    exponent = exponent + overflow
    if exponent.max() > PROFILES["tflite_double"].shift_high:
        raise TrainingError(f"{rate} too large for {short_name(name)}: a step would exceed the integer range")
    multiplier[exponent < -62] = 0
    return multiplier.astype(np.int32), np.clip(exponent, -62, None).astype(np.int32)
