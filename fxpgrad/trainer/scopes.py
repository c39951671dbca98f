"""Which constants a configuration trains, and the integers that scale their probes and their steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Constant, Program
from fxpgrad.program.prove import real_multipliers
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.trainable import FULL_DENSITY, SPLIT, Parts, Trainable, tensor_numbers, update_scale
from fxpgrad.trainer.units import GAIN_SCALE, Floats, along_channels, scale_of, unit_of
from fxpgrad_kernels.training.gain import ONE

UNIT = {"exact": 1 / 32, "paper": 0.0276}
_EPSILON_LIMIT = {"int8": 2**24, "int16": 2**24, "int32": 2**31 - 1}
GAIN_SHIFTS = (-28, 29)  # of multipliers whose gains may lie between 1/8 and 2
FIRST_GAIN = 2**20  # the number in the random stream of the gain beside constant 0


def make_trainables(
    program: Program, config: TrainerConfig, frozen: frozenset[str] = frozenset()
) -> tuple[Trainable, ...]:
    """Return what the configuration trains but for `frozen` constants; refuse if nothing could move.

    Raises
    ------
    TrainingError
        A weight tensor whose probe rounds to zero in every channel (message: its step and the
        smallest epsilon that would move it), or all that is trained; or a tensor without a scale.
    """
    numbers = tensor_numbers(program)
    calls = trained_calls(program, config)
    for call in calls:
        if "accumulator_bits" not in call.parameters:
            raise TrainingError(
                f"layer {short_name(call.name)} ({call.kernel}) cannot be trained: only convolutions and "
                "dense layers of int8 activations can; choose the scope lp, if the last layer is one"
            )
    names = [call.constants[role] for call in program.calls for role in call.constants]
    for call in calls:
        for role in ("weights", "bias"):
            if names.count(call.constants[role]) > 1:
                raise TrainingError(
                    f"constant {short_name(call.constants[role])} is read by two calls; shared weights "
                    "cannot be trained: give each layer its own"
                )
    blocks = {call.name: index * config.blocks // len(calls) for index, call in enumerate(calls)}
    if config.blocks > max(len(calls), 1):
        raise TrainingError(
            f"blocks must be at most {len(calls)}, the number of trained layers; got {config.blocks}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused by name
        trainables = [
            _make(program, call, role, numbers, config, blocks[call.name])
            for call in calls
            for role in trained_roles(call, config)
            if call.constants.get(role) not in frozen
        ]
    dead = [item.name for item in trainables if item.role == "weights" and not item.epsilon.any()]
    if dead:
        scale = program.constants[dead[0]].scale
        assert scale is not None
        raise TrainingError(
            f"epsilon {config.epsilon:g} rounds to zero steps of every channel of {short_name(dead[0])} "
            f"(and of {len(dead) - 1} more tensors): both passes would be equal and nothing could be "
            f"learned; use epsilon of at least {float(scale.min()) / 2:.3g}, 16-bit weights, or sparse signs"
        )
    if trainables and not any(item.epsilon.any() for item in trainables):
        raise TrainingError(
            f"epsilon {config.epsilon:g} rounds to zero steps of all that the scope {config.scope} trains: "
            "both passes would be equal and nothing could be learned; use a larger epsilon"
        )
    return tuple(trainables)


def trained_calls(program: Program, config: TrainerConfig) -> list[Call]:
    """Return the calls that directions probe, in order."""
    calls = [call for call in program.calls if "weights" in call.constants]
    if not calls:
        raise TrainingError(f"program {program.name} has no layer with weights: nothing can be trained")
    exact = config.head == "exact"
    if config.scope in ("lp", "last_k"):
        count = 1 if config.scope == "lp" else config.layers
        if count > len(calls):
            raise TrainingError(
                f"layers must be at most {len(calls)}, the number of layers with weights; got {count}"
            )
        calls = calls[-count:]
    return calls[:-1] if exact else calls


def trained_roles(call: Call, config: TrainerConfig) -> tuple[str, ...]:
    """Return what directions probe of a call: "weights", "bias", "gain"."""
    bias = ("bias",) if config.train_bias else ()
    if config.scope != "affine":
        return ("weights", *bias)
    return (*bias, "gain") if "multiplier" in call.constants else bias


def _per_element(constant: Constant, per_channel: NDArray[Any]) -> NDArray[Any]:
    """Spread channel values over the array where the channel is not the first axis (depthwise)."""
    if constant.axis == 0:
        return per_channel
    return np.ascontiguousarray(np.broadcast_to(per_channel, constant.data.shape)).reshape(-1)


def _make(
    program: Program, call: Call, role: str, numbers: dict[str, int], config: TrainerConfig, block: int
) -> Trainable:
    weights = program.constants[call.constants["weights"]]
    if role == "gain":
        constant, values, number = weights, _ones(program, call), FIRST_GAIN + numbers[weights.name]
        name, scale = f"{call.name}/gain", np.broadcast_to(GAIN_SCALE, values.shape)
    else:
        constant = program.constants[call.constants[role]]
        values, number = constant.data.copy(), numbers[constant.name]
        name, scale = constant.name, scale_of(constant)
    unit = unit_of(program, call, role, config)
    live = _live_channels(program, call)
    live = live if live.size == np.size(scale) else np.ones(np.size(scale), np.bool_)
    probes, density = _probe_steps(config, unit / scale, live, name, role, values.dtype.name)
    split = config.split_bytes and role == "weights"
    if split:
        values = np.asarray(_split(values, name))
        scale = scale / SPLIT
    in_steps = unit * UNIT[config.form] / (scale * math.sqrt(density))
    real = config.learning_rate * in_steps / (divisor_of(config) * magnitude_unit(config))
    uphill = config.sharpness * config.epsilon * in_steps * live
    real = real * live
    if role == "weights":
        probes, real, uphill = (_per_element(constant, array) for array in (probes, real, uphill))
    masked_at_random = config.mask == "random" and role == "weights"
    parts = None
    if config.composed:
        parts = Parts(
            density=round(FULL_DENSITY * density),
            fixed_density=round(FULL_DENSITY * config.density) if masked_at_random else FULL_DENSITY,
            bounds=_bounds(config, constant, values, scale) if role == "weights" else None,
            uphill=update_scale(uphill, name),
            ahead=update_scale(config.look_ahead * real, name),
            decay=np.zeros(real.size, np.int32),
            decayed=config.weight_decay * config.learning_rate if role == "weights" else 0.0,
        )
    item = Trainable(
        name, call.name, role, number, values, probes, *update_scale(real, name), real, block, split, parts,
        config.look_ahead,
    )  # fmt: skip
    item.set_rate(1.0)
    return item


def _live_channels(program: Program, call: Call) -> NDArray[np.bool_]:
    """Return which channels can move their output by its whole range within int32 accumulators.

    Batch norms that were folded leave channels with next to no weights behind. What is trained of them would
    grow out of int32 before it did anything: they are left alone.
    """
    real = real_multipliers(program, call)
    if real is None:
        return np.ones(len(program.constants[call.constants["bias"]].data), np.bool_)
    live: NDArray[np.bool_] = real * 2.0**30 >= 255
    return live


def divisor_of(config: TrainerConfig) -> float:
    """Return what the sum over directions is divided by: m where they share the rows, else sqrt(m)."""
    return config.num_directions if config.rows == "shared" else math.sqrt(config.num_directions)


def magnitude_unit(config: TrainerConfig) -> int:
    """Return what a scalar of 1 is written as: more than 1 where scalars are magnitudes.

    A power of two, such that m scalars of 4 sum to at most 256 (see `update`).
    """
    return 1 if config.scalar == "sign" else 2 ** int(math.log2(64 // config.num_directions))


def check_scalars(config: TrainerConfig, scalars: Sequence[int]) -> None:
    """Raise `InputError` unless there is one scalar for each direction, in the range of the configuration."""
    most = 4 * magnitude_unit(config) if config.scalar == "magnitude" else 1
    given = scalars if isinstance(scalars, (tuple, list, np.ndarray)) else ()
    fit = all(isinstance(value, (int, np.integer)) and -most <= value <= most for value in given)
    if not fit or len(given) != config.num_directions:
        raise InputError(
            f"scalars must be {config.num_directions} integers in [{-most}, {most}]; got {scalars!r}"
        )


def _probe_steps(
    config: TrainerConfig, unit: Floats, live: NDArray[np.bool_], name: str, role: str, dtype: str
) -> tuple[NDArray[np.int32], float]:
    """Return epsilon in steps of each channel, and the share of values that a direction moves.

    unit: one unit in steps; live: the channels that are probed at all. A sparse probe of a size e below one
    step is one step with the probability e^2, which has the same mean square.
    """
    wanted, density = config.epsilon * unit, 1.0
    if config.split_bytes and role == "weights":
        wanted = np.maximum(wanted, 1.0)
    if config.distribution == "sparse" and role == "weights":
        wanted = np.minimum(config.epsilon * unit, 1e100)
        density = min(1.0, max(float(np.mean(np.square(wanted))), 2.0**-16))
        wanted = np.maximum(wanted / math.sqrt(density), 1.0)
    steps = np.rint(np.where(live, wanted, 0))
    if steps.max() > _EPSILON_LIMIT[dtype]:
        raise TrainingError(
            f"epsilon {config.epsilon:g} is {steps.max():.3g} steps of {short_name(name)}, beyond the limit "
            f"{_EPSILON_LIMIT[dtype]}; use a smaller epsilon"
        )
    return steps.astype(np.int32), density


def _split(values: NDArray[Any], name: str) -> NDArray[np.int16]:
    """Return 8-bit weights as the upper bytes of 16-bit ones."""
    if values.dtype != np.int8:
        raise TrainingError(f"{short_name(name)} is {values.dtype}: split bytes are for 8-bit weights")
    return (values.astype(np.int16) * SPLIT).astype(np.int16)


def _bounds(
    config: TrainerConfig, constant: Constant, values: NDArray[Any], scale: Floats
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """Return the least and the greatest magnitude, in steps of each channel, that a mask lets through."""
    if config.mask not in ("largest", "smallest"):
        return None
    steps_of = along_channels(constant, scale)
    largest = config.mask == "largest"
    share = 1 - config.density if largest else config.density
    threshold = float(np.quantile(np.abs(values.astype(np.float64)) * steps_of, share))
    steps = np.clip(threshold / _per_element(constant, steps_of).reshape(-1), 0, 2**31 - 1)
    zero, most = np.zeros(steps.size, np.int32), np.full(steps.size, 2**31 - 1, np.int32)
    return (np.ceil(steps).astype(np.int32), most) if largest else (zero, np.floor(steps).astype(np.int32))


def _ones(program: Program, call: Call) -> NDArray[np.int32]:
    """Return gains of 1: one a channel, or one for a layer whose channels share a weight scale."""
    multiplier, shift = (program.constants[call.constants[name]].data for name in ("multiplier", "shift"))
    live = _live_channels(program, call)  # a gain of 1, which others keep, changes no multiplier
    legal = (multiplier == 0) | (multiplier >= 2**30)
    if not legal.all() or ((shift < GAIN_SHIFTS[0]) & live).any() or shift.max() > GAIN_SHIFTS[1]:
        raise TrainingError(
            f"layer {short_name(call.name)} has a multiplier of an unusual size; a gain on it could leave "
            "the range of requantization: train another scope"
        )
    return np.full(gain_count(program, call), ONE, np.int32)


def gain_count(program: Program, call: Call) -> int:
    """Return how many gains a call has: one a channel, or one where all share a weight scale."""
    scales = scale_of(program.constants[call.constants["weights"]])
    return 1 if bool((scales == scales[0]).all()) else scales.size
