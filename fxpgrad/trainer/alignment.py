"""Alignment: channels get back the means and deviations that they had on the data a network was made for.

A changed sensor shifts and scales what layers put out before anything has been learned. Without labels, and
by inference alone, biases and gains undo that, layer by layer from the input on. What was right is known from
unlabelled samples of the old kind: a few integers a channel, which can travel with the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.program.execute import Executor, check_input, only_input, positive
from fxpgrad.program.head import without_softmax
from fxpgrad.program.layer_names import short_name
from fxpgrad.program.program import Call, Program
from fxpgrad.program.prove import with_proved_accumulators
from fxpgrad.trainer.scopes import gain_count
from fxpgrad.trainer.trainable import with_multiplied_gains
from fxpgrad_kernels.training.alignment import align_channels, channel_moments
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE

_SWEEPS = 2
_ROWS = 32  # of an inference

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

    Raises
    ------
    InputError
        x does not fit the Program's input.
    TrainingError
        The network keeps state from row to row.
    """
    return _measured(program, x, _aligned_calls(program))


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
        A layer is missing in the target or has other channels; x does not fit the Program's input.
    TrainingError
        The network keeps state from row to row.
    LoweringError
        The new biases do not fit the accumulators.
    """
    gains: dict[str, NDArray[np.int32]] = {}
    biases: dict[str, NDArray[np.int32]] = {}
    aligned, calls, run = program, _aligned_calls(program), 0
    for call in [call for call in calls for _ in range(positive("sweeps", sweeps))]:
        channels = program.constants[call.constants["bias"]].data.size
        known = target.get(call.name)
        if known is None or known.values.shape != (3, channels):
            raise InputError(
                f"the target holds no moments of layer {short_name(call.name)} with {channels} channels"
            )
        found = _measured(aligned, x, [call])[call.name]
        run += 1 + program.calls.index(call)
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
    """Return the layers that the affine scope could train and that have an int8 output.

    But for the head, whose logits are no features, and layers that share a constant.
    """
    head = without_softmax(program).calls[-1]
    read = Counter(name for call in program.calls for name in set(call.constants.values()))
    return [
        call
        for call in program.calls
        if {"weights", "bias", "multiplier"} <= call.constants.keys()
        and "accumulator_bits" in call.parameters
        and program.tensors[call.output].dtype == "int8"
        and all(read[name] == 1 for name in call.constants.values())
        and (call.name != head.name or call.spec.operator != "fully_connected")
    ]


def _measured(program: Program, x: NDArray[Any], calls: Sequence[Call]) -> dict[str, Moments]:
    """Return the moments of some calls, in the Program's order, of which the last is the last to be run."""
    check_input(program.tensors[only_input(program)], x)
    if program.variables:
        raise TrainingError(
            f"program {program.name} keeps state from row to row ({', '.join(program.variables)}); "
            "aligning a stateful network is not supported"
        )
    sums = {
        call.name: Moments(np.zeros((3, program.tensors[call.output].shape[-1]), np.int64), 0)
        for call in calls
    }
    executor: Executor | None = None
    for start in range(0, len(x) if calls else 0, _ROWS):
        rows = x[start : start + _ROWS]
        if executor is None or executor.batch != len(rows):
            executor = Executor(program, len(rows), like=executor)
        executor.load(rows)
        for bound in executor.calls:
            bound.run()
            if bound.call.name in sums:
                sums[bound.call.name] = _added(sums[bound.call.name], executor, bound.call)
            if bound.call.name == calls[-1].name:
                break
    return sums


def _added(moments: Moments, executor: Executor, call: Call) -> Moments:
    """Return the moments with those of a call's output in the arena added."""
    info = executor.program.tensors[call.output]
    values = executor.view(call.output).reshape(-1, info.shape[-1])
    own = np.empty_like(moments.values)
    channel_moments(values, own, info.zero_point, call.parameters["clamp_low"])
    return Moments(moments.values + own, moments.count + len(values))
