"""Full fine-tuning under a changed sensor: forward gradients in integers beside float backpropagation.

    python examples/measure_shifted.py --tasks 50 --shift noisy --threads 2

5-way 5-shot tasks from the whole evaluation split, images changed by `shift_episode`; both methods use
the prototype objective on the 25 support images. Needs PyTorch for the float column.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import torch

from fxpgrad.experiments.backprop_source import choose_source
from fxpgrad.experiments.few_shot import accuracy, adapt_prototypes, prototype_classifier, to_integers
from fxpgrad.tasks.backbone import distance_scale, load_program
from fxpgrad.tasks.episodes import sample_episode
from fxpgrad.tasks.omniglot import load_omniglot
from fxpgrad.tasks.shifts import SHIFTS, shift_episode
from fxpgrad.tasks.statistics import mean_and_ci95
from fxpgrad.trainer.config import TrainerConfig


def main() -> None:
    parser = argparse.ArgumentParser(description="FF FT and BP FT on tasks seen by a changed sensor.")
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--shift", choices=SHIFTS, default="noisy")
    parser.add_argument("--steps", type=int, default=100, help="of forward gradients (6 forwards each)")
    parser.add_argument("--epsilon", type=float, default=3e-3)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--bp-steps", type=int, default=40)
    parser.add_argument("--bp-learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    program, scale, data = load_program("16w8a"), distance_scale(), load_omniglot()
    backprop = choose_source(0, "all", options.tasks)

    def task(index: int) -> tuple[float, float, float]:
        episode = shift_episode(sample_episode(data, "evaluation", 5, 5, 15, 0, index), options.shift)
        integers = to_integers(program, episode)
        classifier = prototype_classifier(program, integers.support_x, integers.support_y, scale)
        config = TrainerConfig(epsilon=options.epsilon, learning_rate=options.learning_rate, seed=index)
        adapted = adapt_prototypes(program, integers, config, options.steps, scale)
        bp = backprop.accuracy(
            episode, index, scale, options.bp_steps, options.bp_learning_rate, lambda: None
        )
        assert bp is not None
        return accuracy(classifier, integers.query_x, integers.query_y), adapted.accuracy, bp

    with ThreadPoolExecutor(options.threads) as pool:
        outcomes = list(pool.map(task, range(options.tasks)))
    names = ("zero-shot 16w8a", "FF FT 16w8a", "BP FT float32")
    for name, values in zip(names, zip(*outcomes, strict=True), strict=True):
        mean, half_width = mean_and_ci95(values)
        print(f"{options.shift}: {name} {100 * mean:.2f} +- {100 * half_width:.2f} %")


if __name__ == "__main__":
    main()
