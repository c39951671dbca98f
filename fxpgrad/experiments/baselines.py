"""What integer forward gradients are compared with, by name, on the same data and the same budget.

Backpropagation in float (`bp_*`), backpropagation through simulated rounding (`qat_*`), and the trainer's
own estimator without quantization (`ff_*`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.experiments.backprop import Parameters, adapt_backprop
from fxpgrad.experiments.fake_quantization import FakeQuantization, quantized_with, simulated_graph
from fxpgrad.experiments.float_forward import FloatForward
from fxpgrad.experiments.methods import LARGEST_BATCH, METHODS, MethodName, batch_of
from fxpgrad.experiments.prototypes import prototype_logits
from fxpgrad.experiments.scopes import last_fully_connected
from fxpgrad.experiments.torch_network import TorchNetwork
from fxpgrad.graph.graph import Graph
from fxpgrad.program.lower import lower
from fxpgrad.quantize import fold_batch_norm
from fxpgrad.trainer.config import TrainerConfig

FORWARDS_OF_BACKPROP = 3  # a step's forward pass, and a backward pass that costs about two
_FORWARD: dict[str, MethodName] = {
    "ff_lp": "ff_lp",
    "ff_ft": "ff_ft",
    "ff_affine": "affine",
    "ff_exact_lp": "exact_lp",
}
_BACKWARD = ("bp_lp", "bp_last_k", "bp_ft", "bp_affine")
_SIMULATED = ("qat_lp", "qat_last_k", "qat_ft")
BASELINES = (*_BACKWARD, *_SIMULATED, *_FORWARD)


class Prototypes(NamedTuple):
    """A classifier by squared distances to the class means of labelled samples, times a scale.

    support float [n, ...input shape], labels int [n], distance_scale > 0.
    """

    support: NDArray[Any]
    labels: NDArray[np.integer]
    distance_scale: float


@dataclass(frozen=True, slots=True, eq=False)
class BaselineRun:
    """A baseline after some steps.

    Attributes
    ----------
    name : str
    parameters : dict of float32 array
        Every weight and bias by tensor name of `network.graph`, gains multiplied in.
    network : TorchNetwork
        What the parameters are for; it rounds where the baseline does.
    steps : int
    batch : int
        Samples per step.
    forwards : int
        What the steps have cost, in inferences of their batch: 3 for a step of backpropagation in any scope,
        `forwards_of_a_step` for one of forward gradients.
    quantized : Graph or None
        For `qat_*`: the quantized Graph with the parameters as its integers. Its 8-bit logits saturate where
        training has grown them beyond the calibrated range; accumulators do not.
    prototypes : Prototypes or None
        How features are classified, if the network ends in them.
    """

    name: str
    parameters: Parameters
    network: TorchNetwork
    steps: int
    batch: int
    forwards: int
    quantized: Graph | None = None
    prototypes: Prototypes | None = None

    def predict(self, x: NDArray[Any]) -> NDArray[np.floating]:
        """Return the logits [n, classes] of x [n, ...input shape], n >= 1.

        Prototypes are those of the features as they now are.
        """
        if self.prototypes is None:
            return self._activations(x, last_fully_connected(self.network.graph).output)
        output, (support, labels, scale) = self.network.graph.outputs[0], self.prototypes
        return prototype_logits(
            self._activations(x, output), self._activations(support, output), labels, scale
        )

    def _activations(self, x: NDArray[Any], name: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.network.activations(self.parameters, x, [name])[name].numpy()
        return found

    def accuracy(self, x: NDArray[Any], y: NDArray[np.integer]) -> float:
        """Return the share of samples, in 0..1, whose largest logit is that of the label y int [n]."""
        return float((self.predict(x).argmax(axis=1) == y).mean())


OnBaselineStep = Callable[[BaselineRun], None]


def run_baseline(
    name: str,
    graph: Graph,
    quantized: Graph,
    x: NDArray[Any],
    y: NDArray[np.integer],
    steps: int,
    learning_rate: float,
    *,
    batch: int | None = None,
    seed: int = 0,
    schedule: str = "linear",
    optimizer: str = "sgd",
    momentum: float = 0.9,
    last: int | None = None,
    whole_head: bool = False,
    distance_scale: float | None = None,
    config: TrainerConfig | None = None,
    on_step: OnBaselineStep | None = None,
) -> BaselineRun:
    """Adapt a network to labelled data by one of the baselines.

    Parameters
    ----------
    name
        One of `BASELINES`.
    graph
        The float Graph; batch norms are folded here.
    quantized
        What `quantize` made of it: the rounding of `qat_*`, the units and random streams of `ff_*`.
    x, y
        float [n, ...input shape] in real numbers, NHWC; int [n], labels 0..classes-1.
    steps, learning_rate
        Number of updates; size of a step: in real numbers for `bp_*` and `qat_*`, in the trainer's units for
        `ff_*` (for `ff_exact_lp` it is the head rate).
    batch
        Samples per step, 1..n; None means all, but at most 50.
    seed
        Of the batches, and of the directions.
    schedule
        "constant" or "linear" (backpropagation falls step by step, forward gradients in 64 stairs).
    optimizer, momentum, last, whole_head
        For `bp_*` and `qat_*`, see `adapt_backprop`.
    distance_scale
        The Graphs end in features, which are classified by distance to the class means of x: those of the
        batch, each sample left out of its own, while training (not for `*_lp`, `qat_*`).
    config
        Further settings of `ff_*`; None takes those of the integer method of that name (`METHODS`). Where
        rows are split, it gets as many directions as fit the batch.
    on_step
        Called after every update with the run so far.

    Returns
    -------
    BaselineRun

    Raises
    ------
    InputError
        An unknown name, or arguments that do not fit.

    Notes
    -----
    The result is a function of the arguments for one PyTorch build and one thread count.
    """
    if name not in BASELINES:
        raise InputError(f"name must be one of {', '.join(BASELINES)}, not {name!r}")
    folded = fold_batch_norm(graph)
    prototypes = None if distance_scale is None else Prototypes(x, y, distance_scale)
    if name in _FORWARD:
        if last is not None or whole_head:
            raise InputError(f"last and whole_head are choices of backpropagation; {name} has none of them")
        settings = _settings(name, config, learning_rate, seed, schedule)
        return _run_forward(name, folded, quantized, x, y, steps, settings, batch, prototypes, on_step)
    if config is not None:
        raise InputError(f"config is for forward gradients; {name} has none")
    simulated = name in _SIMULATED
    if simulated and prototypes is not None:
        raise InputError(f"distance_scale is not for {name}, whose classifier is a layer that rounds as well")
    rounding = FakeQuantization(quantized) if simulated else None
    network = TorchNetwork(simulated_graph(folded, quantized) if simulated else folded, rounding)
    size = min(len(y), LARGEST_BATCH) if batch is None else batch

    def run(done: int, parameters: Parameters) -> BaselineRun:
        integers = quantized_with(quantized, parameters) if simulated else None
        forwards = FORWARDS_OF_BACKPROP * done
        return BaselineRun(name, parameters, network, done, size, forwards, integers, prototypes)

    parameters = adapt_backprop(
        network.graph,
        x,
        y,
        name.split("_", 1)[1],
        steps,
        learning_rate,
        optimizer,
        size,
        seed=seed,
        momentum=momentum,
        schedule=schedule,
        last=last,
        whole_head=whole_head,
        distance_scale=distance_scale,
        simulation=rounding,
        on_step=None if on_step is None else lambda done, now: on_step(run(done, now)),
    )
    return run(steps, parameters)


def _settings(
    name: str, config: TrainerConfig | None, learning_rate: float, seed: int, schedule: str
) -> TrainerConfig:
    """Return the configuration of a forward-gradient baseline."""
    usual = METHODS[_FORWARD[name]].config
    chosen = usual if config is None else config
    exact = name == "ff_exact_lp"
    if chosen.scope != usual.scope or (chosen.scope == "lp" and (chosen.head == "exact") != exact):
        raise InputError(
            f"{name} needs a configuration of scope {usual.scope!r} (and, for lp, of head {usual.head!r}); "
            f"got scope {chosen.scope!r}, head {chosen.head!r}"
        )
    rate: dict[str, Any] = {"head_rate" if exact else "learning_rate": learning_rate}
    return dataclasses.replace(chosen, seed=seed, schedule=schedule, **rate)  # type: ignore[arg-type]


def _run_forward(
    name: str,
    graph: Graph,
    quantized: Graph,
    x: NDArray[Any],
    y: NDArray[np.integer],
    steps: int,
    config: TrainerConfig,
    batch: int | None,
    prototypes: Prototypes | None,
    on_step: OnBaselineStep | None,
) -> BaselineRun:
    config, size = batch_of(config, len(y), batch)
    scale = None if prototypes is None else prototypes.distance_scale
    trainer = FloatForward(graph, lower(quantized), config, size, distance_scale=scale)
    network = TorchNetwork(graph)

    def run() -> BaselineRun:
        done = trainer.steps_taken
        forwards = trainer.forwards * done
        return BaselineRun(name, trainer.parameters(), network, done, size, forwards, prototypes=prototypes)

    trainer.fit(x, y, steps, None if on_step is None else lambda _: on_step(run()))
    return run()
