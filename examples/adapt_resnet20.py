"""Adapt the published CIFAR-10 ResNet-20, quantized to 8-bit weights, to a noisy sensor, by integers alone.

    python examples/adapt_resnet20.py DATA [--methods affine exact_lp] [--forwards 20] [--noise 0.1] [--json]

DATA holds `models/cifar10_resnet20.npz` (PyTorch names, of akamaster/pytorch_resnet_cifar10),
`cifar10/cifar10_train5k.npz` and `cifar10/cifar10_test.npz` (images uint8 NHWC, labels). Gaussian noise of
the given standard deviation (of a range of 1) is added to the 5,000 images that are trained on and to the
first 2,000 test images that are judged. A shortcut is a 1x1 convolution that picks every second pixel.
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
from fxpgrad.graph.builder import GraphBuilder
from fxpgrad.graph.graph import Graph
from fxpgrad.program.lower import lower
from fxpgrad.program.real_values import quantize_input
from fxpgrad.quantize import quantize

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AROUND = (1, 1, 1, 1)
TESTED, CALIBRATED = 2000, 256


def resnet(path: Path) -> Graph:
    """Return the float Graph of a CIFAR ResNet (20, 32 or 56) from its published arrays."""
    with np.load(path) as arrays:
        p = {name: arrays[name] for name in arrays.files}
    builder = GraphBuilder(path.stem)

    def convolve(x: str, name: str, norm: str, stride: int = 1) -> str:
        filters = p[f"{name}.weight"].transpose(0, 2, 3, 1)
        x = builder.conv2d(x, filters, stride=(stride, stride), padding=AROUND, name=name)
        parts = (p[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        return builder.batch_norm(x, *parts, epsilon=1e-5)

    x = builder.activation(convolve(builder.input("image", (32, 32, 3)), "conv1", "bn1"), "relu")
    blocks = 1 + max(int(name.split(".")[1]) for name in p if name.startswith("layer1."))
    for stage in (1, 2, 3):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = builder.activation(convolve(x, f"{name}.conv1", f"{name}.bn1", stride), "relu")
            y = convolve(y, f"{name}.conv2", f"{name}.bn2")
            if stride == 2:
                outputs, inputs = p[f"{name}.conv1.weight"].shape[:2]
                picked = np.zeros((outputs, 1, 1, inputs), np.float32)
                picked[np.arange(inputs) + (outputs - inputs) // 2, 0, 0, np.arange(inputs)] = 1
                x = builder.conv2d(x, picked, stride=(2, 2), padding="valid", name=f"{name}.shortcut")
            x = builder.add(x, y, activation="relu")
    x = builder.global_average_pool2d(x)
    return builder.build(builder.fully_connected(x, p["linear.weight"], p["linear.bias"]))


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
    with np.load(given.data / "cifar10" / "cifar10_train5k.npz") as arrays:
        train_x, train_y = arrays["images"], arrays["labels"].astype(np.int32)
    with np.load(given.data / "cifar10" / "cifar10_test.npz") as arrays:
        test_x, test_y = arrays["images"][:TESTED], arrays["labels"][:TESTED].astype(np.int32)
    graph = resnet(given.data / "models" / "cifar10_resnet20.npz")
    headroom = 1.0 if given.weight_bits == 8 else 1.25
    calibration = seen(train_x[:CALIBRATED], 0.0, 0)
    program = lower(quantize(graph, calibration, weight_bits=given.weight_bits, headroom=headroom))
    info = program.tensors[program.inputs[0]]
    train, test = (quantize_input(info, seen(x, given.noise, s)) for s, x in enumerate((train_x, test_x)))
    clean = quantize_input(info, seen(test_x, 0.0, 0))
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
