"""Which accumulator a trained layer needs while it is probed: proved once a step, for every direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import LoweringError, TrainingError
from fxpgrad.program.program import Call, Program
from fxpgrad.program.prove import AccumulatorProof, channel_bounds, real_multipliers, required_bits
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.trainable import Trainable, largest_move, largest_probe, probe_pair
from fxpgrad_kernels.arithmetic.profiles import profile_named
from fxpgrad_kernels.training.accumulator_bound import accumulator_bound
from fxpgrad_kernels.training.gain import LOWEST, ONE


@dataclass(frozen=True, slots=True)
class _Layer:
    call: Call
    items: tuple[Trainable, ...]
    weights: NDArray[Any]
    bias: NDArray[Any]
    axis: int
    reach: int
    bias_reach: int
    most: int
    growth: int
    real: NDArray[np.float64] | None

    def present_weights(self) -> NDArray[Any]:
        """Return the weights as a pass reads them."""
        own = next((item for item in self.items if item.role == "weights"), None)
        return self.weights if own is None else own.read


class AccumulatorWidths:
    """Chooses 32 or 64 bits for each trained layer, safe for every probe of the present values.

    A probe changes a weight by at most d (of its channel) and a bias by at most e, so that no partial
    sum of n products exceeds bound(w) + (128 + |zero point|) * n * d + e, nor what saturated weights give.
    An update moves values by a bounded amount too, so that a layer far below the limit is looked at again
    only when it could be near.
    Where that bound is too large for any width, the step's own probes are drawn and bounded one by one.
    """

    def __init__(
        self, program: Program, trained: Mapping[str, Sequence[Trainable]], config: TrainerConfig
    ) -> None:
        self._profile = profile_named(program.profile)
        self._config = config
        calls = {call.name: call for call in program.calls}
        self._layers = tuple(_layer(program, calls[name], items, config) for name, items in trained.items())
        self._due = [0] * len(self._layers)
        self._chosen: dict[str, int] = {}

    def choose(self, step: int) -> Mapping[str, int]:
        """Return the width of each trained call, by name; the same object as long as none changes.

        step: how many updates the values have had since the run began.

        Raises
        ------
        TrainingError
            The weights have grown until no width gives the exact result.
        """
        found = {
            layer.call.name: self._width(index, layer, step)
            for index, layer in enumerate(self._layers)
            if step >= self._due[index]
        }
        if any(self._chosen.get(name) != bits for name, bits in found.items()):
            self._chosen = {**self._chosen, **found}
        return self._chosen

    def forget(self) -> None:
        """Look at every layer again before the next step: its values have been put back."""
        self._due = [0] * len(self._layers)

    def _width(self, index: int, layer: _Layer, step: int) -> int:
        now = _bound(layer, layer.present_weights(), layer.bias)
        saturated = layer.most + int(np.abs(layer.bias.astype(np.int64)).max()) + layer.bias_reach
        limit = min(now + layer.reach, saturated)
        try:
            bits = self._required(layer, limit)
        except LoweringError as far:
            if self._config.composed:
                raise TrainingError(
                    f"{far}, as far as a composed direction may reach; use a plain one, or a smaller epsilon"
                ) from far
            limit = max(_bound(layer, *probe) for probe in self._probes(layer, step))
            self._due[index] = step + 1
            try:
                return self._required(layer, limit)
            except LoweringError as error:
                raise TrainingError(
                    f"training has grown the weights too far: {error}; or use a smaller learning rate"
                ) from error
        self._due[index] = step + 1 + max((2**31 - 1 - limit) // max(layer.growth, 1), 0)
        return bits

    def _required(self, layer: _Layer, limit: int) -> int:
        proof = AccumulatorProof(layer.call.name, limit, limit.bit_length() + 1)
        return required_bits(self._profile, proof, layer.real)

    def _probes(self, layer: _Layer, step: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield the perturbed (weights, bias) of every pass of a step."""
        for direction in range(self._config.num_directions):
            pairs = {
                item.role: probe_pair(item, self._config, step, direction)
                for item in layer.items
                if item.role != "gain"
            }
            for sign in (0, 1):
                bias = pairs["bias"][sign] if "bias" in pairs else layer.bias
                yield pairs["weights"][sign] if "weights" in pairs else layer.weights, bias


def _layer(program: Program, call: Call, items: Sequence[Trainable], config: TrainerConfig) -> _Layer:
    values = {item.role: item.values for item in items}
    probes = {item.role: largest_probe(item, config) for item in items}
    moves = {item.role: largest_move(item, config) for item in items}
    weights = program.constants[call.constants["weights"]]
    bias = values.get("bias", program.constants[call.constants["bias"]].data)
    smallest = real_multipliers(program, call)
    each = (128 + abs(call.parameters["input_zero_point"])) * (weights.data.size // len(bias))
    return _Layer(
        call,
        tuple(items),
        values.get("weights", weights.data),
        bias,
        weights.axis,
        each * probes.get("weights", 0) + probes.get("bias", 0),
        probes.get("bias", 0),
        each * np.iinfo(weights.data.dtype).max,
        each * moves.get("weights", 0) + moves.get("bias", 0),
        smallest if smallest is None or "gain" not in values else smallest * LOWEST / ONE,
    )


def _bound(layer: _Layer, weights: NDArray[Any], bias: NDArray[Any]) -> int:
    zero_point = layer.call.parameters["input_zero_point"]
    if layer.axis == 0:
        return int(accumulator_bound(weights.reshape(len(bias), -1), bias, zero_point))
    return int(channel_bounds(weights, bias, zero_point, channel_axis=layer.axis).max())
