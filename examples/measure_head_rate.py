"""What a model file gains with the exact head's rate found by `measure_head_rate`, and with fixed ones.

python examples/measure_head_rate.py mlperf_tiny "gaussian_noise 3" --data DATA --count 2000 --forwards 5
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from fxpgrad.errors import TrainingError
from fxpgrad.experiments.adapt import adapt
from fxpgrad.experiments.cases import make_case
from fxpgrad.experiments.evaluate import evaluate
from fxpgrad.experiments.methods import METHODS, batch_of, steps_of
from fxpgrad.experiments.preset import load_preset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=("mlperf_tiny", "keywords"))
    parser.add_argument("shift", help="as in the preset's tasks, 'noise 5' say")
    parser.add_argument("--data", type=Path, required=True, help="folder of the preset's files")
    parser.add_argument("--count", type=int, help="samples to take; all if not given")
    parser.add_argument("--share", type=float, default=0.5, help="of the samples, to train on")
    parser.add_argument(
        "--methods", nargs="+", default=["exact_lp", "affine"], choices=("exact_lp", "affine")
    )
    parser.add_argument("--rates", nargs="+", type=float, default=[1, 3, 10, 30])
    parser.add_argument("--forwards", type=float, default=20)
    parser.add_argument("--aligned", action="store_true", help="align the layers first")
    options = parser.parse_args()
    preset = load_preset(options.preset)
    data = {"share": options.share} | ({} if options.count is None else {"count": options.count})
    task = {key: values[0] for key, values in preset.tasks.items()} | {"shift": options.shift}
    case = make_case(replace(preset, data=data), task, options.data, 64 if options.aligned else 0)
    assert case.file is not None
    before = evaluate(case.file, case.test_x, case.test_y).accuracy
    print(f"{len(case.train_y)} samples to train on, {len(case.test_y)} others: {before:.2%} before")
    for name in options.methods:
        for rate in [None, *options.rates]:
            config = METHODS[name].config
            config, batch = batch_of(
                config if rate is None else replace(config, head_rate=rate), len(case.train_y), None
            )
            steps = steps_of(config, options.forwards, len(case.train_y), batch)
            started = time.process_time()
            try:
                result = adapt(
                    case.file, case.train_x, case.train_y, config, steps,
                    frozen=case.frozen, find_head_rate=rate is None,
                )  # fmt: skip
            except TrainingError as error:
                print(f"{name} at {rate}: {error}")
                continue
            seconds = time.process_time() - started
            after = evaluate(result.program, case.test_x, case.test_y).accuracy
            found = "" if result.head_rates is None else " (found)"
            stopped = ", stopped" if result.report.stopped else ""
            print(
                f"{name} at {result.config.head_rate:g}{found}: {after:.2%} of the others, "
                f"{result.forwards} inferences of the batch for {len(result.report.steps)} steps, "
                f"{seconds:.1f} s of CPU{stopped}"
            )
            if result.head_rates is not None:
                trials = ", ".join(
                    f"{t.rate:g}: {'stopped' if t.after is None else f'{t.after:.3f}'}"
                    for t in result.head_rates.trials
                )
                print(f"  losses {result.head_rates.trials[0].before:.3f} -> {trials}")


if __name__ == "__main__":
    main()
