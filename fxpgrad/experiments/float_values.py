"""What float forward gradients train, in the units, order and random stream of the integer trainer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Graph
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.scopes import FIRST_GAIN, gain_count, trained_calls, trained_roles
from fxpgrad.trainer.trainable import distribution_code, tensor_numbers
from fxpgrad.trainer.units import unit_of
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.random.philox import draw_directions

Z_UNIT = np.float32(1 / 32)


@dataclass(frozen=True, slots=True, eq=False)
class FloatValues:
    """Trained values of one kind of one layer.

    Attributes
    ----------
    node, role : str
        The layer, and "weights", "bias" or "gain".
    tensor : int
        The number in the random stream, the same as in the integer trainer.
    unit : float
        What an epsilon or a rate of 1 means (see `fxpgrad.trainer.units`).
    values : float32 array
        The present values, updated in place; gains [channels or 1].
    """

    node: str
    role: str
    tensor: int
    unit: float
    values: NDArray[np.float32]


def float_values(
    graph: Graph, program: Program, config: TrainerConfig, frozen: frozenset[str] = frozenset()
) -> tuple[FloatValues, ...]:
    """Return what the configuration trains, in the integer trainer's order.

    Parameters
    ----------
    graph
        Float, without batch_norm nodes.
    program
        Lowered from its quantization, in the form that is trained (accumulators of the head); it gives
        the numbers and units only.
    config
    frozen
        The Program's names of constants that are not trained.
    """
    if config.form != "exact":
        raise InputError("float forward gradients have the form 'exact' only: nothing is re-quantized")
    numbers, nodes = tensor_numbers(program), {node.name: node for node in graph.nodes}
    found = []
    for call in trained_calls(program, config):
        if call.name not in nodes:
            raise InputError(f"graph {graph.name} has no node {call.name}, but its Program has such a layer")
        names = dict(zip(("weights", "bias"), nodes[call.name].inputs[-2:], strict=True))
        for role in trained_roles(call, config):
            if call.constants.get(role) in frozen:
                continue
            if role == "gain":
                number = FIRST_GAIN + numbers[call.constants["weights"]]
                values = np.ones(gain_count(program, call), np.float32)
            else:
                number, values = numbers[call.constants[role]], _array(graph, names[role])
            found.append(FloatValues(call.name, role, number, unit_of(program, call, role, config), values))
    return tuple(found)


def _array(graph: Graph, name: str) -> NDArray[np.float32]:
    return np.array(graph.tensors[name].data, np.float32)


class Directions:
    """Draws z of every trained value: the integer generator's, times 1/32."""

    def __init__(self, items: tuple[FloatValues, ...], config: TrainerConfig) -> None:
        self._items, self._config = items, config
        self._table = direction_table(distribution_code(config))

    def draw(self, step: int, direction: int) -> list[NDArray[np.int8]]:
        """Return one direction's z of all items, int8 in units of 1/32, in the shape of their values."""
        drawn = []
        for item in self._items:
            z = np.empty(item.values.size, np.int8)
            draw_directions(
                self._table, z, self._config.seed, step, direction, item.tensor, 0,
                distribution_code(self._config),
            )  # fmt: skip
            drawn.append(z.reshape(item.values.shape))
        return drawn

    def probe(self, item: int, zs: list[NDArray[np.int8]], sign: int) -> NDArray[np.float32]:
        """Return an item's values + sign * epsilon * unit * z for some z: [directions, ...values]."""
        size = np.float32(sign * self._config.epsilon * self._items[item].unit) * Z_UNIT
        probed: NDArray[np.float32] = self._items[item].values + size * np.stack(zs).astype(np.float32)
        return probed

    def step(self, drawn: list[list[NDArray[np.int8]]], signs: tuple[int, ...], rate: float) -> None:
        """Move all values against the directions' signs, at a share of the learning rate.

        values -= rate * learning_rate * unit * sum(sign * z) / m, or / sqrt(m) where rows are split.
        """
        config = self._config
        summed = config.num_directions if config.rows == "shared" else math.sqrt(config.num_directions)
        for index, item in enumerate(self._items):
            total = np.zeros(item.values.shape, np.int32)
            for z, sign in zip(drawn, signs, strict=True):
                if sign:
                    total += z[index] if sign > 0 else -z[index]
            size = rate * config.learning_rate * item.unit / summed
            item.values[...] -= np.float32(size) * Z_UNIT * total.astype(np.float32)
