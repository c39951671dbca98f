"""Where the demo's float baseline comes from: a live run, the recorded run, or nowhere (and why)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal, Protocol

import numpy as np

from fxpgrad.errors import InputError, MissingExtraError, StoreError
from fxpgrad.experiments.backprop import adapt_backprop, torch_forward
from fxpgrad.experiments.prototypes import prototype_logits
from fxpgrad.experiments.torch_operators import import_torch
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import resnet12_graph
from fxpgrad.tasks.episodes import Episode

RECORDED = "bp_ft_recorded.json"


class _Readable(Protocol):
    def read_text(self, encoding: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A float run made before: accuracies by task for one seed and sampling, and who made it how."""

    provenance: Mapping[str, Any]
    sampling: str
    seed: int
    accuracies: tuple[float, ...]
    steps: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class BackpropSource:
    """Gives the accuracy of full fine-tuning by backpropagation on each task, if it can.

    kind "live": PyTorch runs here; "recorded": `provenance` says whence; "unavailable": `reason`.
    """

    kind: Literal["live", "recorded", "unavailable"]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    graph: Graph | None = None
    recorded: Recorded | None = None
    torch_threads: int = 1

    @property
    def recorded_steps(self) -> int | None:
        """Steps of the recorded run."""
        return None if self.recorded is None else self.recorded.steps

    def prepare_thread(self) -> None:
        """Tell PyTorch to use this thread alone, so that sums have one order however many tasks run."""
        if self.kind == "live":
            import_torch().set_num_threads(1)

    def restore_threads(self) -> None:
        """Give PyTorch back the number of threads that it had."""
        if self.kind == "live":
            import_torch().set_num_threads(self.torch_threads)

    def accuracy(
        self,
        episode: Episode,
        index: int,
        distance_scale: float,
        steps: int,
        learning_rate: float,
        on_step: Callable[[], None],
    ) -> float | None:
        """Return the share of queries of task `index` that are right after adapting, or None."""
        if self.recorded is not None:
            return self.recorded.accuracies[index]
        if self.graph is None:
            return None
        parameters = adapt_backprop(
            self.graph,
            episode.support_x,
            episode.support_y,
            "ft",
            steps,
            learning_rate,
            distance_scale=distance_scale,
            on_step=lambda _step, _parameters: on_step(),
        )
        with import_torch().no_grad():
            support = torch_forward(self.graph, parameters, episode.support_x).numpy()
            queries = torch_forward(self.graph, parameters, episode.query_x).numpy()
        logits = prototype_logits(queries, support, episode.support_y, distance_scale)
        return float((logits.argmax(axis=1) == episode.query_y).mean())


def choose_source(seed: int, sampling: str, tasks: int) -> BackpropSource:
    """Return the live source where PyTorch is installed, else the recorded one if it fits."""
    try:
        torch = import_torch()
    except MissingExtraError as error:
        missing = str(error)
    else:
        graph = fold_batch_norm(resnet12_graph())
        version = {"torch": str(torch.__version__)}
        return BackpropSource("live", version, graph=graph, torch_threads=torch.get_num_threads())
    try:
        recorded = load_recorded(recorded_file())
        require_fit(recorded, seed, sampling, tasks)
    except (StoreError, InputError) as error:
        return BackpropSource("unavailable", reason=f"{missing} ({error})")
    provenance = {**recorded.provenance, "steps": recorded.steps, "learning_rate": recorded.learning_rate}
    return BackpropSource("recorded", provenance, recorded=recorded)


def recorded_file() -> _Readable:
    """Return the place of the bundled recorded run."""
    return resources.files("fxpgrad.experiments") / "data" / RECORDED


def load_recorded(file: _Readable) -> Recorded:
    """Read a recorded run; raise `StoreError` if it is missing or not well formed."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        recorded = Recorded(
            dict(content["provenance"]),
            str(content["sampling"]),
            int(content["seed"]),
            tuple(float(value) for value in content["accuracies"]),
            int(content["steps"]),
            float(content["learning_rate"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"the recorded run {RECORDED} cannot be read: {error}") from error
    values = np.array(recorded.accuracies)
    if not ((values >= 0) & (values <= 1)).all():
        raise StoreError(f"the recorded run {RECORDED} holds accuracies outside 0..1")
    return recorded


def require_fit(recorded: Recorded, seed: int, sampling: str, tasks: int) -> None:
    """Raise `InputError` unless the recorded run has the tasks that are asked for."""
    if (seed, sampling) != (recorded.seed, recorded.sampling):
        raise InputError(
            f"the recorded run has seed {recorded.seed} and sampling {recorded.sampling!r}, "
            f"not seed {seed} and {sampling!r}"
        )
    if tasks > len(recorded.accuracies):
        raise InputError(f"the recorded run has {len(recorded.accuracies)} tasks, not {tasks}")
