"""The main job: few-shot tasks on new handwriting, by integer inference alone, beside backpropagation."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from fxpgrad.errors import InputError
from fxpgrad.experiments.backprop import backprop_scratch_bytes
from fxpgrad.experiments.backprop_source import BackpropSource, choose_source
from fxpgrad.experiments.few_shot import (
    accuracy,
    adapt_forward,
    adapt_prototypes,
    prototype_classifier,
    to_integers,
)
from fxpgrad.program.plan import plan
from fxpgrad.program.program import Program
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import attach_prototype_head, distance_scale, load_program, resnet12_graph
from fxpgrad.tasks.episodes import Episode, sample_episode
from fxpgrad.tasks.omniglot import load_omniglot
from fxpgrad.tasks.statistics import mean_and_ci95
from fxpgrad.trainer.config import TrainerConfig

Sampling = Literal["alphabet", "all"]
Method = Literal["zero_shot", "ff_lp", "ff_ft", "bp_ft"]
OnProgress = Callable[[float, int], None]

_TASKS_PER_SEED = 2**24


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """Everything that the result depends on.

    seed names the tasks and, with a task's number, its directions; ways, shots and queries per class
    make a task; sampling "alphabet" draws its classes from one alphabet, "all" from the whole
    evaluation split. ff_lp, ff_ft: forward gradients on the head alone and on everything (their own
    seeds are not used); bp_*: the float baseline, Adam.
    """

    seed: int = 0
    tasks: int = 20
    ways: int = 5
    shots: int = 5
    queries: int = 15
    sampling: Sampling = "alphabet"
    ff_lp: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(scope="lp", num_directions=3, epsilon=1e-2, learning_rate=1e-2)
    )
    ff_lp_steps: int = 60
    ff_ft: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(scope="ft", num_directions=3, epsilon=1e-3, learning_rate=1e-3)
    )
    ff_ft_steps: int = 30
    bp_steps: int = 20
    bp_learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        bounds = (
            ("seed", 0, 2**39 - 1),
            ("tasks", 1, _TASKS_PER_SEED),
            ("ways", 2, 2**31),
            ("shots", 2, 2**31),  # the loss leaves each sample out of its own class mean
            ("queries", 1, 2**31),
            ("ff_lp_steps", 1, 2**31),
            ("ff_ft_steps", 1, 2**31),
            ("bp_steps", 1, 2**31),
        )
        for name, low, high in bounds:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{name} must be an integer in [{low}, {high}]; got {value!r}")
        if self.sampling not in ("alphabet", "all"):
            raise InputError(f"sampling must be 'alphabet' or 'all'; got {self.sampling!r}")

    @property
    def batch(self) -> int:
        """Support images of a task: every step sees them all."""
        return self.ways * self.shots


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One row of the table.

    Attributes
    ----------
    method : {"zero_shot", "ff_lp", "ff_ft", "bp_ft"}
    weights, activations : str
        Their types.
    accuracies : tuple of float or None
        One per task, in 0..1; None if the method could not run.
    forwards : int or None
        Training inferences of the whole support batch, per task.
    weights_sha256 : str or None
        Digest of the adapted integer weights of all tasks, in task order.
    """

    method: Method
    weights: str
    activations: str
    accuracies: tuple[float, ...] | None
    forwards: int | None
    weights_sha256: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Mean over the tasks."""
        return None if self.accuracies is None else mean_and_ci95(self.accuracies)[0]

    @property
    def ci95(self) -> float | None:
        """Half width of the mean's 95 % confidence interval; None if one task says nothing about it."""
        if self.accuracies is None or len(self.accuracies) < 2:
            return None
        return mean_and_ci95(self.accuracies)[1]


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes that adapting to one task needs, for a batch of the whole support set.

    ff_scratch_bytes, bp_scratch_bytes: beside constants and data, full fine-tuning by forward gradients
    and by backpropagation; inference_arena_bytes: activations of plain integer inference;
    weights_bytes: all constants of the network.
    """

    ff_scratch_bytes: int
    bp_scratch_bytes: int
    inference_arena_bytes: int
    weights_bytes: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the run found. `bp_ft_source`: where the float baseline comes from, or why it is missing."""

    settings: DemoSettings
    results: tuple[MethodResult, ...]
    memory: MemoryUse
    bp_ft_source: BackpropSource
    seconds: float


@dataclass(frozen=True, slots=True)
class _TaskOutcome:
    zero_shot: float
    ff_lp: float
    ff_ft: float
    bp_ft: float | None
    lp_sha256: str
    ft_sha256: str
    lp_forwards: int
    ft_forwards: int
    ft_scratch_bytes: int


class _StoppedError(Exception):
    """Another task failed or the user interrupted the run."""


class _Meter:
    """Counts work in forward passes of a batch, from any thread, and passes on a wish to stop."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total, self._done, self._tasks = total, 0, 0
        self._lock = threading.Lock()
        self._on_progress = on_progress
        self.stop = threading.Event()

    def add(self, forwards: int, tasks: int = 0) -> None:
        if self.stop.is_set():
            raise _StoppedError
        with self._lock:
            self._done += forwards
            self._tasks += tasks
            if self._on_progress is not None:
                self._on_progress(min(1.0, self._done / self._total), self._tasks)


def run_demo(settings: DemoSettings, threads: int = 1, on_progress: OnProgress | None = None) -> DemoReport:
    """Run the tasks on the bundled backbone.

    Parameters
    ----------
    settings
        What to run; the integer results are a pure function of it.
    threads
        Python threads, one task each at a time; changes the time only.
    on_progress
        Called with (share of the work done, tasks done), by one thread at a time.

    Raises
    ------
    InputError, TrainingError
    """
    if threads < 1:
        raise InputError(f"threads must be at least 1; got {threads}")
    started = time.perf_counter()
    program, scale = load_program("16w8a"), distance_scale()
    source = choose_source(settings.seed, settings.sampling, settings.tasks)
    meter = _Meter(_work(settings, source), on_progress)

    def job(index: int) -> _TaskOutcome:
        return _run_task(settings, program, scale, source, index, meter)

    pool = ThreadPoolExecutor(min(threads, settings.tasks), initializer=source.prepare_thread)
    try:
        futures = [pool.submit(job, index) for index in range(settings.tasks)]
        _wait_for(futures)
        outcomes = [future.result() for future in futures]
    finally:
        meter.stop.set()
        pool.shutdown(cancel_futures=True)
        source.restore_threads()
    headed = attach_prototype_head(
        fold_batch_norm(resnet12_graph()), np.zeros((settings.ways, _features(program))), scale
    )
    memory = MemoryUse(
        outcomes[0].ft_scratch_bytes,
        backprop_scratch_bytes(headed, settings.batch, "ft"),
        plan(program, settings.batch).peak_bytes,
        program.weights_bytes,
    )
    results = _results(settings, outcomes, source)
    return DemoReport(settings, results, memory, source, time.perf_counter() - started)


def _wait_for(futures: list[Future[_TaskOutcome]]) -> None:
    """Wait until all are done or one has failed, and raise its error; Ctrl-C gets through on every system."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
        for future in sorted(done, key=futures.index):
            future.result()


def task_episode(settings: DemoSettings, index: int) -> Episode:
    """Return task `index` of the run."""
    return sample_episode(
        load_omniglot(),
        "evaluation",
        settings.ways,
        settings.shots,
        settings.queries,
        settings.seed,
        index,
        within_alphabet=settings.sampling == "alphabet",
    )


def _features(program: Program) -> int:
    return program.tensors[program.outputs[0]].shape[0]


def _work(settings: DemoSettings, source: BackpropSource) -> int:
    """Return the forward passes that `_run_task` reports, over all tasks."""
    forwards = 2 * settings.ff_ft.num_directions * settings.ff_ft_steps
    backprop = 3 * settings.bp_steps if source.kind == "live" else 0
    return settings.tasks * (1 + forwards + backprop)


def _run_task(
    settings: DemoSettings,
    program: Program,
    scale: float,
    source: BackpropSource,
    index: int,
    meter: _Meter,
) -> _TaskOutcome:
    """Adapt to one task by every method."""
    episode = task_episode(settings, index)
    integers = to_integers(program, episode)
    seed = settings.seed * _TASKS_PER_SEED + index
    classifier = prototype_classifier(program, integers.support_x, integers.support_y, scale)
    zero_shot = accuracy(classifier, integers.query_x, integers.query_y)
    meter.add(1)
    lp_config = replace(settings.ff_lp, scope="lp", seed=seed)
    lp = adapt_forward(classifier, integers, lp_config, settings.ff_lp_steps, lambda _: meter.add(0))
    ft_config = replace(settings.ff_ft, scope="ft", seed=seed)
    passes = 2 * ft_config.num_directions
    ft = adapt_prototypes(
        program, integers, ft_config, settings.ff_ft_steps, scale, lambda _: meter.add(passes)
    )
    bp = source.accuracy(
        episode, index, scale, settings.bp_steps, settings.bp_learning_rate, lambda: meter.add(3)
    )
    meter.add(0, tasks=1)
    return _TaskOutcome(
        zero_shot,
        lp.accuracy,
        ft.accuracy,
        bp,
        lp.weights_sha256,
        ft.weights_sha256,
        lp.report.forwards if lp.report else 0,
        ft.report.forwards if ft.report else 0,
        ft.scratch_bytes,
    )


def _results(
    settings: DemoSettings, outcomes: list[_TaskOutcome], source: BackpropSource
) -> tuple[MethodResult, ...]:
    first = outcomes[0]
    bp = tuple(outcome.bp_ft for outcome in outcomes if outcome.bp_ft is not None)
    bp_forwards = {"live": settings.bp_steps, "recorded": source.recorded_steps}.get(source.kind)
    return (
        MethodResult("zero_shot", "int16", "int8", tuple(task.zero_shot for task in outcomes), 0),
        MethodResult(
            "ff_lp",
            "int16",
            "int8",
            tuple(task.ff_lp for task in outcomes),
            first.lp_forwards,
            _digest([task.lp_sha256 for task in outcomes]),
        ),
        MethodResult(
            "ff_ft",
            "int16",
            "int8",
            tuple(task.ff_ft for task in outcomes),
            first.ft_forwards,
            _digest([task.ft_sha256 for task in outcomes]),
        ),
        MethodResult("bp_ft", "float32", "float32", bp or None, bp_forwards),
    )


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()
