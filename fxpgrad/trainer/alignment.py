"""Alignment: channels get back the means and deviations that they had on the data a network was made for.

A changed sensor shifts and scales what layers put out before anything has been learned. Without labels, and
by inference alone, biases and gains undo that, layer by layer from the input on. What was right is known from
unlabelled samples of the old kind: a few integers a channel, which can travel with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.program.execute import Executor, check_input, only_input, positive
from fxpgrad.program.head import without_softmax
from fxpgrad.program.program import Call, Program
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.trainer.scopes import gain_count
from fxpgrad.trainer.trainable import with_multiplied_gains
from fxpgrad_kernels.training.alignment import align_channels, channel_moments
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE

_SWEEPS = 2

Layers = Mapping[str, Mapping[str, NDArray[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What a layer put out: int64 [3, channels] (see `channel_moments`) of so many positions."""

    values: NDArray[np.int64]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """An aligned Program, and its new values by call.

    gains: int32 [1 or channels], 2**30 for 1; biases: int32 [channels]; forwards: inferences of one sample
    that it took.
    """

    program: Program
    gains: dict[str, NDArray[np.int32]]
    biases: dict[str, NDArray[np.int32]]
    forwards: float

    def merged(self, layers: Layers) -> Layers:
        """Return all layers' values after training from here, `layers` of `Trainer.trained_layers`."""
        merged: dict[str, dict[str, NDArray[Any]]] = {
            name: {"gain": gain / ONE} for name, gain in self.gains.items()
        }
        for name, bias in self.biases.items():
            merged[name]["bias"] = bias
        for name, values in layers.items():
            mine = merged.setdefault(name, {})
            gain = mine.get("gain")
            mine |= values
            if gain is not None and "gain" in values:
                mine["gain"] = gain * values["gain"]
        return merged


def measure_moments(program: Program, x: NDArray[Any]) -> dict[str, Moments]:
    """Return the moments of every layer with weights and an int8 output, by call.

    x: of the Program's input type, [n, ...input shape].
    """
    executor, aligned = _executor(program, x), {call.name for call in _aligned_calls(program)}
    moments = {}
    for bound in executor.calls:
        bound.run()
        if bound.call.name in aligned:
            moments[bound.call.name] = _moments(executor, bound.call)
    return moments


def align(
    program: Program,
    target: Mapping[str, Moments],
    x: NDArray[Any],
    frozen: frozenset[str] = frozenset(),
    sweeps: int = _SWEEPS,
) -> Alignment:
    """Give the layers the target's means and deviations on x.

    Parameters
    ----------
    program : Program
        A dense layer at its end, the head, and layers without an int8 output stay as they are.
    target : mapping
        `measure_moments` of the same Program on data that it was made for.
    x : ndarray
        Unlabelled samples as they are now, of the Program's input type.
    frozen : set of str
        Biases that stay as they are.
    sweeps : int >= 1
        How often each layer is measured and moved. A clamp makes one move fall short of its aim or beyond it.

    Raises
    ------
    InputError
        A layer is missing in the target or has other channels.
    LoweringError
        The new biases do not fit the accumulators.
    """
    gains: dict[str, NDArray[np.int32]] = {}
    biases: dict[str, NDArray[np.int32]] = {}
    aligned, calls = program, _aligned_calls(program)
    run = 0
    for call in [call for call in calls for _ in range(positive("sweeps", sweeps))]:
        channels = program.constants[call.constants["bias"]].data.size
        known = target.get(call.name)
        if known is None or known.values.shape != (3, channels):
            raise InputError(f"the target holds no moments of layer {call.name} with {channels} channels")
        executor = _executor(aligned, x)
        for bound in executor.calls:
            bound.run()
            run += 1
            if bound.call.name == call.name:
                break
        found = _moments(executor, call)
        old = [aligned.constants[call.constants[role]].data for role in ("bias", "multiplier", "shift")]
        gain = np.full(gain_count(program, call), ONE, np.int32)
        bias = np.empty_like(old[0])
        align_channels(found.values, known.values, *old, gain, bias, found.count, known.count)
        before = gains.get(call.name, np.full_like(gain, ONE)).astype(np.int64)
        gains[call.name] = np.clip((before * gain) >> 30, LOWEST, HIGHEST).astype(np.int32)
        if call.constants["bias"] not in frozen:
            biases[call.name] = bias
        changed = {own.constants["bias"]: biases[own.name] for own in calls if own.name in biases}
        aligned = with_multiplied_gains(program, gains, changed)
    forwards = len(x) * run / len(program.calls)
    return Alignment(with_proved_accumulators(aligned), gains, biases, forwards)


def _aligned_calls(program: Program) -> list[Call]:
    """Return the layers with gains and an int8 output, but for the head, whose logits are no features."""
    calls = [
        call
        for call in program.calls
        if {"weights", "bias", "multiplier"} <= call.constants.keys()
        and program.tensors[call.output].dtype == "int8"
    ]
    head = without_softmax(program).calls[-1]
    return [c for c in calls if c.name != head.name or c.spec.operator != "fully_connected"]


def _executor(program: Program, x: NDArray[Any]) -> Executor:
    check_input(program.tensors[only_input(program)], x)
    executor = Executor(program, len(x))
    executor.load(x)
    return executor


def _moments(executor: Executor, call: Call) -> Moments:
    info = executor.program.tensors[call.output]
    values = executor.view(call.output).reshape(-1, info.shape[-1])
    moments = np.empty((3, values.shape[1]), np.int64)
    channel_moments(values, moments, info.zero_point, call.parameters["clamp_low"])
    return Moments(moments, len(values))
