"""The arrays that a run trains, with the integers that scale their probes and their updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import TrainingError
from fxpgrad.program.program import Constant, Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad_kernels.arithmetic.profiles import PROFILES
from fxpgrad_kernels.random.distributions import Distribution, direction_table
from fxpgrad_kernels.registry import kernel_named
from fxpgrad_kernels.spec import KernelSpec
from fxpgrad_kernels.training.perturb import BLOCK, Form
from fxpgrad_kernels.training.update import RoundingRule

UNIT = {"exact": 1 / 32, "paper": 0.0276}
_SUFFIX = {"int8": "w8", "int16": "w16", "int32": "b32"}
_EPSILON_LIMIT = {"int8": 2**24, "int16": 2**24, "int32": 2**31 - 1}


@dataclass(frozen=True, slots=True, eq=False)
class Trainable:
    """One trained constant.

    Attributes
    ----------
    name, call, role : str
        The constant, the call that reads it, and the argument ("weights" or "bias") it is there.
    tensor : int
        Its number in the random stream: its place among all weights and biases of the Program.
    values : int8, int16 or int32 array
        The present values; the trainer's own copy, updated in place.
    epsilon : int32 [channels]
        The probe in steps of each channel.
    multiplier, shift : int32 [channels]
        The update: learning rate * unit / (step * m) = multiplier * 2**(shift - 31). Where the channel is
        not the first axis (depthwise filters) these three hold one entry per weight instead.
    """

    name: str
    call: str
    role: str
    tensor: int
    values: NDArray[Any]
    epsilon: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]

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


def _update_scale(real: NDArray[np.float64], name: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (multiplier, shift) with real = multiplier * 2**(shift - 31), shift down to -62."""
    fraction, exponent = np.frexp(real)
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    overflow = multiplier == 2**31
    multiplier[overflow] //= 2
    exponent = exponent + overflow
    if exponent.max() > PROFILES["tflite_double"].shift_high:
        raise TrainingError(f"learning rate too large for {name}: a step would exceed the integer range")
    multiplier[exponent < -62] = 0
    return multiplier.astype(np.int32), np.clip(exponent, -62, None).astype(np.int32)


def make_trainables(program: Program, config: TrainerConfig) -> tuple[Trainable, ...]:
    """Return what the configuration trains, or refuse a run in which nothing could move.

    Raises
    ------
    TrainingError
        A weight tensor whose probe rounds to zero in every channel (message: its step and the
        smallest epsilon that would move it), or a tensor without a scale.
    """
    numbers = tensor_numbers(program)
    calls = [call for call in program.calls if "weights" in call.constants]
    if not calls:
        raise TrainingError(f"program {program.name} has no layer with weights: nothing can be trained")
    if config.scope == "lp":
        calls = calls[-1:]
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
    trainables = []
    for call in calls:
        for role in ("weights", "bias") if config.train_bias else ("weights",):
            constant = program.constants[call.constants[role]]
            trainables.append(_make(constant, call.name, role, numbers[constant.name], config))
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


def _make(constant: Constant, call: str, role: str, number: int, config: TrainerConfig) -> Trainable:
    if constant.scale is None:
        raise TrainingError(
            f"constant {constant.name} has no scale: epsilon cannot be expressed in its steps"
        )
    dtype = constant.data.dtype.name
    steps = np.rint(config.epsilon / constant.scale)
    if steps.max() > _EPSILON_LIMIT[dtype]:
        raise TrainingError(
            f"epsilon {config.epsilon:g} is {steps.max():.3g} steps of {constant.name}, beyond the limit "
            f"{_EPSILON_LIMIT[dtype]}; use a smaller epsilon"
        )
    real = config.learning_rate * UNIT[config.form] / (constant.scale * config.num_directions)
    multiplier, shift = _update_scale(real, constant.name)
    return Trainable(
        constant.name,
        call,
        role,
        number,
        constant.data.copy(),
        _per_element(constant, steps.astype(np.int32)),
        _per_element(constant, multiplier),
        _per_element(constant, shift),
    )
