"""Sign-m-SPSA in float: the trainer without quantization, on the same directions, rows and units.

Where it and the integer trainer part, quantization is the reason: z, batches, sign rule, units, schedule
and head are those of `fxpgrad.trainer`, for the same configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.experiments.backprop import Parameters, check_samples, graph_parameters, with_gains
from fxpgrad.experiments.float_values import Directions, Z, float_values
from fxpgrad.experiments.prototypes import features_node, leave_one_out_logits, require_whole_classes
from fxpgrad.experiments.scopes import last_fully_connected, weighted_nodes
from fxpgrad.experiments.torch_network import TorchNetwork
from fxpgrad.experiments.torch_operators import import_torch
from fxpgrad.graph.graph import Graph
from fxpgrad.program.head import with_accumulator_output, without_softmax
from fxpgrad.program.program import Program
from fxpgrad.trainer.config import TrainerConfig, forwards_of_a_step
from fxpgrad.trainer.objective import require_distance_scale
from fxpgrad.trainer.schedule import rate_of_step, rows_of_step
from fxpgrad_kernels.training.gain import HIGHEST, LOWEST, ONE

_ROLES = ("weights", "bias")


@dataclass(frozen=True, slots=True)
class FloatStep:
    """One step: its number from 0, the directions' summed losses in nats, and their scalars, signs here.

    Where only an exact head is trained, losses_plus is the one loss of the batch and the others are empty.
    """

    step: int
    losses_plus: tuple[float, ...]
    losses_minus: tuple[float, ...]
    scalars: tuple[int, ...]


class FloatForward:
    """Adapts a float Graph by forward gradients, as `Trainer` adapts a Program.

    Parameters
    ----------
    graph : Graph
        Float, without batch_norm nodes; its last fully connected layer makes the logits, if there is no
        distance_scale.
    program : Program
        Lowered from the Graph's quantization: it says what a unit is and numbers the random streams.
    config : TrainerConfig
        rounding and patience have no meaning here; form must be "exact".
    batch : int
        Samples per step.
    frozen : set of str
        Names of the Program's constants that are not trained.
    distance_scale : float, optional
        The Graph ends in features, and logits are distances to the class means of the batch times this
        (`prototypes.leave_one_out_logits`).
    """

    def __init__(
        self,
        graph: Graph,
        program: Program,
        config: TrainerConfig,
        batch: int,
        *,
        frozen: frozenset[str] = frozenset(),
        distance_scale: float | None = None,
    ) -> None:
        if config.composed or config.scalar != "sign" or config.blocks != 1:
            raise InputError(
                "float forward gradients are the plain estimator: signs, one block, without split bytes, "
                "masks, momentum, centres or weight decay"
            )
        self.graph, self.config, self.batch = graph, config, batch
        if distance_scale is not None:
            require_distance_scale(distance_scale)
            if config.scope == "lp" or config.head == "exact" or config.rows == "split":
                raise InputError(
                    "a prototype classifier has no weights of its own, for scope 'lp' or an exact head, and "
                    "its loss needs all rows at once, not split"
                )
        form = with_accumulator_output(without_softmax(program)) if distance_scale is None else program
        self.items = float_values(graph, form, config, frozen)
        if config.rows == "split" and self.items and batch % config.num_directions:
            raise InputError(f"a batch of {batch} cannot be split evenly among {config.num_directions}")
        self._directions = Directions(self.items, config)
        self._network, self._distance_scale = TorchNetwork(graph), distance_scale
        self._head = last_fully_connected(graph) if distance_scale is None else features_node(graph)
        self._start = graph_parameters(graph)
        call = form.calls[-1]
        self._least = form.tensors[call.inputs[0]].scale ** 2  # of a squared feature vector: as the trainer
        roles = _ROLES if config.train_bias else _ROLES[:1]
        self._constants = {
            node.name: dict(zip(_ROLES, node.inputs[-2:], strict=True))
            for node in weighted_nodes(graph, self._head)
        }
        exact = self._constants[self._head.name] if config.head == "exact" else {}
        self._exact = {
            role: self._start[name].copy()
            for role, name in exact.items()
            if role in roles and call.constants[role] not in frozen
        }
        self._size = 0.0  # mean squared length of a feature vector of the first step
        self.rate, self.steps_taken = 1.0, 0

    @property
    def forwards(self) -> int:
        """Inferences of its batch that a step takes."""
        return forwards_of_a_step(self.config)

    def cut(self, x: NDArray[Any]) -> dict[str, Any]:
        """Return what is computed once for all samples x [n, ...]: `step` takes rows of it."""
        layers = {item.node for item in self.items} | {self._head.name}
        names = {name for layer in layers & set(self._constants) for name in self._constants[layer].values()}
        return self._network.activations(self._start, x, self._network.cut(names, self._head.output, len(x)))

    def step(self, values: Mapping[str, Any], labels: NDArray[np.integer]) -> FloatStep:
        """Take one step on the batch's rows of `cut` and its labels [batch]."""
        number, torch = self.steps_taken, import_torch()
        target = torch.as_tensor(np.array(labels, np.int64))
        self.steps_taken += 1
        gradient = _HeadGradient()
        with torch.inference_mode():
            if not self.items:
                losses = self._losses(values, target, [], 0, gradient)
                self._step_head(gradient)
                return FloatStep(number, (float(losses.sum()),), (), ())
            drawn = self._directions.draw(number)
            plus, minus = (self._judge(values, target, drawn, sign, gradient) for sign in (1, -1))
        signs = tuple((p > m) - (p < m) for p, m in zip(plus, minus, strict=True))
        self._step_head(gradient)
        self._directions.step(drawn, signs, self.rate)
        return FloatStep(number, plus, minus, signs)

    def fit(
        self,
        x: NDArray[Any],
        y: NDArray[np.integer],
        steps: int,
        on_step: Callable[[FloatStep], None] | None = None,
    ) -> tuple[FloatStep, ...]:
        """Take `steps` steps on batches of x float32 [n, ...] and y int [n]: the trainer's own batches."""
        check_samples(self.graph, self._head if self._distance_scale is None else None, x, y)
        if self._distance_scale is not None:
            require_whole_classes(y, self.batch)
        if len(x) < self.batch:
            raise InputError(f"{len(x)} samples cannot fill a batch of {self.batch}; use a smaller batch")
        values, done = self.cut(x), []
        for number in range(steps):
            self.rate = rate_of_step(self.config, number, steps)
            rows = rows_of_step(self.config.seed, self.steps_taken, len(x), self.batch)
            done.append(self.step({name: value[rows] for name, value in values.items()}, y[rows]))
            if on_step is not None:
                on_step(done[-1])
        return tuple(done)

    def parameters(self) -> Parameters:
        """Return every weight and bias by tensor name (copies), gains multiplied in."""
        gains, found = self._named([item.values for item in self.items])
        found = self._start | found | self._exact_by_name()
        return with_gains(self.graph, {name: np.array(value) for name, value in found.items()}, gains)

    def _named(self, values: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sort the items' values into gains by node name and constants by tensor name."""
        gains: dict[str, Any] = {}
        constants: dict[str, Any] = {}
        for item, value in zip(self.items, values, strict=True):
            if item.role == "gain":
                gains[item.node] = value.clip(LOWEST / ONE, HIGHEST / ONE)
            else:
                constants[self._constants[item.node][item.role]] = value
        return gains, constants

    def _exact_by_name(self) -> dict[str, Any]:
        return {self._constants[self._head.name][role]: value for role, value in self._exact.items()}

    def _judge(
        self, values: Mapping[str, Any], target: Any, drawn: list[Z], sign: int, gradient: _HeadGradient
    ) -> tuple[float, ...]:
        """Return the summed loss of each direction's pass of one sign."""
        count, size = self.config.num_directions, len(target)
        shared = self.config.rows == "shared"
        if self.config.scope == "affine" and not shared:
            losses = self._losses(values, target, drawn, sign, gradient)
            return tuple(losses.reshape(count, -1).sum(1).tolist())
        sums = []
        for direction in range(count):
            own = (
                slice(0, size)
                if shared
                else slice(direction * size // count, (direction + 1) * size // count)
            )
            part = {name: value[own] for name, value in values.items()}
            one = [z[direction : direction + 1] for z in drawn]
            sums.append(float(self._losses(part, target[own], one, sign, gradient).sum()))
        return tuple(sums)

    def _losses(
        self, values: Mapping[str, Any], target: Any, drawn: list[Z], sign: int, gradient: _HeadGradient
    ) -> Any:
        """Run one inference and return its losses, float64 [rows].

        drawn: z by item, of one direction that all rows see, or of several of which each has an equal share
        of the rows; empty for no probe.
        """
        torch, probed = import_torch(), []
        for index, z in enumerate(drawn):
            value = self._directions.probe(index, z, sign)
            if len(z) > 1:
                value = value.repeat(len(target) // len(z), axis=0)
            elif self.items[index].role != "gain":
                value = value[0]
            probed.append(value)
        gains, parameters = self._named(probed)
        parameters = {name: torch.as_tensor(value) for name, value in parameters.items()}
        parameters |= {name: torch.as_tensor(value) for name, value in self._exact_by_name().items()}
        gains = {name: torch.as_tensor(value) for name, value in gains.items()}
        if self._distance_scale is not None:
            features = self._network.run(parameters, values, self._head.output, gains).double()
            logits = leave_one_out_logits(features, target, self._distance_scale)
        else:
            features = self._network.run(parameters, values, self._head.inputs[0], gains)
            known = {self._head.inputs[0]: features}
            logits = self._network.run(parameters, known, self._head.output, gains).double()
        if self._exact:
            residuals = logits.softmax(1)
            residuals[torch.arange(len(target)), target] -= 1
            gradient.add(features.double(), residuals)
        return torch.nn.functional.cross_entropy(logits, target, reduction="none")

    def _step_head(self, gradient: _HeadGradient) -> None:
        """Step the exact head, if there is one, against what the passes have summed."""
        if not self._exact:
            return
        if not self._size:
            self._size = max(gradient.squares / gradient.rows, self._least)
        step = self.rate * self.config.head_rate / (self._size * gradient.rows)
        for role in self._exact:
            self._exact[role] -= (step * getattr(gradient, role).numpy()).astype(np.float32)


class _HeadGradient:
    """The sum of (softmax - onehot) x^T over the rows of a step's passes, and of (softmax - onehot)."""

    def __init__(self) -> None:
        self.weights: Any = 0.0
        self.bias: Any = 0.0
        self.squares = 0.0
        self.rows = 0

    def add(self, features: Any, residuals: Any) -> None:
        self.weights = self.weights + residuals.T @ features
        self.bias = self.bias + residuals.sum(0)
        self.squares += float((features * features).sum())
        self.rows += len(features)
