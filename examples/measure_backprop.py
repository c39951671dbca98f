"""Measure the float baseline: prototypes as they are, then linear probing and full fine-tuning by backprop.

Every task is 5-way 5-shot (or as asked) with 15 queries per class; the head starts from the prototypes.
One run visits several numbers of steps: the accuracy is read off on the way.

    python examples/measure_backprop.py --tasks 200 --within-alphabet --lp 0.003 --ft 0.0003 --steps 5 10 20
    python examples/measure_backprop.py --validation --tasks 50 --lp 0.001 0.003 0.01 --ft 0.0001 0.0003 0.001
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from fxpgrad.experiments.backprop import adapt_backprop, backprop_scratch_bytes, torch_forward
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import attach_prototype_head, class_prototypes, distance_scale, resnet12_graph
from fxpgrad.tasks.episodes import Episode, sample_episode
from fxpgrad.tasks.omniglot import load_omniglot
from fxpgrad.tasks.shifts import SHIFTS, shift_episode
from fxpgrad.tasks.statistics import mean_and_ci95

VALIDATION = ("Armenian", "Grantha", "Hebrew", "N_Ko")
Parameters = dict[str, np.ndarray]
Results = dict[tuple[str, float, int], list[float]]


def accuracy(graph: Graph, parameters: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    with torch.no_grad():
        return float((torch_forward(graph, parameters, x).numpy().argmax(axis=1) == y).mean())


def measure(
    backbone: Graph, scale: float, episode: Episode, plan: argparse.Namespace, results: Results
) -> None:
    """Add one task's accuracies to `results`, keyed by (method, learning rate, steps)."""
    with torch.no_grad():
        support = torch_forward(backbone, {}, episode.support_x).numpy()
    graph = attach_prototype_head(backbone, class_prototypes(support, episode.support_y), scale)
    zero_shot = accuracy(graph, {}, episode.query_x, episode.query_y)
    results.setdefault(("prototypes", 0.0, 0), []).append(zero_shot)
    for scope, rate in [("lp", rate) for rate in plan.lp] + [("ft", rate) for rate in plan.ft]:

        def read(step: int, parameters: Parameters, scope: str = scope, rate: float = rate) -> None:
            if step in plan.steps:
                right = accuracy(graph, parameters, episode.query_x, episode.query_y)
                results.setdefault((scope, rate, step), []).append(right)

        support_set = (graph, episode.support_x, episode.support_y)
        adapt_backprop(*support_set, scope, max(plan.steps), rate, plan.optimizer, on_step=read)


def main() -> None:
    parser = argparse.ArgumentParser(description="Few-shot accuracy of prototypes, BP LP and BP FT in float.")
    parser.add_argument("--backbone", default=None, help="npz file; the bundled one if left out")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--queries", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--within-alphabet", action="store_true", help="all classes of a task from one alphabet"
    )
    parser.add_argument("--shift", default="none", choices=SHIFTS, help="how the images are changed")
    parser.add_argument(
        "--validation", action="store_true", help="tasks from the held-out background alphabets"
    )
    parser.add_argument("--optimizer", default="adam", choices=("sgd", "adam"))
    parser.add_argument("--lp", type=float, nargs="*", default=[], help="learning rates for linear probing")
    parser.add_argument("--ft", type=float, nargs="*", default=[], help="learning rates for full fine-tuning")
    parser.add_argument("--steps", type=int, nargs="+", default=[5, 10, 20, 40])
    plan = parser.parse_args()
    torch.set_num_threads(1)
    backbone, scale = fold_batch_norm(resnet12_graph(plan.backbone)), distance_scale(plan.backbone)
    data, split = load_omniglot(), "evaluation"
    if plan.validation:
        data, split = data.only_alphabets(VALIDATION), "background"
    results: Results = {}
    start = time.perf_counter()
    for index in range(plan.tasks):
        sizes = (plan.ways, plan.shots, plan.queries, plan.seed, index)
        episode = shift_episode(sample_episode(data, split, *sizes, plan.within_alphabet), plan.shift)
        measure(backbone, scale, episode, plan, results)
    print(f"{plan.tasks} tasks, {plan.ways}-way {plan.shots}-shot, {plan.queries} queries, {split}", end=", ")
    print(
        "within one alphabet" if plan.within_alphabet else "whole split",
        f"{time.perf_counter() - start:.0f} s",
    )
    for (method, rate, steps), values in sorted(results.items()):
        mean, half = mean_and_ci95(values)
        print(f"{method:10} rate {rate:<8g} steps {steps:<4d} {100 * mean:6.2f} ± {100 * half:.2f} %")
    head = attach_prototype_head(backbone, np.zeros((plan.ways, 64)), scale)
    for scope in ("lp", "ft"):
        print(scope, "scratch bytes:", backprop_scratch_bytes(head, plan.ways * plan.shots, scope))


if __name__ == "__main__":
    main()
