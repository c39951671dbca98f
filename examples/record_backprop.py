"""Record the demo's float baseline, for machines without PyTorch.

    python examples/record_backprop.py --tasks 100 --output fxpgrad/experiments/data/bp_ft_recorded.json

Full fine-tuning by backpropagation (Adam, full batch, prototype objective) with the demo's own
settings, task by task. Without --output it only prints the mean.
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import date
from pathlib import Path

import torch

from fxpgrad.experiments.backprop_source import choose_source
from fxpgrad.experiments.demo import DemoSettings, task_episode
from fxpgrad.tasks.backbone import distance_scale
from fxpgrad.tasks.statistics import mean_and_ci95


def main() -> None:
    parser = argparse.ArgumentParser(description="Record BP FT on the demo's tasks.")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampling", choices=("alphabet", "all"), default="alphabet")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    settings = DemoSettings(seed=options.seed, tasks=options.tasks, sampling=options.sampling)
    source = choose_source(settings.seed, settings.sampling, settings.tasks)
    source.prepare_thread()
    accuracies = []
    for index in range(settings.tasks):
        accuracy = source.accuracy(
            task_episode(settings, index),
            index,
            distance_scale(),
            settings.bp_steps,
            settings.bp_learning_rate,
            lambda: None,
        )
        assert accuracy is not None
        accuracies.append(round(accuracy, 6))
    mean, half_width = mean_and_ci95(accuracies)
    print(
        f"{settings.tasks} tasks, sampling {settings.sampling}: {100 * mean:.2f} +- {100 * half_width:.2f} %"
    )
    if options.output is not None:
        record = {
            "provenance": {
                "command": f"python examples/record_backprop.py --tasks {settings.tasks}",
                "torch": torch.__version__,
                "machine": platform.machine(),
                "date": date.today().isoformat(),
            },
            "sampling": settings.sampling,
            "seed": settings.seed,
            "steps": settings.bp_steps,
            "learning_rate": settings.bp_learning_rate,
            "accuracies": accuracies,
        }
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
