"""One cell of an experiment: one method on one task with one seed and one rate, as a record of plain data."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError, TrainingError
from fxpgrad.experiments.adapt import search_head_rate
from fxpgrad.experiments.baselines import FORWARDS_OF_BACKPROP, BaselineRun, run_baseline
from fxpgrad.experiments.cases import Case, make_case
from fxpgrad.experiments.evaluate import evaluate
from fxpgrad.experiments.method_preset import MethodPreset
from fxpgrad.experiments.methods import batch_of, steps_of
from fxpgrad.experiments.preset import Preset
from fxpgrad.experiments.records import Record
from fxpgrad.experiments.stopwatch import Stopwatch
from fxpgrad.experiments.torch_operators import one_thread
from fxpgrad.experiments.witness import count_differences
from fxpgrad.program.head import with_accumulator_output, without_softmax
from fxpgrad.program.program import Program
from fxpgrad.program.threads import run_on_threads
from fxpgrad.trainer.alignment import Layers
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy, Objective, PrototypeCrossEntropy
from fxpgrad.trainer.trainer import Trainer
from fxpgrad.trainer.window import measure_window

_ROWS = 50  # of an inference that judges


@dataclass(frozen=True, slots=True)
class Cell:
    """A method, a task, a seed and a rate; phase "search" where the task is one that rates are chosen by."""

    phase: str
    method: MethodPreset
    task: dict[str, Any]
    seed: int
    rate: float | None


def settings_of(preset: Preset, cell: Cell) -> Record:
    """Return everything that a cell's result depends on, but for the data files and the software."""
    return {
        "phase": cell.phase,
        "method": cell.method.name,
        "task": cell.task,
        "seed": cell.seed,
        "rate": cell.rate,
        "kind": preset.kind,
        "data": preset.data,
        "forwards": preset.forwards * cell.method.times,
        "batch": preset.batch,
        "checkpoints": preset.checkpoints,
        "baseline": cell.method.baseline,
        "weight_bits": cell.method.weight_bits,
        **({"probe": True} if "epsilon" in cell.method.probe else {}),
        **({"find_head_rate": True} if "head_rate" in cell.method.probe else {}),
        **({"align": cell.method.align} if cell.method.align else {}),
        **({"loss": cell.method.loss} if cell.method.loss != "head" else {}),
        "trainer": cell.method.trainer,
        "rate_of": cell.method.rate_of,
        "options": cell.method.options,
    }


def key_of(settings: Mapping[str, Any]) -> str:
    """Return the name of a cell: a digest of its settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def run_cell(preset: Preset, cell: Cell, folder: str) -> Record:
    """Run a cell and return its record (see docs/experiments.md for the fields)."""
    settings = settings_of(preset, cell)
    case = make_case(preset, cell.task, Path(folder), cell.method.align)
    started = time.perf_counter()
    if not cell.method.times:
        found = _untrained(case, cell.method)
    elif cell.method.baseline:
        with one_thread():
            found = _by_baseline(preset, cell, case)
    else:
        found = _by_integers(preset, cell, case)
    found["seconds"] = round(time.perf_counter() - started, 2)
    return {"key": key_of(settings), **settings, **found, "versions": _versions(cell.method)}


def _versions(method: MethodPreset) -> dict[str, str]:
    names = ["fxpgrad", "numpy", "numba"] + (["torch"] if method.baseline and method.times else [])
    return {name: metadata.version(name) for name in names}


def _accuracy(case: Case, method: MethodPreset, program: Program) -> float:
    """Return the accuracy on the data to judge on, by the last layer's int32 accumulators times their scales.

    A file is judged by its own output. Elsewhere the int8 logits, whose range is that of the network before
    it was adapted, would add ties that are no method's fault.
    """
    if method.loss == "prototypes":
        program = case.with_prototypes(program, method.weight_bits)
    x = case.integers(program, case.test_x)
    if case.file is not None:
        return evaluate(program, x, case.test_y, batch=_ROWS).accuracy
    form = with_accumulator_output(program)
    scale = form.constants[form.calls[-1].constants["weights"]].scale
    assert scale is not None
    logits = run_on_threads(form, x, 1, _ROWS) * scale
    return float((logits.argmax(axis=1) == case.test_y).mean())


def _untrained(case: Case, method: MethodPreset) -> Record:
    program = case.program(method.weight_bits, method.loss)
    accuracy = _accuracy(case, method, program)
    return {
        "accuracy": accuracy, "forwards_done": case.spent, "steps": 0, "samples": len(case.test_y),
        "curve": [], "cpu_seconds": round(case.alignment_seconds, 3), **_witness(case, {}),
    }  # fmt: skip


def _witness(case: Case, layers: Layers) -> Record:
    """Return what tflite-micro says of the values, written into the case's file, if it is one."""
    if not case.tflite:
        return {}
    merged = layers if case.alignment is None else case.alignment.merged(layers)
    return dict(count_differences(case.tflite, merged, case.test_x))


def _points(preset: Preset, steps: int) -> set[int]:
    """Return the numbers of steps after which the accuracy is measured; 0, the start, is one if any is."""
    if not preset.checkpoints:
        return set()
    count = preset.checkpoints + 1
    return {0} | {max(1, steps * k // count) for k in range(1, count)}


def _by_integers(preset: Preset, cell: Cell, case: Case) -> Record:
    config = cell.method.config(cell.rate, cell.seed)
    config, batch = batch_of(config, len(case.train_y), min(preset.batch, len(case.train_y)))
    budget = preset.forwards * cell.method.times - case.spent
    whole = case.program(cell.method.weight_bits, cell.method.loss)
    form, objective = _objective(case, cell.method, whole)
    x = case.integers(whole, case.train_x)
    curve, watch, searched = [], Stopwatch(case.alignment_seconds), 0.0
    try:
        if "epsilon" in cell.method.probe:
            config = _with_probed_epsilon(form, config, x, case, batch)
        if "head_rate" in cell.method.probe:
            config, searched = _with_searched_head_rate(form, config, x, case, batch, budget)
        trainer = Trainer(form, config, objective, batch, frozen=case.frozen)
    except TrainingError as error:  # nothing could be learned: the network stays as it is
        return {**_untrained(case, cell.method), "stopped": str(error), "config": asdict(config)}

    steps = steps_of(config, budget - searched, len(case.train_y), batch)
    points = _points(preset, steps)

    def done() -> float:
        return case.spent + searched + trainer.forwards * trainer.steps_taken * batch / len(case.train_y)

    def measure(_: object) -> None:
        if trainer.steps_taken in points:
            seconds = watch.seconds
            with watch.paused():
                curve.append([round(done(), 4), seconds, _accuracy(case, cell.method, trainer.adapted())])

    record: Record = {"stopped": ""}
    losses: list[float] = []
    measure(None)
    try:
        report = trainer.fit(x, case.train_y, steps, measure)
        losses = [step.mean_loss for step in report.steps]
        record |= {"dead_steps": len(report.dead_steps), "saturated_steps": len(report.saturated_steps)}
    except TrainingError as error:
        record["stopped"] = str(error)
    record["cpu_seconds"] = watch.seconds
    after = trainer.write_into(whole)
    tenth = max(1, len(losses) // 10)
    return record | {
        "accuracy": _accuracy(case, cell.method, after),
        "samples": len(case.test_y),
        "steps": trainer.steps_taken,
        "forwards_done": done(),
        "loss_first": float(np.mean(losses[:tenth])) if losses else None,
        "loss_last": float(np.mean(losses[-tenth:])) if losses else None,
        "scratch_bytes": trainer.scratch_bytes,
        "weights_sha256": after.constants_sha256(),
        "config": asdict(config),
        "curve": curve,
        **_witness(case, trainer.trained_layers()),
    }


def _objective(case: Case, method: MethodPreset, program: Program) -> tuple[Program, Objective]:
    """Return a Program in the form that is trained, and what reads its output."""
    if method.loss == "prototypes":
        return program, PrototypeCrossEntropy(int(case.train_y.max()) + 1, case.distance_scale)
    return with_accumulator_output(without_softmax(program)), LinearCrossEntropy()


def _with_probed_epsilon(
    form: Program, config: TrainerConfig, x: NDArray[Any], case: Case, batch: int
) -> TrainerConfig:
    window = measure_window(form, config, LinearCrossEntropy(), x, case.train_y, batch, frozen=case.frozen)
    if window.epsilon is None:
        raise TrainingError(window.reason)
    return replace(config, epsilon=window.epsilon)


def _with_searched_head_rate(
    form: Program, config: TrainerConfig, x: NDArray[Any], case: Case, batch: int, budget: float
) -> tuple[TrainerConfig, float]:
    """Return the settings with the head rate found, and the inferences a sample that finding it took."""
    steps = steps_of(config, budget, len(x), batch)
    found = search_head_rate(form, config, x, case.train_y, batch, steps, case.frozen)
    if found is None:
        return config, 0.0
    return replace(config, head_rate=found.rate or config.head_rate), found.forwards * batch / len(x)


def _by_baseline(preset: Preset, cell: Cell, case: Case) -> Record:
    method, samples = cell.method, len(case.train_y)
    if cell.rate is None:
        raise InputError(f"method {method.name!r}: a baseline needs a rate")
    batch, forwards = min(preset.batch, samples), preset.forwards * method.times - case.spent
    extra: dict[str, Any] = dict(method.options)
    if method.baseline.startswith("ff_"):
        config, batch = batch_of(method.config(cell.rate, cell.seed), samples, batch)
        steps = steps_of(config, forwards, samples, batch)
        extra |= {"config": config, "schedule": config.schedule}
    else:
        steps = max(1, round(forwards * samples / (FORWARDS_OF_BACKPROP * batch)))
    points, curve, quantized = _points(preset, steps), [], case.quantized(method.weight_bits, method.loss)
    graph = case.float_graph(method.loss)
    if method.loss == "prototypes":
        extra["distance_scale"] = case.distance_scale
    watch = Stopwatch(case.alignment_seconds)

    def measure(run: BaselineRun) -> None:
        if run.steps in points:
            seconds = watch.seconds
            with watch.paused():
                accuracy = run.accuracy(case.test_x, case.test_y)
                curve.append([round(case.spent + run.forwards * batch / samples, 4), seconds, accuracy])

    def run_for(steps: int) -> BaselineRun:
        assert cell.rate is not None
        return run_baseline(
            method.baseline, graph, quantized, case.train_x, case.train_y, steps, cell.rate,
            batch=batch, seed=cell.seed, on_step=measure if points else None, **extra,
        )  # fmt: skip

    if points:
        with watch.paused():
            start = run_for(0)
        measure(start)
    run = run_for(steps)
    finite = all(np.isfinite(values).all() for values in run.parameters.values())
    return {
        "accuracy": run.accuracy(case.test_x, case.test_y),
        "samples": len(case.test_y),
        "steps": steps,
        "forwards_done": case.spent + run.forwards * batch / samples,
        "weights_sha256": _digest(run.parameters),
        "stopped": "" if finite else "the run diverged: weights are not finite; a smaller rate is needed",
        "curve": curve,
        "cpu_seconds": watch.seconds,
    }


def _digest(parameters: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parameters):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(parameters[name]).tobytes())
    return digest.hexdigest()
