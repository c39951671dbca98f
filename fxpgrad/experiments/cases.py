"""What an experiment adapts: a network, data to adapt it by and data to judge it on, one kind a function."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.errors import InputError
from fxpgrad.experiments.adapt import unwritable_constants
from fxpgrad.experiments.backprop import graph_parameters, with_gains
from fxpgrad.experiments.evaluate import class_count
from fxpgrad.experiments.few_shot import prototype_classifier
from fxpgrad.experiments.kinds import FEW_SHOT_FILES, shift_of_file
from fxpgrad.experiments.preset import Preset
from fxpgrad.graph.graph import Graph
from fxpgrad.importers.model_file import file_kind, program_from, read_model
from fxpgrad.program.execute import run_program
from fxpgrad.program.lower import lower
from fxpgrad.program.program import Program
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.quantize import calibrate, fold_batch_norm, quantize_graph
from fxpgrad.tasks.backbone import attach_prototype_head, backbone_graph, class_prototypes, distance_scale
from fxpgrad.tasks.cifar_resnet import LabelledImages, load_cifar, normalize, resnet_graph
from fxpgrad.tasks.corruptions import corrupt
from fxpgrad.tasks.few_shot_data import FewShotData, few_shot_omniglot, load_cub, load_tiny_imagenet
from fxpgrad.tasks.npz_data import checked_labels, load_arrays, required_array
from fxpgrad.tasks.shifts import shift_episode
from fxpgrad.tasks.splits import split_by_seed
from fxpgrad.trainer.alignment import Alignment, align, measure_moments
from fxpgrad.trainer.units import scale_of
from fxpgrad_kernels.training.gain import ONE

_HEADROOM = {8: 1.0, 16: 1.25}
_CALIBRATION = 256
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One task, ready to be run by any method.

    Attributes
    ----------
    train_x, test_x : ndarray [n, ...]
        Real numbers (float32), or the Program's own integers if there is no Graph.
    train_y, test_y : int32 [n]
    graph : Graph or None
        The float network, batch norms folded; None for a model file.
    backbone : Graph or None
        Of few-shot tasks: the same without its head, ending in features.
    distance_scale : float
        Its factor of squared distances.
    ranges : mapping or None
        Of its activations.
    file : Program or None
        The model file's Program.
    tflite : bytes
        The content of a .tflite model file; empty for other kinds.
    alignment : Alignment or None
        What has been done to the network already.
    alignment_seconds : float
        CPU time that it took.
    frozen : set of str
        Constants that the file has no place for, so that they cannot be trained.
    """

    train_x: NDArray[Any]
    train_y: NDArray[np.int32]
    test_x: NDArray[Any]
    test_y: NDArray[np.int32]
    graph: Graph | None = None
    ranges: Ranges | None = None
    backbone: Graph | None = None
    distance_scale: float = 0.0
    file: Program | None = None
    tflite: bytes = b""
    alignment: Alignment | None = None
    alignment_seconds: float = 0.0
    frozen: frozenset[str] = frozenset()

    @property
    def spent(self) -> float:
        """Inferences of each training sample that have been spent already."""
        return 0.0 if self.alignment is None else self.alignment.forwards / len(self.train_y)

    def float_graph(self, loss: str) -> Graph:
        """Return the float Graph that a loss is computed from: it ends in logits, or in features."""
        graph = self.graph if loss == "head" else self.backbone
        if graph is None:
            raise InputError("a model file has no float network: baselines and prototypes need one")
        return graph

    def quantized(self, weight_bits: int, loss: str = "head") -> Graph:
        """Return that Graph, quantized, with weights of so many bits."""
        graph, ranges = self.float_graph(loss), self.ranges or {}
        return quantize_graph(graph, ranges, weight_bits, headroom=_HEADROOM[weight_bits])

    def program(self, weight_bits: int, loss: str = "head") -> Program:
        """Return the Program of that Graph, or the model file's."""
        return lower(self.quantized(weight_bits, loss)) if self.file is None else self.file

    def with_prototypes(self, backbone: Program, weight_bits: int) -> Program:
        """Put the classifier by the prototypes of the samples to adapt by on a Program ending in features."""
        x = self.integers(backbone, self.train_x)
        return prototype_classifier(backbone, x, self.train_y, self.distance_scale, weight_bits)

    def integers(self, program: Program, x: NDArray[Any]) -> NDArray[Any]:
        """Return samples in the Program's input integers."""
        return quantize_input(program.tensors[program.inputs[0]], x) if self.file is None else x


def make_case(preset: Preset, task: Mapping[str, Any], folder: Path, aligned: int = 0) -> Case:
    """Return a task of a preset that `check_keys` has passed; data files are looked for under `folder`.

    aligned: align the network first, on so many training samples.
    """
    maker = {"shift": _shift, "few_shot": _few_shot, "file": _file}[preset.kind]
    return maker(preset.data, task, folder, aligned)


def _aligned(
    graph: Graph, ranges: Ranges, usual: NDArray[np.float32], x: NDArray[np.float32]
) -> tuple[Graph, Alignment, float]:
    """Return the float Graph of the aligned 8-bit network, and the CPU seconds that it took.

    usual: real samples of the kind that the network was made for; x: as they are now.
    """
    program = lower(quantize_graph(graph, ranges, 8))
    info = program.tensors[program.inputs[0]]
    target, now = measure_moments(program, quantize_input(info, usual)), quantize_input(info, x)
    started = time.process_time()
    alignment = align(program, target, now)
    seconds = time.process_time() - started
    calls = {call.name: call for call in program.calls}
    biases = {name: program.constants[calls[name].constants["bias"]] for name in alignment.biases}
    real: dict[str, NDArray[Any]] = {
        biases[name].name: bias * scale_of(biases[name]) for name, bias in alignment.biases.items()
    }
    gains = {name: gain / ONE for name, gain in alignment.gains.items()}
    parameters = with_gains(graph, {**graph_parameters(graph), **real}, gains)
    changed = {name: replace(graph.tensors[name], data=data) for name, data in parameters.items()}
    return replace(graph, tensors={**graph.tensors, **changed}), alignment, seconds


def _shift(data: Mapping[str, Any], task: Mapping[str, Any], folder: Path, aligned: int) -> Case:
    """A CIFAR network and images as a bad sensor gives them: a share to adapt by, the rest to judge on."""
    graph, ranges, usual = _cifar_network(str(folder / data["net"]), str(folder / data["calibration"]))
    found = _corrupted(str(folder / data["images"]), data.get("count"), task["corruption"], task["severity"])
    seen, labels = normalize(found.images), found.labels
    train, test = split_by_seed(len(labels), 0, data.get("share", 0.9))
    alignment, seconds = None, 0.0
    if aligned:
        graph, alignment, seconds = _aligned(graph, ranges, usual, seen[train][:aligned])
    parts = seen[train], labels[train], seen[test], labels[test]
    return Case(*parts, graph, ranges, alignment=alignment, alignment_seconds=seconds)


@functools.lru_cache(maxsize=2)
def _corrupted(path: str, count: int | None, corruption: str, severity: int) -> LabelledImages:
    found = load_cifar(path, count)
    if corruption == "none":
        return found
    return replace(found, images=corrupt(found.images, corruption, severity, 0))


@functools.cache
def _cifar_network(path: str, calibration: str) -> tuple[Graph, Ranges, NDArray[np.float32]]:
    """Return a network's float Graph, its ranges and the images that those are of."""
    graph = fold_batch_norm(resnet_graph(path))
    usual = normalize(load_cifar(calibration, _CALIBRATION).images)
    return graph, calibrate(graph, usual), usual


def _few_shot(data: Mapping[str, Any], task: Mapping[str, Any], folder: Path, aligned: int) -> Case:
    """An episode, and a backbone with the prototype classifier of its support set on it."""
    images = _few_shot_data(task["set"], str(folder))
    net = task["net"]
    path = None if net == "bundled" else str(folder / data.get("backbones", "") / net)
    graph, ranges, features_of, scale, usual = _backbone(path, task["set"], str(folder))
    alignment, seconds = None, 0.0
    shape = data["ways"], data["shots"], data["queries"]
    drawn = images.sample_episode(data.get("task_seed", 0), task["task"], *shape, task["split"])
    episode = images.to_real(shift_episode(drawn, data.get("sensor", "none")))
    if aligned:
        graph, alignment, seconds = _aligned(graph, ranges, usual, episode.support_x[:aligned])
        features_of = lower(quantize_graph(graph, ranges, 16, headroom=_HEADROOM[16]))
    given = quantize_input(features_of.tensors[features_of.inputs[0]], episode.support_x)
    features = dequantize_output(features_of, run_program(features_of, given))
    prototypes = class_prototypes(features, episode.support_y)
    headed = attach_prototype_head(graph, prototypes, scale)
    logits = 2 * scale * features @ prototypes.T - scale * (prototypes**2).sum(axis=1)
    ranges = {**ranges, headed.outputs[0]: (float(logits.min()), float(logits.max()))}
    parts = episode.support_x, episode.support_y, episode.query_x, episode.query_y
    return Case(
        *parts, headed, ranges, backbone=graph, distance_scale=scale, alignment=alignment,
        alignment_seconds=seconds,
    )  # fmt: skip


@functools.cache
def _few_shot_data(name: str, folder: str) -> FewShotData:
    if name == "omniglot":
        return few_shot_omniglot()
    load = {"tiny_imagenet": load_tiny_imagenet, "cub": load_cub}[name]
    return load(Path(folder) / FEW_SHOT_FILES[name])


@functools.cache
def _backbone(
    path: str | None, name: str, folder: str
) -> tuple[Graph, Ranges, Program, float, NDArray[np.float32]]:
    """Return a backbone's float Graph, ranges, Program (16w8a), scale of distances, and images of the ranges.

    Those are base images, or any where a set has none (CUB).
    """
    data = _few_shot_data(name, folder)
    rows = data.rows("base")
    rows = rows if len(rows) else np.arange(len(data.labels))
    chosen = rows[:: max(1, len(rows) // _CALIBRATION)][:_CALIBRATION]
    graph = fold_batch_norm(backbone_graph(path, data.shape))
    usual = data.real(data.images[chosen])
    ranges = calibrate(graph, usual)
    program = lower(quantize_graph(graph, ranges, 16, headroom=_HEADROOM[16]))
    return graph, ranges, program, distance_scale(path), usual


def _file(data: Mapping[str, Any], task: Mapping[str, Any], folder: Path, aligned: int) -> Case:
    """A model file of int8 input, and samples for it, shifted.

    The .npz file holds `x` int8 in the model's own steps, or uint8 images (`x` or `images`) of which the
    model takes pixel - 128; and `labels` or `y`. shift: "none", "noise N" (normal, N steps), or "<corruption>
    <severity>" for images.
    """
    path = str(folder / task["model"])
    content = read_model(path)
    program = program_from(content, path)
    x, y = _samples(str(folder / task["data"]), data.get("count"), task["shift"])
    info = program.tensors[program.inputs[0]]
    if info.dtype != "int8" or x.shape[1:] != info.shape:
        raise InputError(
            f"{path} takes {info.dtype} {info.shape}; the samples of {task['data']} are int8 {x.shape[1:]}"
        )
    classes = class_count(program)
    if int(y.max()) >= classes:
        raise InputError(
            f"labels in {task['data']} must be in 0..{classes - 1}, as {path} has it; got {y.max()}"
        )
    train, test = split_by_seed(len(y), 0, data.get("share", 0.9))
    tflite = file_kind(content, path) == "tflite"
    frozen = unwritable_constants(content, program) if tflite else frozenset[str]()
    parts, alignment, seconds = (x[train], y[train], x[test], y[test]), None, 0.0
    if aligned:
        usual, _ = _samples(str(folder / task["data"]), data.get("count"), "none")
        target = measure_moments(program, usual[train][-_CALIBRATION:])
        started = time.process_time()
        alignment = align(program, target, x[train][:aligned], frozen)
        seconds = time.process_time() - started
        program = alignment.program
    return Case(
        *parts, file=program, tflite=content if tflite else b"", alignment=alignment,
        alignment_seconds=seconds, frozen=frozen,
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _samples(path: str, count: int | None, shift: str) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    arrays = load_arrays(path)
    x = required_array(arrays, "images" if "images" in arrays else "x", path)
    if x.dtype not in (np.int8, np.uint8) or x.ndim < 2:
        raise InputError(f"samples in {path} must be int8 or uint8 [n, ...]; got {x.dtype} {x.shape}")
    y = checked_labels(required_array(arrays, "labels" if "labels" in arrays else "y", path), len(x), None)
    x, y = x[:count], y[:count]
    found = shift_of_file(shift)
    if found is None:
        raise InputError(f"shift must be 'none', 'noise N', or '<corruption> <severity>'; got {shift!r}")
    name, amount = found
    if name not in ("none", "noise"):
        x = corrupt(x, name, int(amount), 0)
    steps = x.astype(np.int64) - (128 if x.dtype == np.uint8 else 0)
    if name == "noise":
        steps = steps + np.rint(np.random.default_rng(0).normal(0, amount, x.shape)).astype(np.int64)
    return np.clip(steps, -128, 127).astype(np.int8), y
