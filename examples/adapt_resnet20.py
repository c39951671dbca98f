"""Adapt the published CIFAR-10 ResNet-20, quantized to 8-bit weights, to a noisy sensor, by integers alone.

    python examples/adapt_resnet20.py DATA [--methods affine exact_lp] [--forwards 20] [--noise 0.1] [--json]

DATA holds `models/cifar10_resnet20.npz` (PyTorch names, of akamaster/pytorch_resnet_cifar10),
`cifar10/cifar10_train5k.npz` and `cifar10/cifar10_test.npz` (images uint8 NHWC, labels). Gaussian noise of
the given standard deviation (of a range of 1) is added to the 5,000 images that are trained on and to the
first 2,000 test images that are judged.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fxpgrad.experiments.adapt import adapt
from fxpgrad.experiments.evaluate import evaluate
from fxpgrad.experiments.methods import METHODS, batch_of, steps_of
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import quantize_input
from fxpgrad.quantize import quantize
from fxpgrad.tasks.cifar_resnet import DEVIATION, MEAN, load_cifar, normalize, resnet_graph

TESTED, CALIBRATED = 2000, 256


def seen(images: NDArray[np.uint8], noise: float, seed: int) -> NDArray[np.float32]:
    """Return images as a noisy sensor sees them, normalized as the network wants them."""
    values = images / 255.0
    if noise:
        values = np.clip(values + np.random.default_rng(seed).normal(0, noise, images.shape), 0, 1)
    return ((values - MEAN) / DEVIATION).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=["exact_lp", "affine"])
    parser.add_argument("--forwards", type=float, default=20)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--weight-bits", type=int, choices=(8, 16), default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    taught = load_cifar(given.data / "cifar10" / "cifar10_train5k.npz")
    judged = load_cifar(given.data / "cifar10" / "cifar10_test.npz", TESTED)
    train_y, test_y = taught.labels, judged.labels
    graph = resnet_graph(given.data / "models" / "cifar10_resnet20.npz")
    headroom = 1.0 if given.weight_bits == 8 else 1.25
    calibration = normalize(taught.images[:CALIBRATED])
    program = lower(quantize(graph, calibration, weight_bits=given.weight_bits, headroom=headroom))
    info = program.tensors[program.inputs[0]]
    train, test = (
        quantize_input(info, seen(x, given.noise, s)) for s, x in enumerate((taught.images, judged.images))
    )
    clean = quantize_input(info, normalize(judged.images))
    rows = [
        {"method": "clean images, unadapted", "accuracy": evaluate(program, clean, test_y).accuracy},
        {"method": "unadapted", "accuracy": evaluate(program, test, test_y).accuracy},
    ]
    for name in given.methods:
        config, batch = batch_of(METHODS[name].config, len(train), None)
        steps = steps_of(config, given.forwards, len(train), batch)
        started = time.perf_counter()
        result = adapt(program, train, train_y, config, steps, batch=batch, threads=given.threads)
        rows.append(
            {
                "method": name,
                "accuracy": evaluate(result.program, test, test_y).accuracy,
                "forwards of 50 images": result.forwards,
                "scratch bytes": result.scratch_bytes,
                "seconds": round(time.perf_counter() - started, 1),
                "weights_sha256": result.program.constants_sha256(),
            }
        )
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
