"""What float forward gradients train, in the units, order and random stream of the integer trainer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.graph.graph import Graph
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.scopes import FIRST_GAIN, divisor_of, gain_count, trained_calls, trained_roles
from fxpgrad.trainer.trainable import distribution_code, tensor_numbers
from fxpgrad.trainer.units import unit_of
from fxpgrad_kernels.random.distributions import direction_table
from fxpgrad_kernels.random.philox import draw_directions

Z = NDArray[np.int8]  # of one item: [directions, ...values]


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

    def draw(self, step: int) -> list[Z]:
        """Return z of all directions of a step, by item: int8 [m, ...values] in units of 1/32."""
        code, drawn = distribution_code(self._config), []
        for item in self._items:
            z = np.empty((self._config.num_directions, item.values.size), np.int8)
            for direction, row in enumerate(z):
                draw_directions(self._table, row, self._config.seed, step, direction, item.tensor, 0, code)
            drawn.append(z.reshape(-1, *item.values.shape))
        return drawn

    def probe(self, item: int, z: Z, sign: int) -> NDArray[np.float32]:
        """Return an item's values + sign * epsilon * unit * z / 32, float32 of the shape of z."""
        size = np.float32(sign * self._config.epsilon * self._items[item].unit / 32)
        probed: NDArray[np.float32] = self._items[item].values + size * z.astype(np.float32)
        return probed

    def step(self, drawn: list[Z], signs: tuple[int, ...], rate: float) -> None:
        """Move all values against the directions' signs, at a share of the learning rate.

        values -= rate * learning_rate * unit * sum(sign * z / 32) / m, or / sqrt(m) where rows are split.
        """
        config = self._config
        for item, z in zip(self._items, drawn, strict=True):
            size = np.float32(rate * config.learning_rate * item.unit / divisor_of(config) / 32)
            total = np.tensordot(np.array(signs, np.float32), z.astype(np.float32), 1)  # whole numbers: exact
            item.values[...] -= size * total
