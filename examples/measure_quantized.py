"""Few-shot accuracy of the bundled backbone in float, 16w8a and 8w8a, without any adaptation.

python examples/measure_quantized.py --tasks 200 [--within-alphabet]
"""

from __future__ import annotations

import argparse

import numpy as np

from fxpgrad.experiments.few_shot import accuracy, prototype_classifier, to_integers
from fxpgrad.graph.float_execution import run_float_outputs
from fxpgrad.graph.graph import Graph
from fxpgrad.quantize.fold import fold_batch_norm
from fxpgrad.tasks.backbone import PROGRAMS, class_prototypes, distance_scale, load_program, resnet12_graph
from fxpgrad.tasks.episodes import Episode, sample_episode
from fxpgrad.tasks.omniglot import load_omniglot
from fxpgrad.tasks.statistics import mean_and_ci95


def float_accuracy(graph: Graph, episode: Episode) -> float:
    support = run_float_outputs(graph, episode.support_x.astype(np.float32))[0]
    queries = run_float_outputs(graph, episode.query_x.astype(np.float32))[0]
    prototypes = class_prototypes(support, episode.support_y)
    distances = ((queries[:, None] - prototypes) ** 2).sum(axis=-1)
    return float((distances.argmin(axis=1) == episode.query_y).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description="Prototype accuracy in float, 16w8a and 8w8a.")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--within-alphabet", action="store_true")
    options = parser.parse_args()
    graph, data = fold_batch_norm(resnet12_graph()), load_omniglot()
    programs = {name: load_program(name) for name in PROGRAMS}
    results: dict[str, list[float]] = {"float32": [], **{name: [] for name in programs}}
    for index in range(options.tasks):
        episode = sample_episode(data, "evaluation", 5, 5, 15, 0, index, options.within_alphabet)
        results["float32"].append(float_accuracy(graph, episode))
        for name, program in programs.items():
            integers = to_integers(program, episode)
            classifier = prototype_classifier(
                program, integers.support_x, integers.support_y, distance_scale()
            )
            results[name].append(accuracy(classifier, integers.query_x, integers.query_y))
    for name, values in results.items():
        mean, half_width = mean_and_ci95(values)
        print(f"{name}: {100 * mean:.2f} +- {100 * half_width:.2f} % over {options.tasks} tasks")


if __name__ == "__main__":
    main()
