"""Few-shot adaptation of a quantized backbone: zero-shot, FF LP and FF FT on one episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxpgrad.program.execute import run_program
from fxpgrad.program.head import attach_linear_head
from fxpgrad.program.program import Program, constants_sha256
from fxpgrad.program.real_values import dequantize_output, quantize_input
from fxpgrad.tasks.backbone import class_prototypes
from fxpgrad.tasks.episodes import Episode
from fxpgrad.trainer.config import TrainerConfig
from fxpgrad.trainer.objective import LinearCrossEntropy, PrototypeCrossEntropy
from fxpgrad.trainer.report import TrainingReport
from fxpgrad.trainer.trainer import OnStep, Trainer


@dataclass(frozen=True, slots=True)
class IntegerEpisode:
    """An episode in the Program's own input integers."""

    support_x: NDArray[np.int8]
    support_y: NDArray[np.int32]
    query_x: NDArray[np.int8]
    query_y: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """What adapting to one episode gave."""

    accuracy: float
    program: Program
    report: TrainingReport | None
    weights_sha256: str
    scratch_bytes: int


def to_integers(program: Program, episode: Episode) -> IntegerEpisode:
    """Quantize an episode's images (real values) for the Program."""
    info = program.tensors[program.inputs[0]]
    return IntegerEpisode(
        quantize_input(info, episode.support_x),
        episode.support_y,
        quantize_input(info, episode.query_x),
        episode.query_y,
    )


def prototype_classifier(
    backbone: Program,
    support_x: NDArray[Any],
    support_y: NDArray[np.int32],
    distance_scale: float,
    weight_bits: int = 16,
) -> Program:
    """Put the ProtoNet classifier of a support set (the Program's input integers) on it, as a linear head.

    -s * |f - p|^2 = 2 s p.f - s |p|^2 up to a term that is the same for all classes.
    """
    features = dequantize_output(backbone, run_program(backbone, support_x))
    prototypes = class_prototypes(features, support_y)
    weights, bias = 2 * distance_scale * prototypes, -distance_scale * (prototypes**2).sum(axis=1)
    return attach_linear_head(backbone, weights, bias, weight_bits=weight_bits)


def accuracy(program: Program, x: NDArray[Any], y: NDArray[np.int32]) -> float:
    """Share of samples whose largest output is that of their label."""
    return float((run_program(program, x).argmax(axis=1) == y).mean())


def adapt_forward(
    classifier: Program,
    episode: IntegerEpisode,
    config: TrainerConfig,
    steps: int,
    on_step: OnStep | None = None,
) -> Adaptation:
    """Adapt a classifier to the support set by forward gradients and judge it on the queries."""
    trainer = Trainer(classifier, config, LinearCrossEntropy(), len(episode.support_x))
    report = trainer.fit(episode.support_x, episode.support_y, steps, on_step)
    adapted = trainer.adapted()
    digest = constants_sha256({item.name: item.values for item in trainer.trainables})
    return Adaptation(
        accuracy(adapted, episode.query_x, episode.query_y), adapted, report, digest, trainer.scratch_bytes
    )


def adapt_prototypes(
    backbone: Program,
    episode: IntegerEpisode,
    config: TrainerConfig,
    steps: int,
    distance_scale: float,
    on_step: OnStep | None = None,
) -> Adaptation:
    """Adapt the backbone itself by the prototype loss, take new prototypes, and judge on the queries."""
    ways = int(episode.support_y.max()) + 1
    objective = PrototypeCrossEntropy(ways, distance_scale)
    trainer = Trainer(backbone, config, objective, len(episode.support_x))
    report = trainer.fit(episode.support_x, episode.support_y, steps, on_step)
    classifier = prototype_classifier(trainer.adapted(), episode.support_x, episode.support_y, distance_scale)
    digest = constants_sha256({item.name: item.values for item in trainer.trainables})
    score = accuracy(classifier, episode.query_x, episode.query_y)
    return Adaptation(score, classifier, report, digest, trainer.scratch_bytes)
