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
from fxpgrad.program.program import Call, Constant, Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.units import GAIN_SCALE, scale_of, unit_of
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE, scale_multipliers
from fxpgrad_kernels.training.perturb import BLOCK, Form
from fxpgrad_kernels.training.update import RoundingRule

UNIT = {"exact": 1 / 32, "paper": 0.0276}
_SUFFIX = {"int8": "w8", "int16": "w16", "int32": "b32"}
_EPSILON_LIMIT = {"int8": 2**24, "int16": 2**24, "int32": 2**31 - 1}
GAIN_SHIFTS = (-28, 29)  # of multipliers whose gains may lie between 1/8 and 2
_FIRST_GAIN = 2**20  # the number in the random stream of the gain beside constant 0


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

    def set_rate(self, rate: float) -> None:
        """Scale the update by `rate` in [0, 1] of the full learning rate."""
        self.multiplier[:], self.shift[:] = update_scale(rate * self.real, self.name)

    @property
    def perturb(self) -> KernelSpec:
        """The kernel that writes w + sign * delta."""
        return kernel_named(f"perturb_{_SUFFIX[self.values.dtype.name]}")

    @property
    def perturb_pair(self) -> KernelSpec:
        """The kernel that writes w + delta and w - delta, from one draw."""
        return kernel_named(f"perturb_pair_{_SUFFIX[self.values.dtype.name]}")

    @property
    def update(self) -> KernelSpec:
        """The kernel that takes a step in place."""
        return kernel_named(f"update_{_SUFFIX[self.values.dtype.name]}")


def distribution_code(config: TrainerConfig) -> int:
    """Return the generator's code for the run's distribution."""
    if config.distribution == "rademacher":
        return int(Distribution.RADEMACHER)
    return int(Distribution.GAUSSIAN_PAPER if config.form == "paper" else Distribution.GAUSSIAN)


def form_code(config: TrainerConfig) -> int:
    """Return the perturbation's code for the run's form."""
    return int(Form[config.form.upper()])


def rounding_code(config: TrainerConfig) -> int:
    """Return the update's code for the run's rounding rule."""
    return int(RoundingRule[config.rounding.upper()])


def largest_probe(item: Trainable, config: TrainerConfig) -> int:
    """Return a bound of how far a probe moves a value.

    |z| is at most 127 / 32, or 1 if it is a sign; the paper's form also shrinks the value by 0.8 %.
    """
    shrinks = np.iinfo(item.values.dtype).max // 64 if config.form == "paper" else 0
    return int(item.epsilon.max(initial=0)) * _largest_z(config) // 32 + 1 + shrinks


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
    """Return a bound of how far one update moves a value."""
    most = config.num_directions * _largest_z(config)
    pairs = zip(item.multiplier.tolist(), item.shift.tolist(), strict=True)
    return max((most * multiplier >> (31 - shift) for multiplier, shift in pairs), default=0) + 1


def _largest_z(config: TrainerConfig) -> int:
    return 32 if config.distribution == "rademacher" else 127


def trained_values(item: Trainable) -> NDArray[Any]:
    """Return a copy of the present values; gains as factors (float64)."""
    return np.clip(item.values, LOWEST, HIGHEST) / ONE if item.role == "gain" else item.values.copy()


def with_trained(
    program: Program, trainables: Sequence[Trainable], others: Mapping[str, NDArray[Any]]
) -> Program:
    """Return the Program with copies of the trained values; gains go into multipliers, shifts and scales.

    others: further constants by name.
    """
    arrays = {item.name: item.values.copy() for item in trainables if item.role != "gain"}
    arrays |= {name: data.copy() for name, data in others.items()}
    scales: dict[str, NDArray[np.float64]] = {}
    calls = {call.name: call for call in program.calls}
    for item in (item for item in trainables if item.role == "gain"):
        names = calls[item.call].constants
        old = [program.constants[names[role]].data for role in ("multiplier", "shift")]
        new = [np.empty_like(array) for array in old]
        scale_multipliers(*old, item.values, *new)
        arrays |= {names[role]: array for role, array in zip(("multiplier", "shift"), new, strict=True)}
        for role in ("weights", "bias"):
            constant = program.constants[names[role]]
            scales[constant.name] = scale_of(constant) * trained_values(item)
    trained = program.with_constants(arrays)
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


def _per_element(constant: Constant, per_channel: NDArray[Any]) -> NDArray[Any]:
    """Spread channel values over the array where the channel is not the first axis (depthwise)."""
    if constant.axis == 0:
        return per_channel
    return np.ascontiguousarray(np.broadcast_to(per_channel, constant.data.shape)).reshape(-1)


def update_scale(real: NDArray[np.float64], name: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (multiplier, shift) with real = multiplier * 2**(shift - 31), shift down to -62.

    Raises
    ------
    TrainingError
        The shift would be beyond 30; the message names what is trained.
    """
    fraction, exponent = np.frexp(real)
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    overflow = multiplier == 2**31
    multiplier[overflow] //= 2
    exponent = exponent + overflow
    if exponent.max() > PROFILES["tflite_double"].shift_high:
        raise TrainingError(f"learning rate too large for {name}: a step would exceed the integer range")
    multiplier[exponent < -62] = 0
    return multiplier.astype(np.int32), np.clip(exponent, -62, None).astype(np.int32)


def make_trainables(
    program: Program, config: TrainerConfig, frozen: frozenset[str] = frozenset()
) -> tuple[Trainable, ...]:
    """Return what the configuration trains but for `frozen` constants; refuse if nothing could move.

    Raises
    ------
    TrainingError
        A weight tensor whose probe rounds to zero in every channel (message: its step and the
        smallest epsilon that would move it), or a tensor without a scale.
    """
    numbers = tensor_numbers(program)
    calls = _trained_calls(program, config)
    for call in calls:
        if "accumulator_bits" not in call.parameters:
            raise TrainingError(
                f"layer {call.name} ({call.kernel}) cannot be trained: only convolutions and dense layers of "
                "int8 activations can; choose the scope lp, if the last layer is one"
            )
    names = [call.constants[role] for call in program.calls for role in call.constants]
    for call in calls:
        for role in ("weights", "bias"):
            if names.count(call.constants[role]) > 1:
                raise TrainingError(
                    f"constant {call.constants[role]} is read by two calls; shared weights cannot be "
                    "trained: give each layer its own"
                )
    trainables = [
        _make(program, call, role, numbers, config)
        for call in calls
        for role in _roles(call, config)
        if call.constants.get(role) not in frozen
    ]
    dead = [item.name for item in trainables if item.role == "weights" and not item.epsilon.any()]
    if dead:
        scale = program.constants[dead[0]].scale
        assert scale is not None
        raise TrainingError(
            f"epsilon {config.epsilon:g} rounds to zero steps of every channel of {dead[0]} "
            f"(and of {len(dead) - 1} more tensors): both passes would be equal and nothing could be "
            f"learned; use epsilon of at least {float(scale.min()) / 2:.3g}, or 16-bit weights"
        )
    return tuple(trainables)


def _trained_calls(program: Program, config: TrainerConfig) -> list[Call]:
    """Return the calls that directions probe."""
    calls = [call for call in program.calls if "weights" in call.constants]
    if not calls:
        raise TrainingError(f"program {program.name} has no layer with weights: nothing can be trained")
    if config.head == "exact":
        return [] if config.scope == "lp" else calls[:-1]
    return calls[-1:] if config.scope == "lp" else calls


def _roles(call: Call, config: TrainerConfig) -> tuple[str, ...]:
    bias = ("bias",) if config.train_bias else ()
    if config.scope != "affine":
        return ("weights", *bias)
    return (*bias, "gain") if "multiplier" in call.constants else bias


def _make(
    program: Program, call: Call, role: str, numbers: dict[str, int], config: TrainerConfig
) -> Trainable:
    weights = program.constants[call.constants["weights"]]
    if role == "gain":
        constant, values, number = weights, _ones(program, call), _FIRST_GAIN + numbers[weights.name]
        name, scale = f"{call.name}/gain", np.broadcast_to(GAIN_SCALE, values.shape)
    else:
        constant = program.constants[call.constants[role]]
        values, number = constant.data.copy(), numbers[constant.name]
        name, scale = constant.name, scale_of(constant)
    dtype, unit = values.dtype.name, unit_of(program, call, role, config)
    steps = np.rint(config.epsilon * unit / scale)
    if steps.max() > _EPSILON_LIMIT[dtype]:
        raise TrainingError(
            f"epsilon {config.epsilon:g} is {steps.max():.3g} steps of {name}, beyond the limit "
            f"{_EPSILON_LIMIT[dtype]}; use a smaller epsilon"
        )
    summed = config.num_directions if config.rows == "shared" else math.sqrt(config.num_directions)
    real = config.learning_rate * unit * UNIT[config.form] / (scale * summed)
    probes = steps.astype(np.int32)
    if role == "weights":
        probes, real = _per_element(constant, probes), _per_element(constant, real)
    return Trainable(name, call.name, role, number, values, probes, *update_scale(real, name), real)


def _ones(program: Program, call: Call) -> NDArray[np.int32]:
    """Return gains of 1: one a channel, or one for a layer whose channels share a weight scale."""
    multiplier, shift = (program.constants[call.constants[name]].data for name in ("multiplier", "shift"))
    legal = (multiplier == 0) | (multiplier >= 2**30)
    if not legal.all() or shift.min() < GAIN_SHIFTS[0] or shift.max() > GAIN_SHIFTS[1]:
        raise TrainingError(
            f"layer {call.name} has a multiplier of an unusual size; a gain on it could leave the range of "
            "requantization: train another scope"
        )
    scales = scale_of(program.constants[call.constants["weights"]])
    shared = scales.size == 1 or bool((scales == scales[0]).all())
    return np.full(1 if shared else scales.size, ONE, np.int32)
